//! The name in a path.

use axum::extract::{FromRequestParts, Path};
use certmill_model::Hostname;
use http::{StatusCode, request::Parts};

use crate::{WebState, problem::Problem};

/// The `{name}` of a path, percent-decoded once and parsed.
pub(super) struct DomainName(pub(super) Hostname);

impl FromRequestParts<WebState> for DomainName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| {
            let detail = "The name in the path is not UTF-8 when percent-decoded.";
            Problem::new(StatusCode::BAD_REQUEST, "name_not_utf8", "The name cannot be read", detail)
        })?;
        Ok(Self(Hostname::parse(&name)?))
    }
}
