//! The digest: numbers, what is new and what is over, what is to come, and that we are alive.

use certmill_model::{DigestAlert, DigestFrequency, DigestLetter};

use super::{button, our_own};
use crate::{
    document::{Cells, Row, Site, Table, Written, clean},
    when::{day, instant, number},
};

pub(super) fn write(digest: &DigestLetter, site: &Site) -> Written {
    let whose = digest.tenant.as_deref().map_or_else(|| clean(&site.product), clean);
    let mut letter = our_own(site, format!("{}: {whose}", title(digest)));
    let active = count(digest, "active");
    letter.paragraphs = vec![format!(
        "We are alive: {} domains are active, and {} certificates were issued since {}.",
        number(active),
        number(digest.issued),
        instant(digest.from),
    )];
    letter.rows = vec![
        Row::new("NOW", [in_words(&digest.domains)]),
        Row::new(
            "SINCE",
            [format!(
                "Certificates issued: {}. Orders failed: {}. Alerts opened: {}. Alerts resolved: {}.",
                number(digest.issued),
                number(digest.failed),
                digest.opened.len(),
                digest.resolved.len()
            )],
        ),
    ];
    let lists = [
        ("OPEN", "Open alerts", &digest.open),
        ("NEW", "Opened since", &digest.opened),
        ("OVER", "Resolved since", &digest.resolved),
    ];
    let lists = lists.into_iter().filter(|(_, _, alerts)| !alerts.is_empty());
    letter.tables.extend(lists.map(|(mark, label, alerts)| table(mark, label, alerts)));
    letter.tables.push(forecast(digest));
    letter.buttons.extend(button("Open the dashboard", &format!("{}/", site.public_url)));
    letter.footer = vec![
        "If this mail does not come, something is wrong with the mail or with us.".into(),
        format!(
            "You get this because you asked for a digest. Change it or turn it off: {}/account/notifications",
            site.public_url
        ),
    ];
    let open = match digest.open.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 open alert".to_owned(),
        open => format!("{open} open alerts"),
    };
    letter.written(&format!("{}: {whose}: {} active, {open}", title(digest), number(active)))
}

fn title(digest: &DigestLetter) -> &'static str {
    match digest.frequency {
        DigestFrequency::Weekly => "Weekly digest",
        _ => "Daily digest",
    }
}

fn count(digest: &DigestLetter, status: &str) -> u64 {
    digest.domains.iter().find(|(known, _)| known == status).map_or(0, |(_, count)| *count)
}

fn in_words(domains: &[(String, u64)]) -> String {
    let words: Vec<_> = domains
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{} {}", number(*count), clean(&status.replace('_', " "))))
        .collect();
    if words.is_empty() { "No domains yet.".into() } else { format!("{}.", words.join(", ")) }
}

fn table(mark: &'static str, label: &str, alerts: &[DigestAlert]) -> Table {
    let row = |alert: &DigestAlert| {
        let about = alert.about.as_deref().map(|about| format!(" ({})", clean(about))).unwrap_or_default();
        let names = match alert.names {
            0 => String::new(),
            1 => "1 domain".into(),
            names => format!("{} domains", number(names)),
        };
        Cells {
            cells: vec![alert.level.to_string(), format!("{}{about}", alert.code.title()), names],
            bar: None,
        }
    };
    Table { mark, label: label.to_owned(), head: Vec::new(), rows: alerts.iter().take(20).map(row).collect() }
}

fn forecast(digest: &DigestLetter) -> Table {
    let most = digest.forecast.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let row = |(at, count): &(time::OffsetDateTime, u64)| Cells {
        cells: vec![day(*at), number(*count)],
        bar: Some(count * 100 / most),
    };
    Table {
        mark: "NEXT",
        label: "Renewals planned for the next 7 days".into(),
        head: Vec::new(),
        rows: digest.forecast.iter().map(row).collect(),
    }
}
