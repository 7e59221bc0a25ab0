//! What surrounds every page of somebody who is logged in: where to go, and who it is.

use certmill_model::Permission;

use crate::access::Caller;

/// The frame of a page.
pub(super) struct Frame {
    /// Who is logged in.
    pub(super) name: String,
    /// Proves to the gate that a form stood on this page.
    pub(super) csrf: String,
    /// Where to go.
    pub(super) entries: Vec<NavEntry>,
}

/// A way to another page.
pub(super) struct NavEntry {
    pub(super) path: &'static str,
    pub(super) words: &'static str,
    pub(super) icon: &'static str,
    pub(super) is_current: bool,
}

/// Every page that is reached from all others, with what one needs to see it.
const ENTRIES: &[(&str, &str, &str, Permission)] = &[("/", "Domains", "globe", Permission::DomainsRead)];

impl Frame {
    /// The frame for `caller`, who is at `path` or below it.
    pub(super) fn new(caller: &Caller, path: &str) -> Self {
        let allowed = ENTRIES.iter().filter(|(_, _, _, permission)| caller.may(*permission));
        let entry = |(to, words, icon, _): &(&'static str, &'static str, &'static str, Permission)| {
            NavEntry { path: to, words, icon, is_current: *to == path }
        };
        Self {
            name: caller.actor.name.clone(),
            csrf: caller.csrf.clone(),
            entries: allowed.map(entry).collect(),
        }
    }
}
