//! No text of somebody else adds a header, a line or markup to a mail.

use certmill_model::{
    AlertId, AlertLetter, AlertLevel, Brand, DigestAlert, DigestFrequency, DigestLetter, Letter, Listed,
    Occasion, ProblemCode, Record,
};
use certmill_notify::{Envelope, MailError, Site, Unsubscribe, compose, write};
use proptest::prelude::*;
use time::OffsetDateTime;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Every kind of letter with `text` in each place that somebody else may fill.
fn letters(text: &str) -> Vec<Letter> {
    let text = || text.to_owned();
    let brand = || Brand { product: text(), sender_name: text(), support_link: Some(text()) };
    let records = || vec![Record { name: text(), kind: text(), value: text() }];
    let alert = |names| AlertLetter {
        alert_id: AlertId::nil(),
        occasion: Occasion::Opened,
        level: AlertLevel::Late,
        code: ProblemCode::CaaForbids,
        tenant: Some(text()),
        about: Some(text()),
        names,
        first: vec![Listed { name: text(), ends_at: Some(NOW) }],
        since: NOW,
        last_attempt_at: NOW,
        next_attempt_at: None,
        detail: text(),
        at: NOW,
    };
    let one = || {
        vec![DigestAlert {
            code: ProblemCode::Internal,
            about: Some(text()),
            level: AlertLevel::Late,
            names: 1,
        }]
    };
    vec![
        Letter::Alert(Box::new(alert(1))),
        Letter::Alert(Box::new(alert(30))),
        Letter::Digest(Box::new(DigestLetter {
            frequency: DigestFrequency::Daily,
            tenant: Some(text()),
            from: NOW,
            until: NOW,
            domains: vec![(text(), 1)],
            issued: 0,
            failed: 0,
            opened: one(),
            resolved: one(),
            open: one(),
            forecast: vec![(NOW, 1)],
        })),
        Letter::Invitation { invited_by: text(), organisation: text(), link: text(), expires_at: NOW },
        Letter::PasswordReset { link: text(), expires_at: NOW },
        Letter::OwnerSetUp { brand: brand(), name: text(), records: records(), link: text() },
        Letter::OwnerWorks { brand: brand(), name: text() },
    ]
}

fn envelope(text: &str) -> Envelope {
    Envelope {
        to: "ops@shops.example".into(),
        from: "certmill@example.com".into(),
        from_name: text.to_owned(),
        date: NOW,
        message_id: text.to_owned(),
        in_reply_to: Some(text.to_owned()),
        list_id: Some(text.to_owned()),
        unsubscribe: Some(Unsubscribe { url: text.to_owned(), mailto: text.to_owned() }),
    }
}

/// The names of a message's headers, and the markup of its HTML without attributes' values and text.
fn shape(letter: &Letter, text: &str) -> (Vec<String>, Vec<String>) {
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    let written = write(letter, &site, "de", NOW);
    let message = compose(&envelope(text), &written).expect("a hostile text is no reason to fail");
    let raw = String::from_utf8(message.formatted()).expect("what is not ASCII is encoded");
    let head = raw.split("\r\n\r\n").next().unwrap();
    let headers = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    let headers = headers.map(|line| line.split(':').next().unwrap().to_owned()).collect();
    let tags =
        written.html.split('<').skip(1).map(|tag| {
            tag.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '!')).collect()
        });
    (headers, tags.collect())
}

fn hostile() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "\r\nBcc: evil@example.com",
        "\r\n\r\n<h1>",
        "<img src=x onerror=alert(1)>",
        "\"><script>",
        "\0",
        "\u{202e}",
        "\u{2028}",
        "javascript:alert(1)",
        "https://evil.example/",
        "{{ 7 * 7 }}",
        "é",
        "=?utf-8?q?x?=",
        "&lt;",
        "'",
        " ",
        ">",
        "<",
        "a",
    ]);
    prop::collection::vec(parts, 1..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_text_adds_neither_headers_nor_markup(text in hostile()) {
        // Nothing is left out because it is empty, and no link is one: beside what is said, the mails are of one shape.
        let text = format!("x{text}");
        for (hostile, plain) in letters(&text).iter().zip(&letters("plain")) {
            prop_assert_eq!(shape(hostile, &text), shape(plain, "plain"));
        }
    }

    #[test]
    fn the_text_part_has_no_line_that_somebody_else_began(text in "[a-z]{0,5}[\r\n\u{2028}]{1,4}FIX     [a-z]{1,20}") {
        let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
        for letter in &letters(&text) {
            let lines = write(letter, &site, "en", NOW).text;
            let fixes = lines.lines().filter(|line| line.starts_with("FIX     ")).count();
            prop_assert!(fixes <= 1, "{lines}");
        }
    }
}

#[test]
fn an_address_that_is_none_is_never_tried() {
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    let written = write(&Letter::Test, &site, "en", NOW);
    for to in ["", "nobody", "a@b\r\nBcc: c@d", "a b@example.com"] {
        let composed = compose(&Envelope { to: to.into(), ..envelope("x") }, &written);
        assert!(matches!(composed, Err(MailError::Never(_))), "{to:?}");
    }
}

#[test]
fn a_link_that_runs_something_is_no_button() {
    let letter = Letter::OwnerSetUp {
        brand: Brand {
            product: "Shops".into(),
            sender_name: "Shops".into(),
            support_link: Some("javascript:alert(1)".into()),
        },
        name: "shop.example".into(),
        records: vec![],
        link: "data:text/html,x".into(),
    };
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    assert!(!write(&letter, &site, "en", NOW).html.contains("href"));
}
