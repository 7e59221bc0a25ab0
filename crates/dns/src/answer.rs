//! What an answer says. Answers are hostile input: sizes and depths are bounded, and nothing is believed by its place.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RData, Record},
};

/// The longest chain of CNAME records that is followed.
pub(crate) const MAX_CNAMES: usize = 8;

/// More addresses than any name of a shop has; the rest of an answer is not looked at.
const MAX_ADDRESSES: usize = 64;

/// What became of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Follow these; at their end are the addresses, none when the chain goes on elsewhere or ends in nothing.
    Found { cname_chain: Vec<Name>, end: Name, addresses: BTreeSet<IpAddr> },
    /// The end of the chain does not exist.
    NotFound { cname_chain: Vec<Name>, end: Name },
    /// CNAME records that nobody can follow to an end.
    Endless(Endless),
    /// An error of the server, or what is no answer.
    Failure(String),
    /// More than fits into a datagram: ask by TCP.
    Truncated,
}

/// A chain of CNAME records without an end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Endless {
    /// It leads back; the last name is one of those before it.
    Loop(Vec<Name>),
    /// It is longer than anybody follows.
    TooLong(Vec<Name>),
}

/// Whether `message` is the answer to this query, and not one that somebody else made up.
pub(crate) fn is_answer_to(message: &Message, id: u16, query: &Query) -> bool {
    message.metadata.id == id
        && message.metadata.message_type == MessageType::Response
        && message.queries.len() == 1
        && message.queries.first() == Some(query)
}

/// Reads the answer to a query for addresses.
pub(crate) fn read(message: &Message, query: &Query) -> Answer {
    if message.metadata.truncation {
        return Answer::Truncated;
    }
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Answer::Failure(name_of(code));
    }
    let (cname_chain, end) = match follow(query.name(), &message.answers) {
        Ok(followed) => followed,
        Err(endless) => return Answer::Endless(endless),
    };
    let at_end = |record: &&Record| record.name == end;
    let addresses: BTreeSet<_> =
        message.answers.iter().filter(at_end).filter_map(address).take(MAX_ADDRESSES).collect();
    if code == ResponseCode::NXDomain && addresses.is_empty() {
        return Answer::NotFound { cname_chain, end };
    }
    Answer::Found { cname_chain, end, addresses }
}

/// The names passed on the way, and the name at the end of it.
fn follow(start: &Name, records: &[Record]) -> Result<(Vec<Name>, Name), Endless> {
    let mut chain = Vec::new();
    let mut end = start.clone();
    while let Some(next) = records.iter().find_map(|record| target(record, &end)) {
        chain.push(end);
        end = next.clone();
        if chain.contains(&end) {
            chain.push(end);
            return Err(Endless::Loop(chain));
        }
        if chain.len() > MAX_CNAMES {
            chain.push(end);
            return Err(Endless::TooLong(chain));
        }
    }
    Ok((chain, end))
}

fn target<'a>(record: &'a Record, name: &Name) -> Option<&'a Name> {
    match &record.data {
        RData::CNAME(target) if record.name == *name => Some(&target.0),
        _ => None,
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn name_of(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
