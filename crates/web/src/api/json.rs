//! JSON in bodies, read strictly: the right type, no field that is not known, each fault with its place.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, error::Category};

use crate::{WebState, problem::Problem};

/// A body that must be there. `T` refuses fields that it does not know (`deny_unknown_fields`).
pub(super) struct StrictJson<T>(pub(super) T);

/// What a `PATCH` changes (RFC 7396): as [`StrictJson`], in the media type of a merge patch or of plain JSON.
pub(super) struct MergePatch<T>(pub(super) T);

/// A field of a merge patch: left out it is `None`, null is `Some(None)`. For `#[serde(default, deserialize_with)]`.
#[expect(clippy::option_option, reason = "left out and null are two things in a merge patch (RFC 7396)")]
pub(crate) fn patched<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// The bytes of the body of `request`; none, whatever its type, if there is no body.
pub(super) async fn bytes(request: Request, state: &WebState) -> Result<Bytes, Problem> {
    typed_bytes(request, state, &["application/json"]).await
}

async fn typed_bytes(request: Request, state: &WebState, types: &[&str]) -> Result<Bytes, Problem> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, state)
        .await
        .map_err(|rejection| Problem::of_status(rejection.status()))?;
    if !body.is_empty() {
        require_type(&headers, types)?;
    }
    Ok(body)
}

/// Reads a `T`.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Derived readers take the fields from an array too, in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(misshapen("The body is an array where an object is expected.".into()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|fault| {
        let pointer = pointer(fault.path());
        unreadable(&pointer, fault.inner())
    })?;
    reader.end().map_err(|error| unreadable("", &error))?;
    Ok(value)
}

/// Reads a `T` from texts by name, as they stand in a query; the name and the fault of one that does not fit.
pub(super) fn read_texts<T: DeserializeOwned>(
    texts: impl Iterator<Item = (String, String)>,
) -> Result<T, (String, String)> {
    let object = texts.map(|(name, text)| (name, Value::String(text))).collect();
    serde_path_to_error::deserialize(Value::Object(object))
        .map_err(|fault| (fault.path().to_string(), fault.inner().to_string()))
}

impl<T: DeserializeOwned> FromRequest<WebState> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Problem> {
        read(&typed_bytes(request, state, &["application/json"]).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<WebState> for MergePatch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Problem> {
        let types = ["application/merge-patch+json", "application/json"];
        read(&typed_bytes(request, state, &types).await?).map(Self)
    }
}

/// Refuses a body that is none of `types`, not in UTF-8, or compressed.
pub(super) fn require_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (media_type, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let utf8 = parameters.trim().is_empty() || parameters.trim().eq_ignore_ascii_case("charset=utf-8");
    if !utf8 || !types.iter().any(|known| media_type.trim().eq_ignore_ascii_case(known)) {
        let known = types.join(" or ");
        return Err(unsupported(format!("Send the body as JSON in UTF-8, with Content-Type: {known}.")));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(unsupported("Send the body without compression.".into()));
    }
    Ok(())
}

fn unsupported(detail: String) -> Problem {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Problem::new(status, "unsupported_media_type", "Unsupported media type", detail)
}

/// Broken JSON is a bad request; well-formed JSON of another shape is one that cannot be processed.
fn unreadable(pointer: &str, error: &serde_json::Error) -> Problem {
    if error.classify() == Category::Data {
        if pointer.is_empty() {
            return misshapen(format!("The body has another shape than expected: {error}."));
        }
        return Problem::field(pointer.to_owned(), "invalid_field", error.to_string());
    }
    let detail = format!("The body is not JSON: {error}.");
    Problem::new(StatusCode::BAD_REQUEST, "invalid_json", "The body is not JSON", detail)
}

fn misshapen(detail: String) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "invalid_body", "The body is not acceptable", detail)
}

/// The place of a fault as a JSON pointer (RFC 6901); empty for the body as a whole.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}
