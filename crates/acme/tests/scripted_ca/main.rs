//! CAs that are busy, odd or hostile, as no real CA is on demand.

mod account;
mod ca;
mod directory;
mod placing;
mod renewal_info;
mod trouble;
