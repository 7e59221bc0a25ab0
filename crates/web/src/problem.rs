//! What is answered when something is wrong (RFC 9457), in one form for every error.

use std::{borrow::Cow, error::Error, sync::Arc};

use axum::response::{IntoResponse, Response};
use certmill_model::{InvalidHostname, NameRefused, OwnershipRecord};
use certmill_store::StoreError;
use http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{PublicUrl, docs};

/// A refusal or failure. It travels as an extension of an empty response; `observe` gives it its form.
#[derive(Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) title: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<FieldError>,
    /// The record that settles whose a name is, where that is the question.
    pub(crate) ownership: Option<Arc<OwnershipRecordDocument>>,
    /// In how many seconds it is worth trying again, where that is known.
    pub(crate) wait: Option<u16>,
    /// For the log alone: it is never part of an answer.
    pub(crate) cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is wrong with one field of a request's body.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field, as a JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// What is wrong, for people.
    pub(crate) detail: String,
}

/// The TXT record by which the owner of a name says that it is the caller's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(title = "OwnershipRecord")]
pub(crate) struct OwnershipRecordDocument {
    /// Always `TXT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The record's full name, in A-label form.
    #[schema(example = "_certmill-verify.shop.brand.example")]
    name: String,
    /// What it must hold, perhaps beside other values.
    value: String,
}

impl From<OwnershipRecord> for OwnershipRecordDocument {
    fn from(record: OwnershipRecord) -> Self {
        Self { kind: "TXT", name: record.name, value: record.value }
    }
}

