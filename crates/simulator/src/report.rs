//! The outcome as a table, as CSV and as pictures.

use std::fmt::Write;

use crate::{Day, Outcome, chart::Chart};

/// Days of a line of the table.
const MONTH: usize = 30;

/// The outcome for people. Its last line is the verdict.
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::from(HEAD);
    for (number, days) in outcome.days.chunks(MONTH).enumerate() {
        text.push_str(&row(number * MONTH, days));
    }
    text.push('\n');
    for line in remarks(outcome) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", verdict(outcome));
    text
}

/// A line per day.
pub fn csv(outcome: &Outcome) -> String {
    let mut text = String::from(
        "day,orders,new,renewed,in_window,deferred,waiting,age_p50_seconds,age_p99_seconds,rate_limited,unavailable,expired,polls\n",
    );
    for (number, day) in outcome.days.iter().enumerate() {
        let Day {
            new, renewed, in_window, deferred, waiting, rate_limited, unavailable, expired, polls, ..
        } = day;
        let (orders, median, most) = (day.orders(), day.age(0.5), day.age(0.99));
        let _ = writeln!(
            text,
            "{number},{orders},{new},{renewed},{in_window},{deferred},{waiting},{median},{most},{rate_limited},{unavailable},{expired},{polls}"
        );
    }
    text
}

/// Pictures of the year: a file name and an SVG document each.
pub fn charts(outcome: &Outcome) -> [(&'static str, String); 4] {
    let of = |value: fn(&Day) -> f64| outcome.days.iter().map(value).collect::<Vec<_>>();
    let chart = |title, lines: &[(&'static str, Vec<f64>)]| Chart { title, lines }.svg();
    [
        (
            "orders.svg",
            chart(
                "Certificates a day",
                &[("all", of(|day| f64::from(day.orders()))), ("new names", of(|day| f64::from(day.new)))],
            ),
        ),
        (
            "queue-age.svg",
            chart(
                "Minutes from due to renewed",
                &[
                    ("p99", of(|day| f64::from(day.age(0.99)) / 60.0)),
                    ("p50", of(|day| f64::from(day.age(0.5)) / 60.0)),
                ],
            ),
        ),
        (
            "deferred.svg",
            chart(
                "Names that wait, at the end of each day",
                &[
                    ("for a limit", of(|day| f64::from(day.deferred))),
                    ("for a worker", of(|day| f64::from(day.waiting))),
                ],
            ),
        ),
        (
            "trouble.svg",
            chart(
                "429s and expired certificates a day",
                &[
                    ("429s", of(|day| f64::from(day.rate_limited))),
                    ("expired", of(|day| f64::from(day.expired))),
                ],
            ),
        ),
    ]
}

const HEAD: &str = "\
   days        orders  orders/day  peak/mean  in window  deferred  age p50  age p99   429s  expired  polls/s\n";

fn row(first: usize, days: &[Day]) -> String {
    let sum = |value: fn(&Day) -> u32| days.iter().map(|day| u64::from(value(day))).sum::<u64>();
    let (orders, renewed) = (sum(Day::orders), sum(|day| day.renewed));
    let mean = orders as f64 / days.len() as f64;
    let peak = days.iter().map(Day::orders).max().unwrap_or_default();
    let ratio = if orders == 0 { String::from("-") } else { format!("{:.2}", f64::from(peak) / mean) };
    let in_window = match renewed {
        0 => String::from("-"),
        _ => format!("{:.1} %", 100.0 * sum(|day| day.in_window) as f64 / renewed as f64),
    };
    let deferred = days.iter().map(|day| day.deferred).max().unwrap_or_default();
    let polls = days.iter().map(|day| day.polls).sum::<u64>() as f64 / (days.len() as f64 * 86_400.0);
    format!(
        "{first:>4}-{:<4} {orders:>11} {mean:>11.0} {ratio:>10} {in_window:>10} {deferred:>9} {:>8} {:>8} {:>6} {:>8} {polls:>8.1}\n",
        first + days.len() - 1,
        span(Day::age_over(days, 0.5)),
        span(Day::age_over(days, 0.99)),
        sum(|day| day.rate_limited),
        sum(|day| day.expired),
    )
}

fn remarks(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let new = outcome.days.iter().rposition(|day| day.new > 0);
    match (new, outcome.without()) {
        (Some(last), 0) => lines.push(format!("every name had its first certificate by day {last}")),
        (_, without) => lines.push(format!("{without} names were still without a certificate at the end")),
    }
    for (revoked, left, took) in outcome.replacements() {
        let hours = took.as_seconds_f64() / 3_600.0;
        lines.push(format!(
            "{revoked} certificates were revoked; the last was replaced after {hours:.1} h, {left} were not"
        ));
    }
    if let Some(raw) = outcome.raw() {
        let (from, peak, ratio) = (raw.from, raw.peak, raw.peak_to_mean());
        lines.push(format!(
            "raw peak, events included, from day {from} on: {peak} orders in 24 hours, {ratio:.2} of the mean"
        ));
    }
    if let Some(settled) = outcome.settled() {
        lines.push(format!(
            "settled from day {} on: {:.0} orders a day, {} at most",
            settled.from, settled.mean, settled.peak
        ));
    }
    lines
}

fn verdict(outcome: &Outcome) -> String {
    let ratio = outcome.settled().map_or_else(
        || String::from("unknown (no settled day)"),
        |settled| format!("{:.2}", settled.peak_to_mean()),
    );
    format!(
        "peak/mean = {ratio}, expiries = {}, foreseeable 429s = {}",
        outcome.expired(),
        outcome.foreseeable()
    )
}

/// Seconds as people say them.
fn span(seconds: u32) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
