//! The router on a real Postgres.

mod access;
mod api;
mod bad_bodies;
mod bad_names;
mod checks;
mod cursors;
mod dashboard;
mod dashboard_dns;
mod dashboard_domains;
mod dashboard_frame;
mod docs;
mod domains;
mod errors;
mod events;
mod filters;
mod fleet;
mod openapi;
mod passwords;
mod people_pages;
mod readiness;
mod responder;
mod sessions;
mod setup;
mod support;
mod tokens;
mod users;
