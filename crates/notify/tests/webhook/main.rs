//! Webhooks sent to servers that behave well, badly, or are none of ours.

mod answers;
mod guarded;
mod server;
mod tls;
