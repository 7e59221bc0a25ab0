//! The zone that a provider writes to, and the names in it.

use super::{InvalidProvider, ProviderError};

/// The name of a zone of ours: lower case, no trailing dot.
pub(super) struct Zone(String);

impl Zone {
    pub(super) fn parse(name: &str) -> Result<Self, InvalidProvider> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if is_dns_name(&name) {
            return Ok(Self(name));
        }
        Err(InvalidProvider::new("zone", "it is not a DNS name"))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// What stands before the zone in a record's name. Some providers append the zone to a name that they do not find
    /// in it, hence nobody is asked about such a name.
    pub(super) fn relative<'a>(&self, name: &'a str) -> Result<&'a str, ProviderError> {
        let outside = || ProviderError::settings("zone", format!("{name:?} is not a name in {}", self.0));
        let at = name.len().checked_sub(self.0.len()).ok_or_else(outside)?;
        let (relative, zone) = name.split_at_checked(at).ok_or_else(outside)?;
        let relative = relative.strip_suffix('.').ok_or_else(outside)?;
        if zone.eq_ignore_ascii_case(&self.0) && is_dns_name(name) { Ok(relative) } else { Err(outside()) }
    }
}

/// Letters, digits, hyphens and underscores in labels that are not too long.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_place_in_the_zone_or_is_refused() {
        let zone = Zone::parse("ACME.example.").unwrap();
        assert_eq!(zone.relative("_acme-challenge.k7.acme.Example"), Ok("_acme-challenge.k7"));
        for outside in
            ["acme.example", "k7.example", "k7acme.example", "", "ä.acme.example", "..acme.example"]
        {
            let refused = zone.relative(outside).unwrap_err();
            assert!(matches!(refused, ProviderError::Settings { setting: "zone", .. }), "{outside}");
        }
    }

    #[test]
    fn what_is_no_dns_name_is_no_zone() {
        for bad in ["", ".", "a..b", "zone;", "ä.example", "a b", &"a.".repeat(200), &"a".repeat(64)] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }
}
