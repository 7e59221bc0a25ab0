//! What an answer says. Answers are hostile input: sizes and depths are bounded, and nothing is believed by its place.

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

/// The longest chain of CNAME records that is followed.
pub(crate) const MAX_CNAMES: usize = 8;

/// More records of one kind than any name of a shop has; the rest of an answer is not looked at.
const MAX_RECORDS: usize = 64;

/// What became of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// An answer, even if it is that there is nothing.
    Known(Known),
    /// CNAME records that nobody can follow to an end.
    Endless(Endless),
    /// An error of the server, or what is no answer.
    Failure(String),
}

/// What is at a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Known {
    /// The names on the way, the name asked for first; empty without CNAME records.
    pub(crate) cname_chain: Vec<Name>,
    /// Where the chain ends in this answer.
    pub(crate) end: Name,
    /// The records there of the kind that was asked for: none when the chain goes on elsewhere or ends in nothing.
    pub(crate) records: Vec<RData>,
    /// Whether the end exists, with these records or with others.
    pub(crate) exists: bool,
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

/// Reads the answer to `query`. CNAME records are followed as far as they lead in this answer, unless they are what was
/// asked for (RFC 1034 section 3.6.2).
pub(crate) fn read(message: &Message, query: &Query) -> Answer {
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Answer::Failure(name_of(code));
    }
    let followed = match query.query_type() {
        RecordType::CNAME => Ok((Vec::new(), query.name().clone())),
        _ => follow(query.name(), &message.answers),
    };
    let (cname_chain, end) = match followed {
        Ok(followed) => followed,
        Err(endless) => return Answer::Endless(endless),
    };
    let records = records_at(&message.answers, &end, query.query_type());
    let records: Vec<_> = records.take(MAX_RECORDS).cloned().collect();
    let exists = code == ResponseCode::NoError || !records.is_empty();
    Answer::Known(Known { cname_chain, end, records, exists })
}

/// What `records` have for this name and kind; as many as fit into a message.
pub(crate) fn records_at<'a>(
    records: &'a [Record],
    name: &Name,
    kind: RecordType,
) -> impl Iterator<Item = &'a RData> {
    let here = move |record: &&Record| record.name == *name && record.record_type() == kind;
    records.iter().filter(here).map(|record| &record.data)
}

/// A response code by the name that people search for.
pub(crate) fn name_of(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
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

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
