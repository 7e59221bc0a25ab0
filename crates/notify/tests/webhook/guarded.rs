//! Where nothing is sent: seen by servers there, which nobody connects to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use certmill_model::{DestinationRefused, WebhookUrl};
use certmill_notify::webhook::SendError;

use crate::server::{Server, saying, send, sender, sender_looking};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

const NOT_PUBLIC: SendError = SendError::Refused(DestinationRefused::NotPublic);

#[tokio::test]
async fn no_form_of_an_inner_address_is_connected_to() {
    let server = Server::saying("127.0.0.1", OK).await;
    let port = server.address.port();
    for host in
        ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[::1]", "0.0.0.0"]
    {
        let url: WebhookUrl = format!("http://{host}:{port}/").parse().unwrap();
        assert_eq!(send(&sender(&[]), &url).await, Err(NOT_PUBLIC), "{host}");
    }
    for host in ["0x7f.1", "2130706433", "127.1", "0177.0.0.1"] {
        assert!(format!("http://{host}:{port}/").parse::<WebhookUrl>().is_err(), "{host}");
    }
    let url: WebhookUrl = format!("https://localhost:{port}/").parse().unwrap();
    assert_eq!(send(&sender(&[]), &url).await, Err(NOT_PUBLIC));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_at_each_question_is_judged_by_the_answer_that_is_connected_to() {
    let inner = Server::saying("127.0.0.1", OK).await;
    // Stands for the world: the only address that may be sent to.
    let outer =
        Server::at((std::net::Ipv4Addr::new(127, 0, 0, 2), inner.address.port()).into(), |stream| async {
            let mut stream = stream;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, OK.as_bytes()).await;
        })
        .await;
    let questions = Arc::new(AtomicUsize::new(0));
    let asked = questions.clone();
    let flipping = saying(move || {
        let is_even = asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        vec![if is_even { "127.0.0.2" } else { "127.0.0.1" }.parse().unwrap()]
    });
    let url: WebhookUrl = format!("http://rebind.example:{}/", inner.address.port()).parse().unwrap();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..10 {
        // A sender of its own, so that no connection is used twice.
        match send(&sender_looking(&["127.0.0.2/32"], flipping.clone()), &url).await {
            Ok(answer) => taken += usize::from(answer.status == 200),
            Err(error) => refused += usize::from(error == NOT_PUBLIC),
        }
    }
    assert_eq!((taken, refused), (5, 5));
    assert_eq!(questions.load(Ordering::SeqCst), 10, "one question for each connection");
    assert_eq!((outer.connections(), inner.connections()), (5, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_sent_to_are_tried() {
    let inner = Server::saying("127.0.0.1", OK).await;
    let both = saying(|| vec!["127.0.0.1".parse().unwrap(), "127.0.0.3".parse().unwrap()]);
    let url: WebhookUrl = format!("http://both.example:{}/", inner.address.port()).parse().unwrap();
    // Nobody listens at the other one.
    assert_eq!(send(&sender_looking(&["127.0.0.3/32"], both), &url).await, Err(SendError::Connection));
    assert_eq!(inner.connections(), 0);
    assert_eq!(send(&sender_looking(&[], saying(Vec::new)), &url).await, Err(SendError::NoAddress));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_leads_nowhere() {
    let inner = Server::saying("127.0.0.1", OK).await;
    let location = format!("http://{}/latest/meta-data", inner.address);
    let redirect: &'static str =
        format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").leak();
    let outer = Server::saying("127.0.0.2", redirect).await;
    let answer = send(&sender(&["127.0.0.0/8"]), &outer.url()).await.unwrap();
    assert_eq!((answer.status, inner.connections()), (302, 0));
}
