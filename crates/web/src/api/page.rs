//! Pages of a list: `?limit=&cursor=` and filters in, `{data, next_cursor}` and a `Link` out.

use std::{collections::BTreeMap, str::FromStr};

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    response::{IntoResponse, Response},
};
use certmill_model::in_utc;
use certmill_store::Reach;
use http::{HeaderName, HeaderValue, StatusCode, header::LINK, request::Parts};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use super::{cursor, json};
use crate::{WebState, problem::Problem};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which page is asked for, of a list that is not filtered.
pub(super) type PageQuery = ListQuery<Unfiltered>;

/// Which page is asked for, and of what. `F` has a field for each filter and refuses others (`deny_unknown_fields`); all
/// are texts in the query, so that a field is an `Option` of a text or of what is written as one.
pub(super) struct ListQuery<F> {
    pub(super) limit: usize,
    pub(super) filter: F,
    cursor: Option<String>,
    /// The filters as they were given, in one order: a cursor serves the same filters alone.
    said: String,
}

/// No filter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unfiltered {}

/// An instant in a query (RFC 3339).
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Instant(#[serde(deserialize_with = "instant")] pub(super) OffsetDateTime);

/// What is wrong with an instant.
#[derive(Debug, thiserror::Error)]
#[error("it is no instant such as 2026-11-21T12:00:00Z")]
pub(super) struct InvalidInstant;

/// The instant that a caller wrote, if the database has it as well.
pub(super) fn parse_instant(text: &str) -> Result<OffsetDateTime, InvalidInstant> {
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(in_utc).ok_or(InvalidInstant)
}

/// The same in a body or a query.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    parse_instant(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The entries.
    data: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

impl<F> ListQuery<F> {
    /// Where the page begins: behind this position of `list`.
    pub(super) fn after<T: FromStr>(&self, reach: Reach, list: &str) -> Result<Option<T>, Problem> {
        self.cursor.as_deref().map(|text| cursor::position(reach, &self.name(list), text)).transpose()
    }

    /// Refuses a cursor, where a list has another way to go on.
    pub(super) fn refuse_cursor(&self) -> Result<(), Problem> {
        match self.cursor {
            Some(_) => Err(invalid_query("This list has no cursors: go on with after.".into())),
            None => Ok(()),
        }
    }

    /// How many rows to read: one more than the page has, which tells whether there is a next one.
    pub(super) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// The answer that holds `data` of `list` at `path`; `end` is the position of its last entry, if more are behind it.
    pub(super) fn answer<T: Serialize>(
        &self,
        reach: Reach,
        list: &str,
        path: &str,
        data: Vec<T>,
        end: Option<&str>,
    ) -> Response {
        let next = end.map(|end| cursor::cursor(reach, &self.name(list), end));
        let path = if self.said.is_empty() { path.to_owned() } else { format!("{path}?{}", self.said) };
        Page::answer(data, next, self.limit, &path)
    }

    fn name(&self, list: &str) -> String {
        if self.said.is_empty() { list.to_owned() } else { format!("{list}?{}", self.said) }
    }
}

impl<F: DeserializeOwned> FromRequestParts<WebState> for ListQuery<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let mut texts = texts(parts, state).await?;
        let limit = parse_limit(texts.remove("limit").as_deref())?;
        let cursor = texts.remove("cursor");
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let said: Vec<_> =
            texts.iter().map(|(name, text)| format!("{}={}", encode(name), encode(text))).collect();
        Ok(Self { limit, filter: filter(texts)?, cursor, said: said.join("&") })
    }
}

/// How many entries a page has.
pub(super) fn parse_limit(text: Option<&str>) -> Result<usize, Problem> {
    let limit = text.map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
    limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
        let detail = "The limit is a number from 1 to 1000.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_limit", "Invalid limit", detail)
    })
}

/// What a query says beside a page: as the filters of a [`ListQuery`], and nothing else.
pub(super) struct Filters<F>(pub(super) F);

impl<F: DeserializeOwned> FromRequestParts<WebState> for Filters<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        filter(texts(parts, state).await?).map(Self)
    }
}

/// What stands in the query, each name once.
async fn texts(parts: &mut Parts, state: &WebState) -> Result<BTreeMap<String, String>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
        .await
        .map_err(|_| invalid_query("The query cannot be read.".into()))?;
    let mut texts = BTreeMap::new();
    for (name, text) in pairs {
        // The database takes no NUL, and nothing that is looked for has one.
        if text.contains('\0') {
            return Err(invalid_query(format!("{name} in the query holds a NUL character.")));
        }
        if texts.insert(name.clone(), text).is_some() {
            return Err(invalid_query(format!("{name} stands more than once in the query.")));
        }
    }
    Ok(texts)
}

fn filter<F: DeserializeOwned>(texts: BTreeMap<String, String>) -> Result<F, Problem> {
    json::read_texts(texts.into_iter())
        .map_err(|(name, fault)| invalid_query(format!("{name} in the query: {fault}.")))
}

impl<T: Serialize> Page<T> {
    /// The answer that holds `data`, and leads to `next_cursor` at `path`.
    pub(super) fn answer(data: Vec<T>, next_cursor: Option<String>, limit: usize, path: &str) -> Response {
        let link = next_link(next_cursor.as_deref(), limit, path);
        let mut response = Json(Self { data, next_cursor }).into_response();
        response.headers_mut().extend(link);
        response
    }
}

/// The header that leads to the page at `next_cursor` of the list at `path`, which may have a query.
pub(super) fn next_link(
    next_cursor: Option<&str>,
    limit: usize,
    path: &str,
) -> Option<(HeaderName, HeaderValue)> {
    let cursor = next_cursor?;
    let and = if path.contains('?') { '&' } else { '?' };
    let link = format!("<{path}{and}limit={limit}&cursor={cursor}>; rel=\"next\"");
    Some((LINK, HeaderValue::from_str(&link).expect("paths and cursors are plain characters")))
}

/// `text` as a value in a query (RFC 3986 section 2).
pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encoded = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

/// Cuts `rows` to a page; the position of its last row, if there are more behind it.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Option<String> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(position)
}

fn invalid_query(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
}
