//! Which valid names we take: not those that no CA can certify.

use crate::Hostname;

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
}

/// Why a valid name is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameRefused {
    /// The name can exist only inside a network or in documentation.
    #[error("names below {0:?} are reserved for special use: no public certificate can be issued for them")]
    SpecialUse(&'static str),
}

impl NamePolicy {
    /// A policy that takes names below the given special-use names all the same, for a CA of one's own.
    pub fn allowing_special_use(names: impl IntoIterator<Item = String>) -> Self {
        Self { allowed_special_use: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether `name` is taken.
    pub fn check(&self, name: &Hostname) -> Result<(), NameRefused> {
        let below = |suffix: &str| {
            name.base().strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match SPECIAL_USE.into_iter().find(|suffix| below(suffix)) {
            Some(suffix) if !self.allowed_special_use.iter().any(|allowed| allowed == suffix) => {
                Err(NameRefused::SpecialUse(suffix))
            }
            _ => Ok(()),
        }
    }
}

impl NameRefused {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SpecialUse(_) => "name_special_use",
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
}
