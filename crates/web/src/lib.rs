//! REST API, dashboard and http-01 responder.
//!
//! Web only writes what is wanted and reads what is: it orders, renders and delivers nothing itself. [`router`] makes
//! all routes of a [`WebState`]; [`serve`] answers them on a listener until it is told to stop.

mod access;
mod api;
mod brand;
mod challenge;
mod dashboard;
mod docs;
mod feed;
mod limits;
mod look;
mod observe;
mod owners;
mod people;
mod problem;
mod public_url;
mod server;
mod setup;
mod state;
mod streamed;
mod templates;
mod webhooks;

pub use access::{Access, Door, RouteEntry};
pub use api::openapi_json;
pub use public_url::{InvalidPublicUrl, PublicUrl};
pub use server::{REQUEST_TIMEOUT, metrics_router, route_table, router, serve};
pub use state::{Counters, Previewer, WebSettings, WebState};
