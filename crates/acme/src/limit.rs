//! Which limit of a CA was reached: told by where the CA links to, never by its prose.

use crate::{CaProblem, directory::is_web_url};

/// The limit that a CA refused something by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LimitHit {
    /// Orders of this account.
    Orders,
    /// Certificates for one registered domain.
    RegisteredDomain,
    /// Certificates for exactly these names.
    NameSet,
    /// Validations of one name that failed.
    FailedValidations,
    /// Requests, of whatever kind: a balancer in front of the CA refused, which knows nothing of orders.
    Requests,
    /// The CA does not say which.
    Unknown,
}

/// The sections of Let's Encrypt's page on its limits, each by how its anchor begins: what follows has changed from
/// host names to identifiers before.
const ANCHORS: [(&str, LimitHit); 5] = [
    ("new-orders-per-account", LimitHit::Orders),
    ("new-certificates-per-registered-domain", LimitHit::RegisteredDomain),
    ("new-certificates-per-exact-set-of-", LimitHit::NameSet),
    ("authorization-failures-per-", LimitHit::FailedValidations),
    ("consecutive-authorization-failures-per-", LimitHit::FailedValidations),
];

impl LimitHit {
    /// The limit behind a problem that is about one.
    pub(crate) fn of(problem: &CaProblem) -> Self {
        match (problem.short_kind(), problem.status) {
            // Let's Encrypt's balancer says so in ACME's own words, those of others with a page of HTML.
            ("rateLimited", Some(503)) | ("about:blank", _) => Self::Requests,
            _ => links(problem).find_map(by_anchor).unwrap_or(Self::Unknown),
        }
    }
}

/// Where a person ends the pause that Let's Encrypt lays on names that never succeed. Such a refusal is like that by a
/// limit, but no time ends it.
pub(crate) fn unpause_url(problem: &CaProblem) -> Option<String> {
    let mut links = links(problem);
    links.find(|url| url.split(['?', '#']).any(|part| part.ends_with("/unpause"))).map(str::to_owned)
}

fn by_anchor(url: &str) -> Option<LimitHit> {
    let (_, anchor) = url.split_once('#')?;
    ANCHORS.iter().find(|(begin, _)| anchor.starts_with(begin)).map(|(_, hit)| *hit)
}

/// The addresses of web pages in a problem: that of the answer's header, then those in its texts.
fn links(problem: &CaProblem) -> impl Iterator<Item = &str> {
    let parts = problem.subproblems.iter().map(|part| part.detail.as_str());
    let words = [problem.detail.as_str()].into_iter().chain(parts).flat_map(str::split_whitespace);
    let ends = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '_' | '-' | '=');
    let links = words.map(move |word| word.trim_matches(ends));
    problem.help.as_deref().into_iter().chain(links).filter(|word| is_web_url(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(detail: &str) -> CaProblem {
        let kind = "urn:ietf:params:acme:error:rateLimited".to_owned();
        CaProblem { kind, detail: detail.to_owned(), status: Some(429), ..CaProblem::default() }
    }

    #[test]
    fn the_anchor_of_the_link_tells_the_limit() {
        for (anchor, hit) in [
            ("new-orders-per-account", LimitHit::Orders),
            ("new-certificates-per-registered-domain", LimitHit::RegisteredDomain),
            ("new-certificates-per-exact-set-of-identifiers", LimitHit::NameSet),
            ("new-certificates-per-exact-set-of-hostnames", LimitHit::NameSet),
            ("authorization-failures-per-identifier-per-account", LimitHit::FailedValidations),
            ("authorization-failures-per-hostname-per-account", LimitHit::FailedValidations),
            ("consecutive-authorization-failures-per-identifier-per-account", LimitHit::FailedValidations),
            ("new-registrations-per-ip-address", LimitHit::Unknown),
        ] {
            for end in ["", ".", ")"] {
                let detail = format!("too many, see https://letsencrypt.org/docs/rate-limits/#{anchor}{end}");
                assert_eq!(LimitHit::of(&limited(&detail)), hit, "{detail}");
            }
        }
    }

    #[test]
    fn prose_tells_no_limit() {
        let detail =
            "too many new orders (300) from this account in the last 3h0m0s, #new-orders-per-account";
        assert_eq!(LimitHit::of(&limited(detail)), LimitHit::Unknown);
    }

    #[test]
    fn the_link_may_be_in_a_header() {
        let help = Some("https://ca.example/limits#new-orders-per-account".to_owned());
        assert_eq!(LimitHit::of(&CaProblem { help, ..limited("too many") }), LimitHit::Orders);
    }

    #[test]
    fn a_balancer_limits_requests() {
        let busy = CaProblem { status: Some(503), ..limited("Service busy; retry later.") };
        assert_eq!(LimitHit::of(&busy), LimitHit::Requests);
        assert_eq!(
            LimitHit::of(&CaProblem::from_body(429, b"<h1>Too Many Requests</h1>")),
            LimitHit::Requests
        );
    }

    #[test]
    fn a_pause_is_known_by_the_way_out_of_it() {
        let url = "https://sfe.ca.example/sfe/v1/unpause?jwt=eyJ.x-_.y";
        let detail = format!("Your account is temporarily prevented from that. Please visit: {url}");
        assert_eq!(unpause_url(&limited(&detail)).as_deref(), Some(url));
        for other in ["visit http://ca.example/unpause", "https://ca.example/limits#unpause", "unpause"] {
            assert_eq!(unpause_url(&limited(other)), None, "{other}");
        }
    }
}
