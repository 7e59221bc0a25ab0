//! What of a query says which domains, in which order, and whether they are counted.

use std::fmt::Display;

use axum::extract::{FromRequestParts, Query};
use certmill_model::{DomainStatus, SearchText};
use certmill_store::{DomainFilter, DomainPosition, DomainSort, Reach};
use http::{StatusCode, request::Parts};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::IntoParams;

use super::super::{
    cursor,
    page::{encode, parse_instant, parse_limit},
};
use crate::{WebState, problem::Problem};

/// Which domains are listed. What is left out or empty narrows nothing.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DomainParameters {
    /// Entries on a page, 1 to 1000; 100 by default
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next_cursor` of the page before
    cursor: Option<String>,
    /// Letters of names, or the beginning of an `external_id`. One or two letters: the beginning of names; three or more: names
    /// that begin so, then names that have them in them, then, if there are none, similar ones
    q: Option<String>,
    /// The beginning of names
    name_prefix: Option<String>,
    /// The end of names
    name_suffix: Option<String>,
    /// A status
    status: Option<String>,
    /// `ok`, `warning` or `critical`
    health: Option<String>,
    /// The code of an open problem
    problem: Option<String>,
    /// The id of a tenant
    tenant: Option<String>,
    /// A shop's id, whole
    external_id: Option<String>,
    /// A tag
    tag: Option<String>,
    /// The id of a load balancer that it is on
    target: Option<String>,
    /// The directory of the CA that its certificate came from
    ca: Option<String>,
    /// Its certificate ends before this instant
    #[param(format = DateTime)]
    expires_before: Option<String>,
    /// Its certificate ends at this instant or after
    #[param(format = DateTime)]
    expires_after: Option<String>,
    /// It changed at this instant or after
    #[param(format = DateTime)]
    updated_since: Option<String>,
    /// `name` (the default), `not_after` (what ends soonest first; only domains with a certificate) or `updated_at` (the oldest
    /// change first)
    sort: Option<String>,
    /// `capped`: count them too, up to 10,000
    count: Option<String>,
}

/// The same, read.
pub(super) struct DomainQuery {
    pub(super) limit: usize,
    pub(super) filter: DomainFilter,
    pub(super) sort: DomainSort,
    pub(super) counts: bool,
    cursor: Option<String>,
    /// The address of this list without place and limit.
    pub(super) path: String,
}

impl DomainQuery {
    /// Where the page begins.
    pub(super) fn after(&self, reach: Reach) -> Result<Option<DomainPosition>, Problem> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let position: DomainPosition = cursor::position(reach, &self.path, text)?;
        if position.suits(self.sort) { Ok(Some(position)) } else { Err(cursor::invalid()) }
    }
}

impl FromRequestParts<WebState> for DomainQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<DomainParameters>::from_request_parts(parts, state).await.map_err(|error| {
                invalid(format!("The query cannot be read, or has what is no filter: {}.", error.body_text()))
            })?;
        raw.read()
    }
}

impl DomainParameters {
    fn read(self) -> Result<DomainQuery, Problem> {
        let path = self.path();
        let filter = DomainFilter {
            q: given(self.q.as_ref()).and_then(SearchText::parse),
            name_prefix: part("name_prefix", self.name_prefix.as_ref())?,
            name_suffix: part("name_suffix", self.name_suffix.as_ref())?,
            status: one_of("status", self.status.as_ref())?,
            health: one_of("health", self.health.as_ref())?,
            unhealthy: false,
            problem: one_of("problem", self.problem.as_ref())?,
            tenant: one_of("tenant", self.tenant.as_ref())?,
            external_id: text(self.external_id.as_ref()),
            tag: text(self.tag.as_ref()),
            target: one_of("target", self.target.as_ref())?,
            authority: text(self.ca.as_ref()),
            expires_before: instant("expires_before", self.expires_before.as_ref())?,
            expires_after: instant("expires_after", self.expires_after.as_ref())?,
            updated_since: instant("updated_since", self.updated_since.as_ref())?,
        };
        if filter.status == Some(DomainStatus::Deleted) {
            return Err(invalid("status: domains that are gone are not listed.".into()));
        }
        let sort = match given(self.sort.as_ref()) {
            None | Some("name") => DomainSort::Name,
            Some("not_after") => DomainSort::NotAfter,
            Some("updated_at") => DomainSort::UpdatedAt,
            Some(_) => return Err(invalid("sort: it is name, not_after or updated_at.".into())),
        };
        let counts = match given(self.count.as_ref()) {
            None => false,
            Some("capped") => true,
            Some(_) => return Err(invalid("count: it can only be capped.".into())),
        };
        let limit = parse_limit(self.limit.as_deref())?;
        Ok(DomainQuery { limit, filter, sort, counts, cursor: self.cursor, path })
    }

    /// A cursor serves this address alone: with another filter it would silently skip.
    fn path(&self) -> String {
        let pairs = [
            ("q", &self.q),
            ("name_prefix", &self.name_prefix),
            ("name_suffix", &self.name_suffix),
            ("status", &self.status),
            ("health", &self.health),
            ("problem", &self.problem),
            ("tenant", &self.tenant),
            ("external_id", &self.external_id),
            ("tag", &self.tag),
            ("target", &self.target),
            ("ca", &self.ca),
            ("expires_before", &self.expires_before),
            ("expires_after", &self.expires_after),
            ("updated_since", &self.updated_since),
            ("sort", &self.sort),
        ];
        let set = pairs.into_iter().filter_map(|(name, value)| Some((name, given(value.as_ref())?)));
        let set: Vec<_> = set.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if set.is_empty() { "/v1/domains".into() } else { format!("/v1/domains?{}", set.join("&")) }
    }
}

fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// The database takes no NUL, and nothing stored has one.
fn text(value: Option<&String>) -> Option<String> {
    given(value).map(|value| value.replace('\0', "\u{fffd}"))
}

fn one_of<T: std::str::FromStr>(name: &str, value: Option<&String>) -> Result<Option<T>, Problem>
where
    T::Err: Display,
{
    let parsed = given(value).map(str::parse).transpose();
    parsed.map_err(|error: T::Err| invalid(format!("{name}: {error}.")))
}

fn part(name: &str, value: Option<&String>) -> Result<Option<String>, Problem> {
    let Some(value) = given(value) else { return Ok(None) };
    let part = SearchText::parse(value).and_then(|text| text.name().map(str::to_owned));
    part.map(Some).ok_or_else(|| invalid(format!("{name}: it has characters that no name has.")))
}

/// An empty one is refused as well, as the description says: who asks for changes since nothing means something else.
fn instant(name: &str, value: Option<&String>) -> Result<Option<OffsetDateTime>, Problem> {
    let parsed = value.map(|text| parse_instant(text)).transpose();
    parsed.map_err(|error| invalid(format!("{name}: {error}.")))
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
}
