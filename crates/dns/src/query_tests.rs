use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, TXT},
    },
};
use proptest::prelude::*;

use super::*;
use crate::testing::server;

fn query() -> Query {
    Query::query(Name::from_ascii("shop.test.").unwrap(), RecordType::A)
}

fn address_answer(question: &Message, last: u8) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_queries(question.queries.clone());
    let data = RData::A(A::new(192, 0, 2, last));
    answer.add_answer(Record::from_rdata(query().name().clone(), 60, data));
    answer
}

fn addresses(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Found { addresses, .. } => addresses.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn forged_answers_are_passed_over_until_the_true_one_comes() {
    let (address, _listener) = server(|question| {
        let mut wrong_id = address_answer(&question, 66);
        wrong_id.metadata.id = question.metadata.id.wrapping_add(1);
        let mut wrong_question = address_answer(&question, 66);
        wrong_question.queries[0].set_query_type(RecordType::TXT);
        let messages = [wrong_id, wrong_question, address_answer(&question, 1)];
        let bytes = messages.iter().map(|message| message.to_vec().unwrap());
        [vec![1], Vec::new()].into_iter().chain(bytes).collect()
    })
    .await;
    assert_eq!(addresses(ask(address, &query()).await.unwrap()), ["192.0.2.1"]);
}

#[tokio::test]
async fn an_answer_too_long_for_a_datagram_comes_by_tcp() {
    let (address, listener) = server(|question| {
        let mut answer = address_answer(&question, 66);
        answer.metadata.truncation = true;
        vec![answer.to_vec().unwrap()]
    })
    .await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await.unwrap();
        let mut answer = address_answer(&Message::from_vec(&question).unwrap(), 2);
        let filler = RData::TXT(TXT::new(vec!["x".repeat(200); 250]));
        answer.add_additional(Record::from_rdata(query().name().clone(), 60, filler));
        let bytes = answer.to_vec().unwrap();
        assert!(bytes.len() > 50_000);
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    });
    assert_eq!(addresses(ask(address, &query()).await.unwrap()), ["192.0.2.2"]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_a_failure_of_the_server() {
    let (address, _listener) = server(|question| {
        let mut bytes = address_answer(&question, 1).to_vec().unwrap();
        let cut = bytes.len() - 3;
        bytes.truncate(cut);
        vec![bytes]
    })
    .await;
    assert!(matches!(ask(address, &query()).await, Ok(Answer::Failure(_))));
}

#[tokio::test]
async fn a_server_s_refusal_is_named() {
    let (address, _listener) = server(|question| {
        let mut answer = address_answer(&question, 1);
        answer.metadata.response_code = ResponseCode::Refused;
        vec![answer.to_vec().unwrap()]
    })
    .await;
    assert!(matches!(ask(address, &query()).await, Ok(Answer::Failure(code)) if code == "REFUSED"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_answer_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let begin = tokio::time::Instant::now();
    assert!(ask(address, &query()).await.is_err());
    assert!(begin.elapsed() < PATIENCE);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes, 7, &query());
    }

    #[test]
    fn random_bytes_behind_a_true_beginning_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..600),
        counts in any::<[u8; 8]>(),
    ) {
        // Id, flags of an answer, counts, the question as asked, and then anything.
        let mut bytes = vec![0, 7, 0x81, 0x80];
        bytes.extend(counts);
        bytes.extend(b"\x04shop\x04test\x00\x00\x01\x00\x01");
        bytes.extend(tail);
        decode(&bytes, 7, &query());
    }

    #[test]
    fn a_true_answer_with_flipped_bytes_never_panics(flips in prop::collection::vec((0..80_usize, any::<u8>()), 0..8)) {
        let mut message = Message::query();
        message.add_query(query());
        let mut bytes = address_answer(&message, 1).to_vec().unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        decode(&bytes, message.metadata.id, &query());
    }
}
