use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::*;

const OURS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\nabcdef.certmill";

/// What a server was asked, in one text.
type Asked = Arc<Mutex<String>>;

/// A server at `address` that answers everything with these bytes, again and again if `endless`.
async fn server(address: &str, answer: &str, endless: bool) -> (u16, Asked) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, answer) = (Asked::default(), answer.to_owned());
    let notes = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4_096];
            let length = stream.read(&mut buffer).await.unwrap();
            notes.lock().unwrap().push_str(str::from_utf8(&buffer[..length]).unwrap());
            while stream.write_all(answer.as_bytes()).await.is_ok() && endless {}
        }
    });
    (port, asked)
}

async fn look_at(port: u16, addresses: &[&str]) -> Result<(), Unreachable> {
    let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    challenge_path(&Hostname::parse("*.shop.test").unwrap(), &addresses, port, "abcdef").await
}

async fn answered(answer: &str) -> Result<(), Unreachable> {
    let (port, _) = server("127.0.0.1:0", answer, false).await;
    look_at(port, &["127.0.0.1"]).await
}

#[tokio::test]
async fn our_own_answer_at_the_name_s_challenge_path_is_right() {
    let (port, asked) = server("127.0.0.1:0", OURS, false).await;
    assert_eq!(look_at(port, &["127.0.0.1"]).await, Ok(()));
    let asked = asked.lock().unwrap().to_lowercase();
    assert!(asked.starts_with("get /.well-known/acme-challenge/abcdef http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nhost: shop.test\r\n"), "{asked}");
}

#[tokio::test]
async fn one_wrong_address_among_right_ones_is_named() {
    let (port, _) = server("127.0.0.1:0", OURS, false).await;
    server(
        &format!("127.0.0.2:{port}"),
        "HTTP/1.1 404 Not Found\r\nserver: old-host\r\ncontent-length: 0\r\n\r\n",
        false,
    )
    .await;
    let error = look_at(port, &["127.0.0.1", "127.0.0.2"]).await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::HttpWrongResponse);
    let expected = format!("somebody else answers for shop.test at 127.0.0.2:{port}: 404 from old-host");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_redirect_is_told_as_what_it_is() {
    let answer = "HTTP/1.1 301 Moved\r\nlocation: https://www.shop.test/\r\ncontent-length: 0\r\n\r\n";
    let error = answered(answer).await.unwrap_err();
    assert!(error.to_string().ends_with(": 301 to https://www.shop.test/"), "{error}");
}

#[tokio::test]
async fn a_stranger_s_page_is_shown_in_few_printable_characters() {
    let page = format!("<h1>\u{1b}[31mParked\0\u{202e}</h1>\r\n{}", "x".repeat(500));
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    let ReachTrouble::WrongResponse(what) = answered(&answer).await.unwrap_err().trouble else {
        panic!("no answer")
    };
    assert!(what.starts_with("200, \"<h1> [31mParked </h1> xxx"), "{what}");
    assert_eq!(what.chars().count(), "200, \"…\"".chars().count() + MAX_SHOWN);
}

#[tokio::test]
async fn almost_our_answer_is_not_our_answer() {
    for body in ["abcdef.certmill\n", "abcdef", "xabcdef.certmill", ""] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert!(answered(&answer).await.is_err(), "{body:?}");
    }
    assert!(answered(&OURS.replace("200 OK", "201 Created")).await.is_err());
}

#[tokio::test]
async fn an_endless_body_and_endless_headers_are_left_at_once() {
    let begin = Instant::now();
    let chunk = format!("HTTP/1.1 200 OK\r\n\r\n{}", "y".repeat(4_000));
    let (port, _) = server("127.0.0.1:0", &chunk, true).await;
    let error = look_at(port, &["127.0.0.1"]).await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::HttpWrongResponse);

    let (port, _) = server("127.0.0.1:0", "HTTP/1.1 200 OK\r\nx: ", true).await;
    let error = look_at(port, &["127.0.0.1"]).await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::HttpUnreachable);
    assert!(begin.elapsed() < PATIENCE);
}

#[tokio::test]
async fn what_is_no_http_and_what_refuses_is_named_with_its_address() {
    let error = answered("220 mail.test ESMTP\r\n").await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::HttpUnreachable);

    let refused = look_at(1, &["127.0.0.1"]).await.unwrap_err();
    assert_eq!(refused.to_string(), "shop.test cannot be reached at 127.0.0.1:1: the connection is refused");
    let nowhere = look_at(80, &[]).await.unwrap_err();
    assert_eq!(nowhere.to_string(), "shop.test cannot be reached: it has no address");
}

#[tokio::test]
async fn silence_is_not_waited_for_any_longer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begin = Instant::now();
    let error = look_at(listener.local_addr().unwrap().port(), &["127.0.0.1"]).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer came within 5 s"), "{error}");
    assert!(begin.elapsed() < PATIENCE * 2);
}
