//! Who is calling, and what that caller may do.
//!
//! Every route is declared with what it needs ([`Access`]), and stands behind a gate that lets nobody past without it. What
//! is declared is also a table ([`RouteEntry`]), by which the tests try every route for every kind of caller.

mod caller;
mod csrf;
mod gate;
mod pace;
mod repeat;
mod routes;
mod throttle;

pub use routes::{Access, Door, RouteEntry};

pub(crate) use caller::{Caller, PeerAddress};
pub(crate) use gate::SESSION_IDLE;
pub(crate) use pace::Pace;
pub(crate) use routes::Routes;
pub(crate) use throttle::{account_key, attempt, origin_key};
