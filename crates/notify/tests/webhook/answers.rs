//! What endpoints answer, and how.

use std::time::Duration;

use certmill_notify::webhook::{SendError, sign};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;

use crate::server::{KEY, Server, send, sender};

#[tokio::test]
async fn a_message_has_the_headers_of_the_standard_and_comes_whole() {
    let server = Server::saying("127.0.0.1", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthank").await;
    let answer = send(&sender(&["127.0.0.1/32"]), &server.url()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str(), answer.retry_after), (200, "thank", None));
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"type":"webhook.test"}"#);
    let at = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let signature = format!("webhook-signature: {}", sign(&[KEY], "evt_1", at, body));
    for line in [
        "POST /hook HTTP/1.1",
        "content-type: application/json",
        "webhook-id: evt_1",
        "webhook-timestamp: 1790000000",
        signature.as_str(),
    ] {
        assert!(head.lines().any(|found| found == line), "{line}\n{head}");
    }
}

#[tokio::test]
async fn an_endpoint_may_ask_for_a_wait() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 120\r\ncontent-length: 4\r\n\r\nlate";
    let server = Server::saying("127.0.0.1", busy).await;
    let answer = send(&sender(&["127.0.0.1/32"]), &server.url()).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (503, Some(time::Duration::minutes(2))));
}

#[tokio::test]
async fn of_a_body_without_end_a_kilobyte_is_kept() {
    let server = Server::new("127.0.0.1", |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
    })
    .await;
    let answer = send(&sender(&["127.0.0.1/32"]), &server.url()).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 1_024));
}

#[tokio::test]
async fn a_body_that_drips_does_not_hold_up_what_was_taken() {
    let server = Server::new("127.0.0.1", |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let answer = send(&sender(&["127.0.0.1/32"]), &server.url()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!((1..1_024).contains(&answer.body.len()), "{}", answer.body.len());
}

#[tokio::test]
async fn a_head_that_drips_is_given_up() {
    let server = Server::new("127.0.0.1", |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert_eq!(send(&sender(&["127.0.0.1/32"]), &server.url()).await, Err(SendError::Timeout(15)));
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let server = Server::new("127.0.0.1", |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").await;
        while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
    })
    .await;
    assert_eq!(send(&sender(&["127.0.0.1/32"]), &server.url()).await, Err(SendError::Protocol));
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let server = Server::saying("127.0.0.1", "220 mail.example ESMTP\r\n").await;
    assert_eq!(send(&sender(&["127.0.0.1/32"]), &server.url()).await, Err(SendError::Protocol));
}

#[tokio::test]
async fn control_characters_of_an_answer_are_not_kept() {
    let server =
        Server::saying("127.0.0.1", "HTTP/1.1 400 Bad\r\ncontent-length: 8\r\n\r\na\0b\u{1b}[1m\n").await;
    let answer = send(&sender(&["127.0.0.1/32"]), &server.url()).await.unwrap();
    assert_eq!(answer.body, "ab[1m\n");
}
