use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hickory_proto::{
    op::{Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{SOA, TXT},
    },
};

use super::*;
use crate::{testing::server, values_at};

const RECORD: &str = "x.acme.test";

/// A name server that shows what `texts` gives, one TXT record each, for its first, second … answer.
async fn name_server(name: &str, texts: impl Fn(usize) -> Vec<Vec<String>> + Send + 'static) -> NameServer {
    let asked = AtomicUsize::new(0);
    let (address, _) = server(move |question| {
        let texts = texts(asked.fetch_add(1, Ordering::Relaxed));
        vec![answer(&question, &texts).to_vec().unwrap()]
    })
    .await;
    NameServer::new(name, address)
}

fn answer(question: &Message, texts: &[Vec<String>]) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.authoritative = true;
    answer.add_queries(question.queries.clone());
    let owner = question.queries[0].name().clone();
    for texts in texts {
        answer.add_answer(Record::from_rdata(owner.clone(), 60, RData::TXT(TXT::new(texts.clone()))));
    }
    if texts.is_empty() {
        let zone = Name::from_ascii("acme.test.").unwrap();
        let soa = SOA::new(zone.clone(), zone.clone(), 41, 1, 1, 1, 1);
        answer.add_authority(Record::from_rdata(zone, 60, RData::SOA(soa)));
    }
    answer
}

fn text(value: &str) -> Vec<Vec<String>> {
    vec![vec![value.to_owned()]]
}

async fn wait(servers: &[NameServer], values: &[&str], patience: Duration) -> Result<(), NotVisible> {
    wait_until_visible(servers, RECORD, values, Instant::now() + patience).await
}

async fn only_trouble(server: NameServer) -> ServerTrouble {
    let error = wait(&[server], &["abc"], Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::DnsNotPropagated);
    error.servers[0].1.clone()
}

#[tokio::test]
async fn a_value_is_awaited_at_every_server_and_seen_soon_after_it_is_there() {
    let late = name_server("ns2.test", |asked| if asked < 3 { Vec::new() } else { text("abc") }).await;
    let servers = [name_server("ns1.test", |_| text("abc")).await, late];
    let begin = Instant::now();
    wait(&servers, &["abc"], Duration::from_secs(10)).await.unwrap();
    // 50 + 100 + 200 ms of waiting.
    assert!(begin.elapsed() >= Duration::from_millis(350) && begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn every_value_is_wanted_others_may_stand_beside_them_and_one_may_be_in_pieces() {
    let both =
        || vec![vec!["other".to_owned()], vec!["ab".to_owned(), "c".to_owned()], vec!["def".to_owned()]];
    let server = name_server("ns1.test", move |_| both()).await;
    wait(std::slice::from_ref(&server), &["abc", "def"], Duration::from_secs(1)).await.unwrap();
    assert_eq!(values_at(&server, RECORD).await.unwrap(), ["other", "abc", "def"]);
    let missing = wait(&[server], &["abc", "xyz"], Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(missing.servers[0].1, ServerTrouble::Stale { serial: None });
}

#[test]
fn hundreds_of_values_of_other_orders_do_not_hide_ours() {
    let name = Name::from_ascii("x.acme.test.").unwrap();
    let mut question = Message::query();
    question.add_query(Query::query(name.clone(), RecordType::TXT));
    let crowd: Vec<_> = (0..900).map(|number| vec![format!("{number:043}")]).collect();
    let answer = Message::from_vec(&answer(&question, &crowd).to_vec().unwrap()).unwrap();
    assert!(shows_all(&answer, &name, &[&format!("{:043}", 899)]));
}

#[tokio::test]
async fn each_server_s_trouble_is_named_and_the_good_ones_are_not() {
    let good = name_server("good.test", |_| text("abc")).await;
    let stale = name_server("stale.test", |_| Vec::new()).await;
    let dead = NameServer::new("dead.test", "127.0.0.1:1".parse().unwrap());
    let lost = NameServer { name: "lost.test".to_owned(), address: None };
    let servers = [good, stale, dead, lost];
    let error = wait(&servers, &["abc"], Duration::from_millis(300)).await.unwrap_err();
    let stale = servers[1].address.unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "x.acme.test is not to be seen everywhere: stale.test ({stale}) does not have the value yet (its zone has \
             serial 41); dead.test (127.0.0.1:1) does not answer; lost.test has no address"
        )
    );
}

#[tokio::test]
async fn an_answer_without_authority_or_with_an_error_does_not_count() {
    let answering = |change: fn(&mut Message)| async move {
        let (address, _) = server(move |question| {
            let mut answer = answer(&question, &text("abc"));
            change(&mut answer);
            vec![answer.to_vec().unwrap()]
        })
        .await;
        NameServer::new("ns1.test", address)
    };
    let recursor = answering(|answer| answer.metadata.authoritative = false).await;
    assert_eq!(only_trouble(recursor).await, ServerTrouble::NotAuthoritative);
    let failing = answering(|answer| answer.metadata.response_code = ResponseCode::ServFail).await;
    assert_eq!(only_trouble(failing).await, ServerTrouble::Failing("SERVFAIL".to_owned()));
    let foreign =
        answering(|answer| answer.answers[0].name = Name::from_ascii("y.acme.test.").unwrap()).await;
    assert_eq!(only_trouble(foreign).await, ServerTrouble::Stale { serial: None });
}

#[tokio::test]
async fn a_silent_server_takes_no_longer_than_the_deadline() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let (address, _) = server(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    })
    .await;
    let begin = Instant::now();
    assert_eq!(only_trouble(NameServer::new("ns1.test", address)).await, ServerTrouble::Dead);
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_zone_without_servers_shows_nothing() {
    let error = wait(&[], &["abc"], Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "no name server is known that could show x.acme.test");
}

#[test]
fn a_machine_without_ipv6_needs_no_ipv6_address_of_a_server_that_shows_the_values_at_another() {
    let (both, only) = ("both.test".to_owned(), "only.test".to_owned());
    let at = |name: &String, address: &str| NameServer::new(name, address.parse().unwrap());
    let (v4, v6) = (at(&both, "192.0.2.1:53"), at(&both, "[2001:db8::1]:53"));
    let lonely = at(&only, "[2001:db8::2]:53");
    let no_route = || Err(ServerTrouble::NoRoute);
    let outcomes = [(&v4, Ok(())), (&v6, no_route()), (&lonely, no_route())];
    assert_eq!(troubled(&outcomes), [(lonely.clone(), ServerTrouble::NoRoute)]);
    let outcomes = [(&v4, Err(ServerTrouble::Dead)), (&v6, no_route())];
    assert_eq!(troubled(&outcomes).len(), 2);
}
