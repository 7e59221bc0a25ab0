//! Why a lookup told nothing.

use std::net::SocketAddr;

use certmill_model::ProblemCode;

/// Why a lookup gave no records; each is a sentence about what was seen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist (NXDOMAIN).
    #[error("{name} does not exist in DNS{}", behind(.cname_chain))]
    NotFound {
        /// The name that does not exist: the one asked for, or where its CNAME records lead.
        name: String,
        /// The CNAME records that led there, the name asked for first; empty without any.
        cname_chain: Vec<String>,
    },
    /// The name exists, but has neither A nor AAAA records.
    #[error("{name} has neither an A nor an AAAA record{}", behind(.cname_chain))]
    NoAddresses {
        /// The name without addresses: the one asked for, or where its CNAME records lead.
        name: String,
        /// The CNAME records that led there, the name asked for first; empty without any.
        cname_chain: Vec<String>,
    },
    /// CNAME records that lead back to themselves.
    #[error("the CNAME records go round in a circle: {}", .0.join(" -> "))]
    CnameLoop(Vec<String>),
    /// More CNAME records in a row than anybody follows.
    #[error("the CNAME records go on for too long: {}", .0.join(" -> "))]
    CnameTooLong(Vec<String>),
    /// The name servers of the domain answer with an error, or with nonsense.
    #[error("the name servers of {name} fail ({answer}, asked by {server})")]
    ServerFailure {
        /// The name asked for.
        name: String,
        /// The error: SERVFAIL, REFUSED …
        answer: String,
        /// The resolver that told us.
        server: SocketAddr,
    },
    /// No answer came in time.
    #[error("no answer about {name} came from {server}")]
    Timeout {
        /// The name asked for.
        name: String,
        /// The resolver that was asked last.
        server: SocketAddr,
    },
    /// What should be a zone of its own is none: it has no NS records.
    #[error("{name} is no zone: it has no NS records (seen from {server})")]
    NotAZone {
        /// The name asked for.
        name: String,
        /// The resolver that said so.
        server: SocketAddr,
    },
    /// A text that is no DNS name, or a name too long for DNS.
    #[error("{name} cannot be looked up: it is no DNS name, or too long for one")]
    InvalidName {
        /// The text, cut if it is very long.
        name: String,
    },
}

impl LookupError {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        match self {
            Self::NotFound { .. } | Self::NoAddresses { .. } | Self::InvalidName { .. } => {
                ProblemCode::DnsNotFound
            }
            Self::NotAZone { .. } => ProblemCode::DnsZoneUnavailable,
            Self::CnameLoop(_)
            | Self::CnameTooLong(_)
            | Self::ServerFailure { .. }
            | Self::Timeout { .. } => ProblemCode::DnsServfail,
        }
    }
}

fn behind(cname_chain: &[String]) -> String {
    match cname_chain {
        [] => String::new(),
        chain => format!(" (a CNAME of {})", chain.join(" -> ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_end_of_a_chain_and_the_way_there() {
        let error = LookupError::NotFound {
            name: "gone.platform.test".to_owned(),
            cname_chain: vec!["shop.test".to_owned()],
        };
        assert_eq!(error.to_string(), "gone.platform.test does not exist in DNS (a CNAME of shop.test)");
    }
}
