//! A hundred thousand lines in one request to the real program, which holds none of them for longer than it takes to store it.

use std::{convert::Infallible, time::Instant};

use bytes::{Bytes, BytesMut};
use certmill_lab::{Lab, Options, service::Role};
use certmill_tests::{Growth, MINUTE, Stage, until, until_all};
use futures_util::stream;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Lines, and lines that are sent at a time.
const LINES: usize = 100_000;
const AT_ONCE: usize = 100;

/// The length of a line, in bytes: all together are more than three times what may be held.
const LENGTH: usize = 1_024;

/// How much more the process may hold than before, in MiB.
const BOUND: u64 = 32;

/// A line about a name that is not registered. What is read of it is long as well: who held that instead of the bytes would be seen.
fn line(number: usize) -> String {
    let part = "x".repeat(50);
    let name = format!("{part}.{part}.{part}.{part}.line-{number}.test");
    let line = json!({ "op": "check", "name": name, "ref": format!("{number:0>200}") }).to_string();
    format!("{line:<width$}\n", width = LENGTH - 1)
}

/// So many lines, made as they are sent.
fn lines(count: usize) -> impl Body<Data = Bytes, Error = Infallible> {
    let parts = (1..=count).step_by(AT_ONCE).map(move |first| {
        let part: String = (first..=count.min(first + AT_ONCE - 1)).map(line).collect();
        Ok(Frame::data(Bytes::from(part)))
    });
    StreamBody::new(stream::iter(parts))
}

async fn send<B>(stage: &Stage, request: Request<B>) -> Response<Incoming>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let tcp = TcpStream::connect(stage.lab.description().responder).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

fn request(stage: &Stage, method: &str, path: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "certmill.test");
    request.header("authorization", format!("Bearer {}", stage.shops.token()))
}

/// Sends so many lines; the operation that they are.
async fn upload(stage: &Stage, count: usize) -> Value {
    let upload = request(stage, "POST", "/v1/bulk").header("content-type", "application/x-ndjson");
    let answer = send(stage, upload.body(lines(count)).unwrap()).await;
    let status = answer.status();
    let operation: Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((status.as_u16(), &operation["progress"]["total"]), (202, &count.into()), "{operation}");
    operation
}

/// Waits until `count` lines have their results; an operation whose last line has one ends with its next turn.
async fn done(stage: &Stage, count: usize) {
    let results = "SELECT COALESCE(sum(done), 0)::bigint FROM operations";
    until_all("every line has its result", count as i64, async || stage.database.count(results).await).await;
    let open = "SELECT count(*) FROM operations WHERE status <> 'succeeded'";
    until("every operation has ended", MINUTE, async || match stage.database.count(open).await {
        0 => Ok(()),
        open => Err(format!("{open} have not")),
    })
    .await;
}

/// Reads results as they come; how many there are, in the order of the lines and with what is true of each.
async fn read(mut results: Incoming) -> usize {
    let (mut open, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = results.frame().await {
        open.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
            let result: Value = serde_json::from_slice(&open.split_to(end + 1)).unwrap();
            seen += 1;
            let told = (&result["line"], &result["status"], &result["problem"]["code"]);
            assert_eq!(told, (&seen.into(), &404.into(), &"domain_not_found".into()), "{result}");
        }
    }
    assert!(open.is_empty(), "the last line is whole");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_lines_come_in_and_go_out_in_bounded_memory() {
    let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
    let stage = Stage::on(lab, &[]).await;
    let web = stage.service.start(Role::Serve, &[]).await.unwrap();
    let growth = Growth::of(web.process_id().unwrap());
    let started = Instant::now();
    let operation = upload(&stage, LINES).await;
    report("came in", started, &growth);

    let started = Instant::now();
    let _worker = stage.service.start(Role::Work, &[]).await.unwrap();
    done(&stage, LINES).await;
    report("were worked on", started, &growth);

    let growth = Growth::of(web.process_id().unwrap());
    let results = format!("/v1/operations/{}/results", operation["id"].as_str().unwrap());
    let started = Instant::now();
    let answer = send(&stage, request(&stage, "GET", &results).body(Empty::new()).unwrap()).await;
    assert_eq!(read(answer.into_body()).await, LINES);
    report("went out", started, &growth);
}

/// As many as are worked on at a time are longer than a turn; all are there before the first is worked on.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_operation_does_not_wait_for_the_end_of_long_ones() {
    let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
    let stage = Stage::on(lab, &[]).await;
    let _web = stage.service.start(Role::Serve, &[]).await.unwrap();
    let counts = [20_000, 20_000, 1];
    for count in counts {
        upload(&stage, count).await;
    }
    let _worker = stage.service.start(Role::Work, &[]).await.unwrap();
    done(&stage, counts.iter().sum()).await;
    let before = "SELECT count(*) FROM operations WHERE finished_at < (SELECT finished_at FROM operations WHERE total = 1)";
    assert_eq!(stage.database.count(before).await, 0, "no long one ended before the short one");
}

/// Says how fast it was; how much was held is asserted.
#[expect(clippy::print_stdout, reason = "the figures are shown when they are asked for")]
fn report(what: &str, since: Instant, growth: &Growth) {
    let (seconds, held) = (since.elapsed().as_secs_f64(), growth.mebibytes());
    println!("{LINES} lines {what}: {:.0} a second, {held} MiB more at most", LINES as f64 / seconds);
    assert!(held <= BOUND, "{what}: {held} MiB more than before");
}