/// The body of every error: `application/problem+json` (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(title = "Problem")]
pub(crate) struct ProblemDocument<'a> {
    /// The kind of problem: the address of what is written about it.
    #[serde(rename = "type")]
    #[schema(example = "https://certmill.example.com/docs/errors#domain_taken")]
    pub(crate) kind: String,
    /// The kind of problem, for people.
    pub(crate) title: &'a str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong in this case, and what to do.
    pub(crate) detail: &'a str,
    /// The path that was asked for.
    pub(crate) instance: &'a str,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// The request, for support and logs.
    pub(crate) request_id: &'a str,
    /// The fields that are wrong, if the body is at fault.
    pub(crate) errors: &'a [FieldError],
    /// Seconds until it is worth trying again, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u64>,
    /// With `domain_taken`: the record that brings the name to the caller once it is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ownership: Option<&'a OwnershipRecordDocument>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (title, detail) = (title.into(), detail.into());
        Self { status, code, title, detail, errors: Vec::new(), ownership: None, wait: None, cause: None }
    }

    /// A problem of one field of the body, at `pointer`.
    pub(crate) fn field(pointer: String, code: &'static str, detail: String) -> Self {
        let title = "A field is not acceptable";
        let summary = format!("{}: {detail}", pointer.trim_start_matches('/'));
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, summary);
        problem.errors.push(FieldError { pointer, code, detail });
        problem
    }

    pub(crate) fn internal() -> Self {
        let detail = "Something went wrong on our side. The request id leads operators to the details.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    pub(crate) fn database_away() -> Self {
        let detail = "The database does not answer at the moment. Try again in a few seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", "Temporarily unavailable", detail)
    }

    /// Somebody else has the name; it comes to the caller once `record` is seen.
    pub(crate) fn domain_taken(record: OwnershipRecord) -> Self {
        let detail = format!(
            "The name is registered already, by somebody else. If it is yours, set {record}: it comes to you once that is seen."
        );
        let taken = Self::new(StatusCode::CONFLICT, "domain_taken", "Domain is taken", detail);
        Self { ownership: Some(Arc::new(record.into())), ..taken }
    }

    pub(crate) fn no_such_domain() -> Self {
        let detail = "No domain of this name is registered here.";
        Self::new(StatusCode::NOT_FOUND, "domain_not_found", "Domain not found", detail)
    }

    /// Nothing more is done with a domain that is on its way off the load balancers.
    pub(crate) fn being_removed() -> Self {
        let detail = "The domain is being removed. Register it again to keep it.";
        Self::new(StatusCode::CONFLICT, "domain_being_removed", "Being removed", detail)
    }

    /// No index leads to what is looked for.
    pub(crate) fn too_broad() -> Self {
        let detail =
            "Too much would have to be looked at for this. Narrow it: another filter, or more letters.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "search_too_broad", "Search too broad", detail)
    }

    /// A request with the same key is being answered, or was taken over by another while this one took so long.
    pub(crate) fn under_way() -> Self {
        let detail = "A request with this Idempotency-Key is being answered. Send it again in a moment.";
        let problem = Self::new(StatusCode::CONFLICT, "request_under_way", "Being answered", detail);
        Self { wait: Some(1), ..problem }
    }

    /// Nothing is changed for a tenant that is suspended or being deleted.
    pub(crate) fn suspended() -> Self {
        let detail = "The tenant is suspended, or is being deleted: nothing is added or changed for it. The names that it \
                      has are served and renewed as before. The platform's administrators can let it go on.";
        Self::new(StatusCode::FORBIDDEN, "tenant_suspended", "Suspended", detail)
    }

    fn too_many_operations() -> Self {
        let detail = "Ten operations of the tenant are under way. Send it again when one of them has ended, or cancel one.";
        let problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_operations", "Too many operations", detail);
        Self { wait: Some(30), ..problem }
    }

    /// The sweep makes room, once an hour.
    fn too_many_results() -> Self {
        let detail = "5,000,000 lines of the tenant's operations are stored, or 4 GiB of them. The oldest results are deleted within the hour: \
                      read those that are needed, and send it again then. Nothing of it is done.";
        let problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_results", "Too many results", detail);
        Self { wait: Some(3_600), ..problem }
    }

    /// Nothing of this kind can be seen from where the caller stands: it is not there, or somebody else's.
    pub(crate) fn no_such(kind: &str) -> Self {
        let detail = format!("There is no {kind} of this id here.");
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// Stands in for an error that some layer answered with a bare status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, title, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "Not found", "There is nothing at this address."),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = "This address does not take that method; the Allow header lists what it takes.";
                ("method_not_allowed", "Method not allowed", detail)
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("body_too_large", "Body too large", "A request's body may have at most 64 KiB.")
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ("timed_out", "Timed out", "The answer took too long. Try again in a few seconds.")
            }
            status if status.is_client_error() => {
                ("bad_request", "Bad request", "The request cannot be understood.")
            }
            _ => return Self { status, ..Self::internal() },
        };
        Self::new(status, code, title, detail)
    }

    /// The body of the answer to the request `request_id` for the path `instance`, of the server at `url`.
    pub(crate) fn document<'a>(
        &'a self,
        url: &PublicUrl,
        instance: &'a str,
        request_id: &'a str,
        retry_after: Option<u64>,
    ) -> ProblemDocument<'a> {
        ProblemDocument {
            kind: docs::error_url(url, self.code),
            retry_after,
            title: &self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            code: self.code,
            request_id,
            errors: &self.errors,
            ownership: self.ownership.as_deref(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, wait.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match &error {
            StoreError::NameTaken => {
                let detail = "The name is registered already, by somebody else.";
                return Self::new(StatusCode::CONFLICT, "domain_taken", "Domain is taken", detail);
            }
            StoreError::Taken { field } => {
                let mut problem =
                    Self::field(format!("/{field}"), "taken", "another one has the same".into());
                problem.status = StatusCode::CONFLICT;
                return problem;
            }
            StoreError::Stale => {
                let detail = "It was changed since it was read. Read it again, and repeat the change.";
                return Self::new(
                    StatusCode::PRECONDITION_FAILED,
                    "changed_meanwhile",
                    "Changed meanwhile",
                    detail,
                );
            }
            error if error.took_too_long() => return Self::too_broad(),
            StoreError::QuotaReached => {
                let detail =
                    "The tenant has as many domains as it may. Remove some, or ask the platform for more.";
                return Self::new(StatusCode::FORBIDDEN, "quota_reached", "No room for more domains", detail);
            }
            StoreError::Suspended => return Self::suspended(),
            StoreError::LeaseLost => return Self::under_way(),
            StoreError::TooManyOperations => return Self::too_many_operations(),
            StoreError::TooManyLines => return Self::too_many_results(),
            error if error.is_transient() => Self::database_away(),
            _ => Self::internal(),
        };
        Self { cause: Some(Arc::new(error)), ..problem }
    }
}

impl From<InvalidHostname> for Problem {
    fn from(error: InvalidHostname) -> Self {
        Self::of_name(error.code(), error.to_string())
    }
}

impl From<NameRefused> for Problem {
    fn from(error: NameRefused) -> Self {
        Self::of_name(error.code(), error.to_string())
    }
}

impl Problem {
    fn of_name(code: &'static str, detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The name cannot be used", detail)
    }
}
