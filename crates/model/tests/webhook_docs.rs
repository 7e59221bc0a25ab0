//! The documentation of webhooks says what the code does.

use certmill_model::{EventKind, WEBHOOK_RETRIES};

const DOCS: &str = include_str!("../../../docs/webhooks.md");

#[test]
fn every_type_of_event_is_documented_as_it_is() {
    for kind in EventKind::ALL {
        let quiet = if kind.is_quiet() { "yes" } else { "" };
        let row = format!("| `{}` | {quiet} | {} |", kind.public_type(), kind.meaning());
        assert!(DOCS.lines().any(|line| line == row), "{row}");
    }
    let rows = DOCS.split_once("## Types").unwrap().1.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), EventKind::ALL.len());
}

#[test]
fn every_wait_before_an_attempt_is_documented_as_it_is() {
    for (place, wait) in WEBHOOK_RETRIES.iter().enumerate() {
        let words = match wait.whole_seconds() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds @ 60..3600 => format!("{} min", seconds / 60),
            seconds => format!("{} h", seconds / 3600),
        };
        let row = format!("| {} | {words} |", place + 1);
        assert!(DOCS.lines().any(|line| line == row), "{row}");
    }
}
