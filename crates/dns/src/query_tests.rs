use hickory_proto::rr::{
    Name, RData, Record, RecordType,
    rdata::{A, TXT},
};

use super::*;
use crate::testing::server;

fn question() -> Question {
    Question::recursive(Name::from_ascii("shop.test.").unwrap(), RecordType::A)
}

fn address_answer(question: &Message, last: u8) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_queries(question.queries.clone());
    let data = RData::A(A::new(192, 0, 2, last));
    answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, data));
    answer
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
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
    assert_eq!(addresses(&ask(address, &question()).await.unwrap()), ["192.0.2.1"]);
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
        let question = Message::from_vec(&question).unwrap();
        let mut answer = address_answer(&question, 2);
        let filler = RData::TXT(TXT::new(vec!["x".repeat(200); 250]));
        answer.add_additional(Record::from_rdata(question.queries[0].name().clone(), 60, filler));
        let bytes = answer.to_vec().unwrap();
        assert!(bytes.len() > 50_000);
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    });
    assert_eq!(addresses(&ask(address, &question()).await.unwrap()), ["192.0.2.2"]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_told_apart_from_silence() {
    let (address, _listener) = server(|question| {
        let mut bytes = address_answer(&question, 1).to_vec().unwrap();
        let cut = bytes.len() - 3;
        bytes.truncate(cut);
        vec![bytes]
    })
    .await;
    assert_eq!(ask(address, &question()).await.unwrap_err(), NoAnswer::Unreadable);
}

#[tokio::test]
async fn a_server_is_asked_for_recursion_or_for_its_own_records() {
    let (address, _listener) = server(|question| {
        let last = u8::from(question.metadata.recursion_desired);
        vec![address_answer(&question, last).to_vec().unwrap()]
    })
    .await;
    let name = question().query.name().clone();
    assert_eq!(addresses(&ask(address, &question()).await.unwrap()), ["192.0.2.1"]);
    let direct = Question::direct(name, RecordType::A);
    assert_eq!(addresses(&ask(address, &direct).await.unwrap()), ["192.0.2.0"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_answer_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let begin = tokio::time::Instant::now();
    assert!(ask(address, &question()).await.is_err());
    assert!(begin.elapsed() < PATIENCE);
}
