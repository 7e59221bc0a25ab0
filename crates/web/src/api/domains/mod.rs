//! `/v1/domains`: what is wanted, how it stands, and what is done with it.

mod actions;
mod body;
mod change;
mod checks;
mod export;
mod filter;
mod name;
mod read;
mod representation;
mod setup;
mod setup_links;
mod timeline;
mod write;

use certmill_model::Permission;
use utoipa_axum::routes;

use crate::access::{Access, Routes};

pub(crate) use actions::{Action, act};
pub(super) use checks::ChecksDocument;
pub(crate) use name::DomainRef;
pub(crate) use representation::{domain_json, wanted_version};

/// All operations on domains, each with what it needs.
pub(super) fn routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::DomainsRead), Access::Needs(Permission::DomainsWrite));
    Routes::default()
        .api(read, routes!(read::list))
        .api(write, routes!(write::post))
        .api(read, routes!(read::show))
        .api(write, routes!(write::put))
        .api(write, routes!(change::patch))
        .api(write, routes!(change::delete))
        .api(write, routes!(checks::post))
        .api(write, routes!(actions::renew))
        .api(write, routes!(actions::pause))
        .api(write, routes!(actions::resume))
        .api(read, routes!(setup::show))
        .api(write, routes!(setup_links::post))
        .api(read, routes!(setup_links::list))
        .api(write, routes!(setup_links::delete))
        .api(read, routes!(timeline::show))
        .api(read, routes!(timeline::stream))
}
