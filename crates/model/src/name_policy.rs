//! Which valid names we take: not those that no CA can certify, nor those that the platform keeps for itself.

use std::collections::HashSet;

use crate::{Hostname, hostname::to_ascii};

/// Names reserved for special use (RFC 6761, 6762, 7686, 8375, 9476 and ICANN's `internal`).
const SPECIAL_USE: [&str; 12] = [
    "test",
    "example",
    "invalid",
    "localhost",
    "local",
    "internal",
    "onion",
    "arpa",
    "alt",
    "example.com",
    "example.net",
    "example.org",
];

/// Which names are taken in.
#[derive(Clone, Debug, Default)]
pub struct NamePolicy {
    allowed_special_use: Vec<String>,
    blocked: HashSet<String>,
    blocked_suffixes: HashSet<String>,
    /// The names whose wildcard would cover a blocked one.
    covering: HashSet<String>,
}

/// Why a valid name is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameRefused {
    /// The name can exist only inside a network or in documentation.
    #[error("names below {0:?} are reserved for special use: no public certificate can be issued for them")]
    SpecialUse(&'static str),
    /// The platform keeps the name for itself.
    #[error("the name {0:?} is reserved on this platform")]
    Blocked(String),
}

/// A line of a list of blocked names that means nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {text:?} is neither a name nor a dot and a suffix")]
pub struct InvalidBlockList {
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl NamePolicy {
    /// A policy that takes names below the given special-use names all the same, for a CA of one's own.
    pub fn allowing_special_use(names: impl IntoIterator<Item = String>) -> Self {
        let allowed_special_use = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { allowed_special_use, ..Self::default() }
    }

    /// The same, without the names in `list`: one in a line, in A-label or U-label form; with a dot in front it means the
    /// name and everything below; what follows a `#` is a comment. A wildcard that would cover one of them is blocked too.
    pub fn blocking(mut self, list: &str) -> Result<Self, InvalidBlockList> {
        for (at, line) in list.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            let (is_suffix, name) = entry.strip_prefix('.').map_or((false, entry), |suffix| (true, suffix));
            let name =
                reserved(name).ok_or_else(|| InvalidBlockList { line: at + 1, text: entry.to_owned() })?;
            self.covering.extend(name.split_once('.').map(|(_, above)| above.to_owned()));
            let kind = if is_suffix { &mut self.blocked_suffixes } else { &mut self.blocked };
            kind.insert(name);
        }
        Ok(self)
    }

    /// Whether `name` is taken.
    pub fn check(&self, name: &Hostname) -> Result<(), NameRefused> {
        let below = |suffix: &str| {
            name.base().strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if self.is_blocked(name) {
            return Err(NameRefused::Blocked(name.to_string()));
        }
        match SPECIAL_USE.into_iter().find(|suffix| below(suffix)) {
            Some(suffix) if !self.allowed_special_use.iter().any(|allowed| allowed == suffix) => {
                Err(NameRefused::SpecialUse(suffix))
            }
            _ => Ok(()),
        }
    }

    fn is_blocked(&self, name: &Hostname) -> bool {
        let mut above = Some(name.base());
        let mut names_above = std::iter::from_fn(|| {
            let this = above?;
            above = this.split_once('.').map(|(_, rest)| rest);
            Some(this)
        });
        self.blocked.contains(name.base())
            || name.is_wildcard() && self.covering.contains(name.base())
            || names_above.any(|name| self.blocked_suffixes.contains(name))
    }
}

/// The A-label form of an entry, which may be a name that no shop could have, such as `localhost`.
fn reserved(entry: &str) -> Option<String> {
    let is_plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name = entry.strip_suffix('.').unwrap_or(entry);
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_plain) {
        return None;
    }
    to_ascii(name).ok().map(|name| name.to_ascii_lowercase())
}

impl NameRefused {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SpecialUse(_) => "name_special_use",
            Self::Blocked(_) => "name_blocked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_use_names_are_taken_only_where_the_operator_allows_them() {
        let name = Hostname::parse("shop1.example-shops.test").unwrap();
        assert_eq!(NamePolicy::default().check(&name), Err(NameRefused::SpecialUse("test")));
        assert_eq!(NamePolicy::allowing_special_use(["test".into()]).check(&name), Ok(()));
    }

    #[test]
    fn wildcards_are_taken() {
        assert_eq!(NamePolicy::default().check(&Hostname::parse("*.shop.com").unwrap()), Ok(()));
    }

    #[test]
    fn only_whole_labels_count() {
        let policy = NamePolicy::default();
        assert!(policy.check(&Hostname::parse("my-example.com").unwrap()).is_ok());
        assert!(policy.check(&Hostname::parse("shop.contest").unwrap()).is_ok());
        assert!(policy.check(&Hostname::parse("a.example.com").unwrap()).is_err());
        assert!(policy.check(&Hostname::parse("router.home.arpa").unwrap()).is_err());
    }

    const LIST: &str =
        "# the platform's own\napi.platform.com\n.corp.platform.com  # and below\nbücher.de\n\n.Internal\n";

    fn blocked(name: &str) -> bool {
        let policy = NamePolicy::default().blocking(LIST).unwrap();
        matches!(policy.check(&Hostname::parse(name).unwrap()), Err(NameRefused::Blocked(_)))
    }

    #[test]
    fn a_blocked_name_its_wildcard_and_the_wildcard_that_covers_it_are_refused() {
        assert!(blocked("api.platform.com"));
        assert!(blocked("*.api.platform.com"));
        assert!(blocked("*.platform.com"));
        assert!(!blocked("platform.com"));
        assert!(!blocked("shop.api.platform.com"), "an exact entry says nothing of names below");
        assert!(!blocked("xapi.platform.com"));
    }

    #[test]
    fn a_suffix_blocks_the_name_and_everything_below_it() {
        assert!(blocked("corp.platform.com"));
        assert!(blocked("a.b.corp.platform.com"));
        assert!(blocked("*.corp.platform.com"));
        assert!(!blocked("mycorp.platform.com"));
    }

    #[test]
    fn an_international_name_is_blocked_in_both_its_forms() {
        assert!(blocked("bücher.de"));
        assert!(blocked("xn--bcher-kva.de"));
        assert!(blocked("BÜCHER.de."));
    }

    #[test]
    fn a_line_that_is_no_name_is_told_with_its_number() {
        for bad in ["*.platform.com", "two names", "a..b", ".", "a/b", "-x.com"] {
            let refused = NamePolicy::default().blocking(&format!("ok.com\n{bad}\n")).unwrap_err();
            assert_eq!(refused, InvalidBlockList { line: 2, text: bad.to_owned() });
        }
    }
}
