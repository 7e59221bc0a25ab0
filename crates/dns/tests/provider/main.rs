//! Every DNS provider, by the same measure: name servers and programs with a real BIND, the others with fakes that keep
//! to what the providers document.

mod azure;
mod cloudflare;
mod conformance;
mod exec;
mod fake;
mod rfc2136;
mod route53;
