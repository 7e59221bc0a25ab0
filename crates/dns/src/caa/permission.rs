//! Whether CAA records let our CA issue, and which record would.

use std::fmt;

use certmill_model::{ChallengeKind, ProblemCode};

use super::{
    CaaPlace, CaaRecord, CaaRecords,
    issue::{ACCOUNT_URI, Issue, VALIDATION_METHODS},
};

/// More records than anybody wants to read of one name.
const MAX_SHOWN: usize = 8;

/// What we are going to order.
#[derive(Clone, Copy, Debug)]
pub struct CaaQuestion<'a> {
    /// The domain names by which the CA knows itself in CAA records (`caaIdentities`, RFC 8555 section 7.1.1); empty
    /// if it does not say.
    pub identities: &'a [String],
    /// Whether it is for `*.`.
    pub is_wildcard: bool,
    /// How the name is to be proved.
    pub method: ChallengeKind,
    /// Our account at the CA; empty if there is none yet.
    pub account_url: &'a str,
}

/// Why nothing stands in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CaaPermission {
    /// No record restricts who may issue.
    Unrestricted,
    /// A record names our CA.
    Named,
    /// Records restrict who may issue, and the CA does not say what it is called in them: only it can tell.
    UnknownCa,
}

/// CAA records that do not let our CA issue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaaForbids {
    /// What was to be certified, with its `*.`.
    pub name: String,
    /// Where the records stand.
    pub found_at: CaaPlace,
    /// The records that forbid.
    pub records: Vec<CaaRecord>,
    remedy: Box<Remedy>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Remedy {
    /// None of them names the CA: one more is to.
    Add { property: &'static str, identity: String },
    /// No CA knows what it demands.
    Remove,
    /// It names the CA, but with a parameter that does not fit.
    Change { parameter: &'static str, value: String },
}

impl CaaRecords {
    /// Whether a CA may issue what is asked (RFC 8659 section 4, RFC 8657).
    pub fn permits(&self, asked: &CaaQuestion<'_>) -> Result<CaaPermission, CaaForbids> {
        let (property, relevant) = self.relevant(asked.is_wildcard);
        let demands: Vec<_> = self.records.iter().filter(|record| is_unknown_and_critical(record)).collect();
        let (Some(found_at), false) = (&self.found_at, relevant.is_empty() && demands.is_empty()) else {
            return Ok(CaaPermission::Unrestricted);
        };
        let Some(identity) = asked.identities.first() else { return Ok(CaaPermission::UnknownCa) };
        let (records, remedy) = match permission(&relevant, asked) {
            _ if !demands.is_empty() => (demands, Remedy::Remove),
            Ok(permission) => return Ok(permission),
            Err(Some((record, remedy))) => (vec![record], remedy),
            Err(None) => (relevant, Remedy::Add { property, identity: identity.clone() }),
        };
        let name = if asked.is_wildcard { format!("*.{}", self.name) } else { self.name.clone() };
        let records = records.into_iter().cloned().collect();
        Err(CaaForbids { name, found_at: found_at.clone(), records, remedy: Box::new(remedy) })
    }

    /// RFC 8659 section 4.3: for wildcards `issuewild`, if there is any, is all that counts.
    fn relevant(&self, is_wildcard: bool) -> (&'static str, Vec<&CaaRecord>) {
        let of =
            |tag: &'static str| -> Vec<_> { self.records.iter().filter(|record| record.is(tag)).collect() };
        let wild = of("issuewild");
        if is_wildcard && !wild.is_empty() { ("issuewild", wild) } else { ("issue", of("issue")) }
    }
}

impl CaaForbids {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        ProblemCode::CaaForbids
    }

    /// The exact record to add, to change or to remove, in one sentence.
    pub fn fix(&self) -> String {
        let owner = &self.found_at.owner;
        match &*self.remedy {
            Remedy::Add { property, identity } => format!("Add {owner} CAA 0 {property} \"{identity}\"."),
            Remedy::Remove => format!("Remove {}.", self.lines(owner).join(" and ")),
            Remedy::Change { parameter, value } => {
                format!("In {}, set {parameter} to {value}.", self.lines(owner).join(" and "))
            }
        }
    }

    fn lines(&self, owner: &str) -> Vec<String> {
        self.records.iter().take(MAX_SHOWN).map(|record| format!("{owner} {record}")).collect()
    }
}

impl fmt::Display for CaaForbids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.lines(&self.found_at.owner).join(", "))?;
        if let Some(alias) = &self.found_at.alias {
            write!(f, " (where the CNAME record of {alias} leads)")?;
        }
        match &*self.remedy {
            Remedy::Add { identity, .. } => write!(f, " does not let {identity} issue for {}", self.name),
            Remedy::Remove => write!(f, " lets no CA issue for {}: it is critical, and unknown", self.name),
            Remedy::Change { parameter, value } => {
                write!(f, " does not let us order {}: its {parameter} is not {value}", self.name)
            }
        }
    }
}

impl std::error::Error for CaaForbids {}

/// Whether one of the records permits; if not, the first that at least names the CA, and what to change in it.
fn permission<'a>(
    records: &[&'a CaaRecord],
    asked: &CaaQuestion<'_>,
) -> Result<CaaPermission, Option<(&'a CaaRecord, Remedy)>> {
    if records.is_empty() {
        return Ok(CaaPermission::Unrestricted);
    }
    let mut nearest = None;
    for record in records.iter().copied() {
        let issue = Issue::parse(&record.value).filter(|issue| issue.names(asked.identities));
        let Some(issue) = issue else { continue };
        match misfit(&issue, asked) {
            None => return Ok(CaaPermission::Named),
            Some(remedy) => nearest = nearest.or(Some((record, remedy))),
        }
    }
    Err(nearest)
}

/// What to change in a value that names the CA, so that it fits us.
fn misfit(issue: &Issue<'_>, asked: &CaaQuestion<'_>) -> Option<Remedy> {
    if !asked.account_url.is_empty() && !issue.allows_account(asked.account_url) {
        return Some(Remedy::Change { parameter: ACCOUNT_URI, value: asked.account_url.to_owned() });
    }
    if issue.allows_method(asked.method) {
        return None;
    }
    Some(Remedy::Change { parameter: VALIDATION_METHODS, value: asked.method.as_str().to_owned() })
}

/// Flag 128 is the critical one; many take it for 1, so that Let's Encrypt counts that as well.
fn is_unknown_and_critical(record: &CaaRecord) -> bool {
    let known = ["issue", "issuewild", "issuemail", "iodef"];
    record.flags & (128 | 1) != 0 && !known.iter().any(|tag| record.is(tag))
}

#[cfg(test)]
#[path = "permission_tests.rs"]
mod tests;
