//! Who is told of what, and when: one alert per cause, judged by what is served.
//!
//! A [`Hit`] is one name in trouble. A [`Gathering`] folds all hits of a look by their [`Cause`]; [`take_turn`] says what
//! becomes of the alert of a cause, and whether a letter goes out; a [`Rule`] says to whom.

mod cause;
mod digest;
mod gathering;
mod hit;
mod level;
mod rule;
mod turn;

#[cfg(test)]
mod clock_travel;
#[cfg(test)]
mod properties;

pub use cause::{About, Cause, InvalidAbout, Outage};
pub use digest::{DigestFrequency, DigestPeriod, digest_due};
pub use gathering::{Gathered, Gathering, TOP, Victim};
pub use hit::{Hit, Served};
pub use level::AlertLevel;
pub use rule::Rule;
pub use turn::{AlertState, AlertTurn, Word, take_turn};
