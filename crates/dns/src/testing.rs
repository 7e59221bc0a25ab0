//! DNS servers for tests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CAA, CNAME, NS, TXT},
    },
};
use tokio::net::{TcpListener, UdpSocket};

use crate::{Resolver, name::text};

/// A server at a port of its own that answers each datagram with what `answers` makes of it.
pub(crate) async fn server(
    answers: impl Fn(Message) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, TcpListener) {
    // The same port for both; another test may have taken it for one of them.
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for answer in answers(Message::from_vec(&buffer[..length]).unwrap()) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    (address, listener)
}

/// What a server was asked: `CNAME shop.test` …
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// A resolver whose server knows these records, as in `("shop.test", "CNAME lb.test")`, and fails where one is
/// `SERVFAIL`. It leaves following to whoever asks.
pub(crate) async fn resolver(records: &'static [(&'static str, &'static str)]) -> (Resolver, Asked) {
    let asked = Asked::default();
    let notes = asked.clone();
    let (address, _) = server(move |question| {
        let query = &question.queries[0];
        notes.lock().unwrap().push(format!("{} {}", query.query_type(), text(query.name())));
        vec![answer(&question, query, records).to_vec().unwrap()]
    })
    .await;
    (Resolver::new(vec![address]).unwrap(), asked)
}

fn answer(question: &Message, query: &Query, records: &[(&str, &str)]) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.response_code = ResponseCode::NXDomain;
    answer.add_query(query.clone());
    for (_, record) in records.iter().filter(|(owner, _)| *owner == text(query.name())) {
        let (kind, data) = record.split_once(' ').unwrap_or((record, ""));
        answer.metadata.response_code = ResponseCode::NoError;
        if kind == "SERVFAIL" {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer;
        }
        let data = rdata(kind, data);
        if [query.query_type(), RecordType::CNAME].contains(&data.record_type()) {
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
    }
    answer
}

fn rdata(kind: &str, data: &str) -> RData {
    let name = || Name::from_ascii(format!("{data}.")).unwrap();
    match kind {
        "A" => RData::A(A(data.parse().unwrap())),
        "CNAME" => RData::CNAME(CNAME(name())),
        "NS" => RData::NS(NS(name())),
        "TXT" => RData::TXT(TXT::new(vec![data.to_owned()])),
        "CAA" => RData::CAA(CAA::new_issue(false, Some(name()), Vec::new())),
        other => panic!("{other}"),
    }
}
