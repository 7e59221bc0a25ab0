//! What pebble's answers told: whose URL is whose, and what became of an order.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use hyper::Uri;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::request::identifiers;

/// What pebble's answers told.
#[derive(Default)]
pub(super) struct Known {
    /// The names that a path is about.
    names: HashMap<String, Vec<String>>,
    /// The path of the order that a path belongs to.
    orders: HashMap<String, String>,
    issued: HashMap<String, Instant>,
    failed: HashSet<String>,
    /// What certificates' renewal information said last.
    windows: HashMap<String, (OffsetDateTime, OffsetDateTime)>,
}

impl Known {
    pub(super) fn names_of(&self, path: &str) -> Vec<String> {
        self.names.get(path).cloned().unwrap_or_default()
    }

    /// The path of the order that a path belongs to.
    pub(super) fn order_of(&self, path: &str) -> Option<&String> {
        self.orders.get(path)
    }

    /// Learns from the document of an order at `path`. The answer says whether this is the first in which it is valid.
    pub(super) fn order(&mut self, path: &str, order: &Value, now: Instant) -> bool {
        let names = identifiers(order);
        let authorizations = order["authorizations"].as_array().into_iter().flatten();
        let urls = [&order["finalize"], &order["certificate"]].into_iter().chain(authorizations);
        for path_of_its in urls.filter_map(path_in).chain([path.to_owned()]) {
            self.orders.insert(path_of_its.clone(), path.to_owned());
            self.names.entry(path_of_its).or_insert_with(|| names.clone());
        }
        order["status"] == "valid"
            && self.issued.insert(path.to_owned(), now).is_none_or(|first| {
                self.issued.insert(path.to_owned(), first);
                false
            })
    }

    /// The name of an order that has failed for its only name, the first time that this is seen. Whose fault it is in
    /// an order of several names, only the authorizations say.
    pub(super) fn failed_alone(&mut self, order: &Value) -> Option<String> {
        let authorizations = order["authorizations"].as_array().filter(|_| order["status"] == "invalid")?;
        let [authorization] = authorizations.as_slice() else { return None };
        let first = self.failed.insert(path_in(authorization)?);
        identifiers(order).into_iter().next().filter(|_| first)
    }

    /// When an order was first seen to be valid.
    pub(super) fn issued_at(&self, order: &str) -> Option<Instant> {
        self.issued.get(order).copied()
    }

    /// Learns from the document of an authorization at `path`. The answer says whether this is the first in which it
    /// has failed.
    pub(super) fn authorization(&mut self, path: &str, authorization: &Value) -> bool {
        let names = identifiers(authorization);
        self.names.insert(path.to_owned(), names.clone());
        let challenges = authorization["challenges"].as_array().into_iter().flatten();
        for challenge in challenges.filter_map(|challenge| path_in(&challenge["url"])) {
            self.names.insert(challenge, names.clone());
        }
        authorization["status"] == "invalid" && self.failed.insert(path.to_owned())
    }

    /// Learns from the renewal information of a certificate.
    pub(super) fn renewal_info(&mut self, path: &str, document: &Value) {
        let at = |end: &str| OffsetDateTime::parse(document["suggestedWindow"][end].as_str()?, &Rfc3339).ok();
        if let (Some(id), Some(start), Some(end)) = (path.rsplit('/').next(), at("start"), at("end")) {
            self.windows.insert(id.to_owned(), (start, end));
        }
    }

    /// Whether the certificate with this ARI identifier is to be renewed now, as its client was told.
    pub(super) fn is_in_window(&self, certificate: &str, now: OffsetDateTime) -> bool {
        self.windows.get(certificate).is_some_and(|(start, end)| *start <= now && now < *end)
    }
}

/// The path of a URL in a document.
pub(super) fn path_in(url: &Value) -> Option<String> {
    path_of(url.as_str()?)
}

pub(super) fn path_of(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.path().to_owned())
}
