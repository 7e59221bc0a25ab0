use certmill_model::Hostname;
use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, AAAA, CNAME},
    },
};

use super::*;
use crate::{Addresses, testing::server};

/// A server that answers for one name at a time, and leaves following to whoever asks.
async fn zone(records: &'static [(&'static str, &'static str)]) -> Resolver {
    let (address, _) = server(move |question| vec![answer(&question, records).to_vec().unwrap()]).await;
    Resolver::new(vec![address]).unwrap()
}

fn answer(question: &Message, records: &[(&str, &str)]) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    let mut code = ResponseCode::NXDomain;
    for (_, value) in records.iter().filter(|(owner, _)| *owner == text(query.name())) {
        code = ResponseCode::NoError;
        match (value.parse(), query.query_type()) {
            (Ok(IpAddr::V4(v4)), RecordType::A) => add(&mut answer, &query, RData::A(A(v4))),
            (Ok(IpAddr::V6(v6)), RecordType::AAAA) => add(&mut answer, &query, RData::AAAA(AAAA(v6))),
            (Ok(_), _) => {}
            (Err(_), RecordType::AAAA) if *value == "broken AAAA" => code = ResponseCode::ServFail,
            (Err(_), _) if value.contains(' ') => {}
            (Err(_), _) => {
                let target = Name::from_ascii(format!("{value}.")).unwrap();
                add(&mut answer, &query, RData::CNAME(CNAME(target)));
            }
        }
    }
    answer.metadata.response_code = code;
    answer.add_query(query);
    answer
}

fn add(answer: &mut Message, query: &Query, data: RData) {
    answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
}

async fn look_up(records: &'static [(&'static str, &'static str)]) -> Result<Addresses, LookupError> {
    zone(records).await.addresses(&Hostname::parse("shop.test").unwrap()).await
}

#[tokio::test]
async fn cname_records_are_followed_from_answer_to_answer() {
    let records = &[
        ("shop.test", "lb.platform.test"),
        ("lb.platform.test", "eu.platform.test"),
        ("eu.platform.test", "192.0.2.1"),
        ("eu.platform.test", "2001:db8::1"),
    ];
    let seen = look_up(records).await.unwrap();
    assert_eq!(seen.cname_chain, ["lb.platform.test", "eu.platform.test"]);
    assert_eq!((seen.v4.len(), seen.v6.len()), (1, 1));
}

#[tokio::test]
async fn a_circle_over_several_answers_is_named() {
    let error =
        look_up(&[("shop.test", "b.test"), ("b.test", "c.test"), ("c.test", "b.test")]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the CNAME records go round in a circle: shop.test -> b.test -> c.test -> b.test"
    );
}

#[tokio::test]
async fn a_chain_over_many_answers_ends() {
    let records = &[
        ("shop.test", "1.test"),
        ("1.test", "2.test"),
        ("2.test", "3.test"),
        ("3.test", "4.test"),
        ("4.test", "5.test"),
        ("5.test", "6.test"),
        ("6.test", "7.test"),
        ("7.test", "8.test"),
        ("8.test", "9.test"),
        ("9.test", "192.0.2.1"),
    ];
    assert!(matches!(look_up(records).await, Err(LookupError::CnameTooLong(chain)) if chain.len() == 10));
}

#[tokio::test]
async fn a_cname_that_leads_nowhere_is_told_with_its_target() {
    let error = look_up(&[("shop.test", "gone.platform.test")]).await.unwrap_err();
    assert_eq!(error.to_string(), "gone.platform.test does not exist in DNS (a CNAME of shop.test)");
}

#[tokio::test]
async fn a_name_with_other_records_only_has_no_addresses() {
    let error = look_up(&[("shop.test", "some text")]).await.unwrap_err();
    assert_eq!(error.to_string(), "shop.test has neither an A nor an AAAA record");
}

#[tokio::test]
async fn addresses_of_one_kind_are_enough_when_the_other_kind_is_broken() {
    let seen = look_up(&[("shop.test", "192.0.2.1"), ("shop.test", "broken AAAA")]).await.unwrap();
    assert_eq!((seen.v4.len(), seen.v6.len()), (1, 0));
    let broken = look_up(&[("shop.test", "broken AAAA")]).await.unwrap_err();
    assert!(matches!(broken, LookupError::ServerFailure { answer, .. } if answer == "SERVFAIL"));
}

#[tokio::test]
async fn a_server_that_fails_is_not_the_last_word() {
    let (failing, _) = server(|question| {
        let mut answer = answer(&question, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let good = zone(&[("shop.test", "192.0.2.1")]).await;
    let resolver = Resolver::new(vec![failing, good.servers[0]]).unwrap();
    let seen = resolver.addresses(&Hostname::parse("shop.test").unwrap()).await.unwrap();
    assert_eq!(seen.seen_from, good.servers[0]);
}

#[test]
fn the_machine_s_servers_are_read_from_its_configuration() {
    let configuration = "# x\nnameserver 192.0.2.1\nsearch a.test\nnameserver 2001:db8::1\nnameserver none\n";
    let expected: Vec<SocketAddr> =
        vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
    assert_eq!(name_servers(configuration), expected);
}

#[test]
fn without_a_server_there_is_no_resolver() {
    assert!(matches!(Resolver::new(Vec::new()), Err(NoServers)));
}
