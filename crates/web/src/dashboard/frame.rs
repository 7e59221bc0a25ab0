//! What surrounds every page of somebody who is logged in: where to go, and who it is.

use certmill_model::Permission;
use certmill_store::Reach;

use super::assets;
use crate::{access::Caller, brand::Face};

/// The frame of a page.
pub(super) struct Frame {
    /// Who is logged in.
    pub(super) name: String,
    /// Proves to the gate that a form stood on this page.
    pub(super) csrf: String,
    /// Where to go.
    pub(super) groups: Vec<NavGroup>,
    /// How the product appears to this reader.
    pub(super) face: Face,
    /// Whether that is a tenant's brand: the page has no word of ours then.
    pub(super) is_white_label: bool,
    /// Whether the reader's tenant is suspended or being deleted.
    pub(super) only_reads: bool,
    /// The colours that the reader chose; `None`: the system's.
    pub(super) theme: Option<&'static str>,
    /// Whether the reader wants keys for shortcuts.
    pub(super) keys: bool,
    /// What the last form has to say.
    pub(super) flash: Option<String>,
    /// The address of this page.
    pub(super) here: String,
}

/// Pages that belong together.
pub(super) struct NavGroup {
    pub(super) words: &'static str,
    pub(super) entries: Vec<NavEntry>,
}

/// A way to another page.
pub(super) struct NavEntry {
    pub(super) path: &'static str,
    pub(super) words: &'static str,
    /// The id of a symbol in `icons.html`.
    pub(super) icon: &'static str,
    /// The letter that leads there after `g`.
    pub(super) key: Option<char>,
    pub(super) is_current: bool,
}

/// A page that is reached from all others: its path, words and icon, its letter after `g`, and what one needs to see it.
type Entry = (&'static str, &'static str, &'static str, Option<char>, Permission);

/// Every page that is reached from all others, in groups.
const GROUPS: &[(&str, &[Entry])] = &[
    (
        "",
        &[
            ("/", "Overview", "gauge", Some('o'), Permission::DomainsRead),
            ("/alerts", "Alerts", "bell", Some('n'), Permission::DomainsRead),
        ],
    ),
    (
        "Domains",
        &[
            ("/domains", "Domains", "globe", Some('d'), Permission::DomainsRead),
            ("/certificates", "Certificates", "seal", Some('c'), Permission::DomainsRead),
            ("/orders", "Orders", "inbox", None, Permission::DomainsRead),
            ("/operations", "Operations", "list", Some('p'), Permission::DomainsRead),
        ],
    ),
    (
        "Delivery",
        &[
            ("/targets", "Load balancers", "server", Some('l'), Permission::TargetsRead),
            ("/templates", "Templates", "file", Some('t'), Permission::TemplatesRead),
        ],
    ),
    (
        "People",
        &[
            ("/tenants", "Tenants", "house", Some('e'), Permission::TenantsManage),
            ("/branding", "Looks and defaults", "house", None, Permission::TenantWrite),
            ("/users", "Users", "people", Some('u'), Permission::UsersRead),
            ("/tokens", "Tokens", "key", Some('k'), Permission::TokensRead),
            ("/audit", "Audit log", "book", Some('a'), Permission::AuditRead),
        ],
    ),
    ("Programs", &[("/webhooks", "Webhooks", "hook", Some('w'), Permission::WebhooksRead)]),
    ("Platform", &[("/settings", "Service", "gear", Some('s'), Permission::SettingsRead)]),
];

impl Frame {
    /// The frame for `caller`, who is at the page `path` or one that belongs to it.
    pub(super) fn new(caller: &Caller, path: &str) -> Self {
        Self {
            name: caller.actor.name.clone(),
            csrf: caller.csrf.clone(),
            groups: groups(caller, path),
            face: caller.face.clone().unwrap_or_else(own_face),
            is_white_label: caller.face.is_some(),
            only_reads: caller.only_reads(),
            theme: caller.visit.theme,
            keys: !caller.visit.is_without_keys,
            flash: caller.visit.flash.clone(),
            here: caller.visit.here.clone(),
        }
    }
}

/// How certmill itself appears.
fn own_face() -> Face {
    let logo = Some(format!("/assets/{}", assets::icon()));
    Face { product: "certmill".into(), support: None, logo, style: None }
}

fn groups(caller: &Caller, path: &str) -> Vec<NavGroup> {
    let entry = |&(to, words, icon, key, permission): &Entry| {
        // The platform's people have a page for each tenant instead of one of their own.
        let is_wanted = to != "/branding" || caller.reach != Reach::Platform;
        (is_wanted && caller.may(permission)).then(|| NavEntry {
            path: to,
            words,
            icon,
            key,
            is_current: to == path,
        })
    };
    let groups = GROUPS
        .iter()
        .map(|(words, entries)| NavGroup { words, entries: entries.iter().filter_map(entry).collect() });
    groups.filter(|group| !group.entries.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_shortcut_leads_to_one_page() {
        let keys: Vec<_> =
            GROUPS.iter().flat_map(|(_, entries)| *entries).filter_map(|entry| entry.3).collect();
        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }
}
