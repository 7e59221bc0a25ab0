//! The refusals that an operation can answer with, for the description of the API.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

type Responses = BTreeMap<String, RefOr<Response>>;

/// Of an operation that reads a list.
pub(super) struct OfList;
/// Of an operation that reads one thing.
pub(super) struct OfRead;
/// Of an operation that makes a thing.
pub(super) struct OfCreate;
/// Of an operation that changes one thing.
pub(super) struct OfChange;
/// Of an operation that does something to one thing, and takes no body.
pub(super) struct OfAction;

impl IntoResponses for OfList {
    fn responses() -> Responses {
        refusals(&[400, 401, 403, 429, 503])
    }
}

impl IntoResponses for OfRead {
    fn responses() -> Responses {
        refusals(&[401, 403, 404, 429, 503])
    }
}

impl IntoResponses for OfCreate {
    fn responses() -> Responses {
        refusals(&[400, 401, 403, 404, 409, 413, 415, 422, 429, 503])
    }
}

impl IntoResponses for OfChange {
    fn responses() -> Responses {
        refusals(&[400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 503])
    }
}

impl IntoResponses for OfAction {
    fn responses() -> Responses {
        refusals(&[400, 401, 403, 404, 409, 412, 422, 429, 503])
    }
}

fn refusals(statuses: &[u16]) -> Responses {
    statuses.iter().map(|status| (status.to_string(), RefOr::T(refusal(*status)))).collect()
}

fn refusal(status: u16) -> Response {
    let words = match status {
        400 => "The request cannot be read",
        401 => "No valid token",
        403 => "The token has not the right to do that",
        404 => "There is no such thing where this caller can see it",
        409 => "It does not go together with what is there",
        412 => "It was changed since it was read",
        413 => "The body is too long",
        415 => "The body is of another type",
        422 => "A field, or something else that was said, cannot be used",
        428 => "If-Match is missing",
        429 => "Too many requests",
        _ => "The database does not answer, or takes too long",
    };
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDocument"))).build();
    ResponseBuilder::new().description(words).content("application/problem+json", problem).build()
}
