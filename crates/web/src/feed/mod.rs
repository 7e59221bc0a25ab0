//! The feed of events as streams: one connection of the process listens, one reader reads, and however many streams there
//! are, each is handed what is for it.

mod hub;
mod places;
mod stream;

pub(crate) use hub::Hub;
pub(crate) use places::{Place, Places};
pub(crate) use stream::{Wanted, answer};
