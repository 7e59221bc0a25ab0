//! Pages of a list: `?limit=&cursor=` in, `{data, next_cursor}` and a `Link` out.

use std::str::FromStr;

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    response::{IntoResponse, Response},
};
use certmill_store::Reach;
use http::{HeaderValue, StatusCode, header::LINK, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cursor;
use crate::{WebState, problem::Problem};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which page is asked for.
pub(super) struct PageQuery {
    pub(super) limit: usize,
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The entries.
    data: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

impl PageQuery {
    /// Where the page begins: behind this position of `list`.
    pub(super) fn after<T: FromStr>(&self, reach: Reach, list: &str) -> Result<Option<T>, Problem> {
        self.cursor.as_deref().map(|text| cursor::position(reach, list, text)).transpose()
    }

    /// How many rows to read: one more than the page has, which tells whether there is a next one.
    pub(super) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }
}

impl FromRequestParts<WebState> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Query(raw) = Query::<RawQuery>::from_request_parts(parts, state).await.map_err(|_| {
            let detail = "The query may hold limit and cursor, each once.";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
        })?;
        let limit = raw.limit.map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            let detail = "The limit is a number from 1 to 1000.";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_limit", "Invalid limit", detail)
        })?;
        Ok(Self { limit, cursor: raw.cursor })
    }
}

impl<T: Serialize> Page<T> {
    /// The answer that holds `data`, and leads to `next_cursor` at `path`.
    pub(super) fn answer(data: Vec<T>, next_cursor: Option<String>, limit: usize, path: &str) -> Response {
        let link = next_cursor.as_ref().map(|cursor| {
            let link = format!("<{path}?limit={limit}&cursor={cursor}>; rel=\"next\"");
            HeaderValue::from_str(&link).expect("paths and cursors are plain characters")
        });
        let mut response = Json(Self { data, next_cursor }).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

/// Cuts `rows` to a page; the position of its last row, if there are more behind it.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Option<String> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(position)
}
