use hickory_proto::{
    op::OpCode,
    rr::{
        RecordType,
        rdata::{A, CNAME, TXT},
    },
};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

fn query() -> Query {
    Query::query(name("shop.test"), RecordType::A)
}

fn cname(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

fn a(owner: &str, last: u8) -> Record {
    Record::from_rdata(name(owner), 60, RData::A(A::new(192, 0, 2, last)))
}

fn answer(code: ResponseCode, records: Vec<Record>) -> Message {
    let mut message = Message::response(7, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(query()).add_answers(records);
    message
}

fn read_answer(records: Vec<Record>) -> Answer {
    read(&answer(ResponseCode::NoError, records), &query())
}

fn known(answer: Answer) -> Known {
    match answer {
        Answer::Known(known) => known,
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_are_found_at_the_end_of_a_chain_in_any_order_and_case() {
    let records =
        vec![a("lb.platform.test", 1), cname("SHOP.test", "LB.platform.test"), a("lb.platform.test", 2)];
    let known = known(read_answer(records));
    assert_eq!(known.cname_chain, [name("shop.test")]);
    assert_eq!(known.end, name("lb.platform.test"));
    assert_eq!(known.records.len(), 2);
}

#[test]
fn addresses_of_other_names_are_not_believed() {
    assert!(known(read_answer(vec![a("bank.test", 1)])).records.is_empty());
}

#[test]
fn records_of_other_kinds_are_not_counted_as_what_was_asked_for() {
    let records = vec![
        a("shop.test", 1),
        Record::from_rdata(name("shop.test"), 60, RData::TXT(TXT::new(vec!["x".to_owned()]))),
    ];
    assert_eq!(known(read_answer(records)).records, [RData::A(A::new(192, 0, 2, 1))]);
}

#[test]
fn cname_records_are_not_followed_when_they_are_what_was_asked_for() {
    let records = vec![cname("shop.test", "b.test"), cname("b.test", "shop.test")];
    let mut query = query();
    query.set_query_type(RecordType::CNAME);
    let known = known(read(&answer(ResponseCode::NoError, records), &query));
    assert_eq!(known.records, [RData::CNAME(CNAME(name("b.test")))]);
    assert!(known.cname_chain.is_empty());
}

#[test]
fn a_circle_of_cname_records_is_named() {
    let records = vec![cname("shop.test", "b.test"), cname("b.test", "shop.test")];
    let circle = vec![name("shop.test"), name("b.test"), name("shop.test")];
    assert_eq!(read_answer(records), Answer::Endless(Endless::Loop(circle)));
    let own = vec![cname("shop.test", "shop.test")];
    assert_eq!(read_answer(own), Answer::Endless(Endless::Loop(vec![name("shop.test"), name("shop.test")])));
}

#[test]
fn a_chain_is_followed_for_eight_records() {
    let chain = |length: usize| {
        let owner = |index| if index == 0 { "shop.test".to_owned() } else { format!("n{index}.test") };
        (0..length).map(|index| cname(&owner(index), &owner(index + 1))).collect::<Vec<_>>()
    };
    assert!(known(read_answer(chain(8))).cname_chain.len() == 8);
    assert!(matches!(read_answer(chain(9)), Answer::Endless(Endless::TooLong(_))));
    assert!(matches!(read_answer(chain(500)), Answer::Endless(Endless::TooLong(_))));
}

#[test]
fn no_such_name_is_told_apart_from_servers_that_fail() {
    let chained = vec![cname("shop.test", "gone.test")];
    let known = known(read(&answer(ResponseCode::NXDomain, chained), &query()));
    assert!(!known.exists && known.cname_chain == [name("shop.test")] && known.end == name("gone.test"));
    let failed = answer(ResponseCode::ServFail, Vec::new());
    assert_eq!(read(&failed, &query()), Answer::Failure("SERVFAIL".to_owned()));
}

#[test]
fn answers_to_other_questions_are_not_ours() {
    let message = answer(ResponseCode::NoError, Vec::new());
    assert!(is_answer_to(&message, 7, &query()));
    assert!(!is_answer_to(&message, 8, &query()));
    assert!(!is_answer_to(&message, 7, &Query::query(name("shop.test"), RecordType::AAAA)));
    assert!(!is_answer_to(&message, 7, &Query::query(name("other.test"), RecordType::A)));
    let mut asked_back = message.clone();
    asked_back.metadata.message_type = MessageType::Query;
    assert!(!is_answer_to(&asked_back, 7, &query()));
}

#[test]
fn a_flood_of_records_is_cut() {
    let records = (0..2_000_u16).map(|number| a("shop.test", number as u8)).collect();
    assert_eq!(known(read_answer(records)).records.len(), MAX_RECORDS);
}

proptest! {
    #[test]
    fn records_in_any_disorder_never_panic(edges in prop::collection::vec((0..12_u8, 0..12_u8, any::<bool>()), 0..40)) {
        let label = |number: u8| if number == 0 { "shop.test".to_owned() } else { format!("n{number}.test") };
        let records = edges.into_iter().map(|(from, to, is_address)| {
            if is_address { a(&label(from), to) } else { cname(&label(from), &label(to)) }
        });
        read_answer(records.collect());
    }
}
