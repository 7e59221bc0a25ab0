//! `/brand/…`: the colours and the logo of a tenant, for its own people and the owners of its shops. Nobody logs in for these.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::TenantId;
use certmill_store::{Reach, TenantFace};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::{
    WebState,
    access::{Access, Routes},
    problem::Problem,
};

/// Addresses change with the brand, but a browser asks again in time if one that it kept did not.
const KEPT: &str = "public, max-age=3600";

/// The routes.
pub(crate) fn routes() -> Routes {
    Routes::default().page("/brand/{brand}", Access::Open, colours).page(
        "/brand/{brand}/logo",
        Access::Open,
        logo,
    )
}

/// How a tenant appears on a page.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    /// What the product is called.
    pub(crate) product: String,
    /// Where people find help.
    pub(crate) support: Option<String>,
    /// The address of the logo.
    pub(crate) logo: Option<String>,
    /// The address of the colours.
    pub(crate) style: Option<String>,
}

impl Face {
    /// Of the tenant with this id.
    pub(crate) fn new(tenant: TenantId, face: TenantFace) -> Self {
        Self {
            product: face.product_name.unwrap_or(face.name),
            support: face.support_url.filter(|url| url.starts_with("https://")),
            logo: face.has_logo.then(|| logo_path(tenant, face.revision)),
            style: face.has_colours.then(|| format!("/brand/{tenant}.css?v={}", face.revision)),
        }
    }
}

/// The address of a tenant's logo, which changes with the tenant.
pub(crate) fn logo_path(tenant: TenantId, revision: i64) -> String {
    format!("/brand/{tenant}/logo?v={revision}")
}

/// The tenant's colours, as custom properties in place of certmill's.
async fn colours(State(state): State<WebState>, Path(brand): Path<String>) -> Result<Response, Problem> {
    let tenant = parse(brand.strip_suffix(".css").unwrap_or_default())?;
    let row = state.store.read(Reach::Tenant(tenant)).await?.find_tenant_row(tenant).await?;
    let accent = row.and_then(|row| row.branding.accent).ok_or_else(nothing)?;
    let style = format!(
        ":root{{--accent:light-dark({accent},{});--on-accent:light-dark(#fff,#000)}}",
        accent.on_dark()
    );
    Ok(([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, KEPT)], style).into_response())
}

/// The tenant's logo. Its type is what its bytes were found to be, and every answer says that browsers guess nothing else.
async fn logo(State(state): State<WebState>, Path(brand): Path<String>) -> Result<Response, Problem> {
    let tenant = parse(&brand)?;
    let logo = state.store.read(Reach::Tenant(tenant)).await?.tenant_logo().await?.ok_or_else(nothing)?;
    let headers = [(CONTENT_TYPE, logo.media_type()), (CACHE_CONTROL, KEPT)];
    Ok((headers, logo.as_bytes().to_vec()).into_response())
}

fn parse(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| nothing())
}

fn nothing() -> Problem {
    Problem::no_such("brand")
}

#[cfg(test)]
mod tests {
    /// The model judges a colour by these surfaces: they must be the outermost that the style sheet has.
    #[test]
    fn colours_are_judged_by_the_surfaces_that_they_stand_on() {
        let style = include_str!("../../../web/css/base.css");
        assert!(
            style.contains("--idle-back: light-dark(#edf0f4, #242e3a);"),
            "change model/src/branding.rs too"
        );
    }
}
