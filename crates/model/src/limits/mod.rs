//! Limits of a CA, kept on our side so that they are never met on its own: token buckets and what is counted in them.

mod bucket;
mod needs;
mod profile;
mod rate;
mod used;

pub use bucket::{Bucket, next_date, take_fairly};
pub use needs::{Endpoint, Exemption, LimitKind, Need, order_needs};
pub use profile::{InvalidLimits, LimitProfile};
pub use rate::{InvalidRate, Rate};
pub use used::UsedLimit;
