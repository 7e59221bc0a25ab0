//! What CAs say about renewals, in every shape.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use certmill_model::{RenewalAnswer, SuggestedWindow};
use futures_util::stream;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::ca::{ScriptedCa, json_answer, problem, with_header};

const CERTIFICATE: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
const PATH: &str = "/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

async fn ask(answer: impl Fn() -> Response + Send + Sync + 'static) -> RenewalAnswer {
    let ca = ScriptedCa::start(move |asked| (asked.path == PATH).then(&answer)).await;
    let answer = ca.client().await.unwrap().renewal_info(CERTIFICATE).await;
    assert_eq!(ca.asked(PATH), 1);
    answer
}

fn document() -> Value {
    json!({"suggestedWindow": {"start": "2026-11-22T00:00:00Z", "end": "2026-11-23T01:00:00+01:00"}})
}

fn window(explanation_url: Option<&str>, retry_after: Option<time::Duration>) -> RenewalAnswer {
    let (start, end) = (datetime!(2026-11-22 0:00 UTC), datetime!(2026-11-23 0:00 UTC));
    let window = SuggestedWindow::new(start, end).unwrap();
    RenewalAnswer::Window { window, explanation_url: explanation_url.map(str::to_owned), retry_after }
}

fn busy(seconds: Option<i64>) -> RenewalAnswer {
    RenewalAnswer::Busy { retry_after: seconds.map(time::Duration::seconds) }
}

#[tokio::test]
async fn a_window_is_taken_with_the_time_of_the_next_question() {
    let answer = ask(|| with_header(json_answer(200, &document()), "21600")).await;
    assert_eq!(answer, window(None, Some(time::Duration::hours(6))));
}

#[tokio::test]
async fn the_time_of_the_next_question_may_be_a_date() {
    let answer = ask(|| with_header(json_answer(200, &document()), "Sat, 21 Nov 2026 12:30:00 GMT")).await;
    assert_eq!(answer, window(None, Some(time::Duration::minutes(30))));
}

#[tokio::test]
async fn a_window_is_good_without_the_time_of_the_next_question() {
    assert_eq!(ask(|| json_answer(200, &document())).await, window(None, None));
    assert_eq!(ask(|| with_header(json_answer(200, &document()), "soon")).await, window(None, None));
}

#[tokio::test]
async fn the_page_that_explains_a_window_is_handed_on_if_it_is_a_page() {
    let with = |url: Value| {
        move || {
            let mut document = document();
            document["explanationURL"] = url.clone();
            json_answer(200, &document)
        }
    };
    let page = "https://ca.example/incident/7";
    assert_eq!(ask(with(page.into())).await, window(Some(page), None));
    for other in [json!("javascript:alert(1)"), json!("http://ca.example/"), json!(7), json!(null)] {
        assert_eq!(ask(with(other)).await, window(None, None));
    }
}

#[tokio::test]
async fn what_is_no_window_is_of_no_use() {
    let day = |start: &str, end: &str| json!({"suggestedWindow": {"start": start, "end": end}});
    for document in [
        day("2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z"),
        day("2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"),
        day("tomorrow", "2026-11-21T00:00:00Z"),
        day("99999-11-22T00:00:00Z", "99999-12-22T00:00:00Z"),
        day("2026-11-22T00:00:00Z", "9999-12-31T23:59:59-01:00"),
        day("2026-11-22T00:00:00Z", "9999-12-31T23:59:60Z"),
        day("0000-01-01T00:00:00+23:59", "2026-11-22T00:00:00Z"),
        day("1969-12-31T23:59:59Z", "2026-11-22T00:00:00Z"),
        json!({"suggestedWindow": {"start": "2026-11-22T00:00:00Z"}}),
        json!({"suggestedWindow": []}),
        json!({}),
        json!("hello"),
    ] {
        let answer = ask(move || with_header(json_answer(200, &document), "60")).await;
        assert_eq!(answer, RenewalAnswer::Useless);
    }
    assert_eq!(ask(|| "<h1>Welcome</h1>".into_response()).await, RenewalAnswer::Useless);
}

#[tokio::test]
async fn an_unknown_certificate_is_of_no_use() {
    for status in [400, 401, 404, 410] {
        let answer = ask(move || with_header(json_answer(status, &problem("malformed", "no")), "60")).await;
        assert_eq!(answer, RenewalAnswer::Useless, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_of_no_use() {
    assert_eq!(ask(|| Redirect::temporary("/elsewhere").into_response()).await, RenewalAnswer::Useless);
}

#[tokio::test]
async fn a_busy_ca_is_asked_again_when_it_says() {
    for status in [429, 500, 503] {
        let page = move || (StatusCode::from_u16(status).unwrap(), "<h1>no</h1>").into_response();
        assert_eq!(ask(move || with_header(page(), "120")).await, busy(Some(120)), "{status}");
        assert_eq!(ask(page).await, busy(None), "{status}");
    }
}

#[tokio::test]
async fn a_ca_that_does_not_answer_is_busy() {
    let ca = ScriptedCa::start(|asked| {
        (asked.path == PATH)
            .then(|| Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())))
    })
    .await;
    assert_eq!(ca.client().await.unwrap().renewal_info(CERTIFICATE).await, busy(None));
}

#[tokio::test]
async fn an_endless_answer_about_a_renewal_is_of_no_use() {
    let endless = || {
        // Large pieces: the end is to come by size, not by time.
        let spaces = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 16_384])));
        Response::new(Body::from_stream(spaces))
    };
    assert_eq!(ask(endless).await, RenewalAnswer::Useless);
}

#[tokio::test]
async fn a_ca_is_asked_about_no_certificate_without_a_name() {
    let ca = ScriptedCa::start(|_| None).await;
    let client = ca.client().await.unwrap();
    for odd in ["a b", "", "\u{e9}"] {
        assert_eq!(client.renewal_info(odd).await, RenewalAnswer::Useless, "{odd:?}");
    }
}
