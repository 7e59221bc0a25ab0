//! Which CAs a name's owner allows (RFC 8659), asked before a CA asks: what it refuses counts against us.

mod issue;
mod lookup;
mod permission;

use std::{fmt, net::SocketAddr};

use crate::record_text::quoted;

pub use permission::{CaaForbids, CaaPermission, CaaQuestion};

/// The CAA records that rule a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaaRecords {
    /// The name that they rule, without `*.`.
    pub name: String,
    /// The nearest place that has any; none if no level up to the top-level domain has.
    pub found_at: Option<CaaPlace>,
    /// The records there.
    pub records: Vec<CaaRecord>,
    /// The resolver that said so.
    pub seen_from: SocketAddr,
}

/// Where CAA records stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaaPlace {
    /// The name that has them: the one ruled, one above it, or where CNAME records of those lead.
    pub owner: String,
    /// The name whose CNAME records led there, if any did.
    pub alias: Option<String>,
}

/// One CAA record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaaRecord {
    /// 128 for a property that no CA may overlook.
    pub flags: u8,
    /// The property: `issue`, `issuewild`, `iodef` …
    pub tag: String,
    /// The property's value, for `issue` a CA's domain name and parameters. Any bytes.
    pub value: Vec<u8>,
}

impl CaaRecord {
    /// RFC 8659 section 4.1: tags are the same in any case.
    fn is(&self, tag: &str) -> bool {
        self.tag.eq_ignore_ascii_case(tag)
    }
}

/// As in a zone file, without the owner.
impl fmt::Display for CaaRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAA {} {} {}", self.flags, self.tag, quoted(&self.value))
    }
}
