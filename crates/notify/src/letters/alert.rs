//! Letters of alerts: what, when, why, the fix, who, what to do, why you.

use certmill_model::{AlertLetter, AlertLevel, Occasion, ProblemCode};
use time::OffsetDateTime;

use super::{button, our_own};
use crate::{
    document::{Cells, Document, Mark, Row, Site, Table, Written, clean},
    when::{instant, number, span},
};

pub(super) fn write(alert: &AlertLetter, site: &Site) -> Written {
    let (is_over, page) = (alert.occasion == Occasion::Resolved, page(alert, site));
    let mut letter = our_own(site, headline(alert));
    letter.mark = Some(mark(alert));
    letter.rows = if is_over {
        vec![Row::new("WHAT", [what_is_over(alert)]), Row::new("WHEN", [lasted(alert)])]
    } else {
        rows(alert)
    };
    if !is_over && !alert.first.is_empty() {
        letter.tables.push(names(alert));
    }
    add_buttons(&mut letter, alert, &page);
    letter.footer = footer(alert, site);
    letter.written(&subject(alert))
}

fn mark(alert: &AlertLetter) -> Mark {
    if alert.occasion == Occasion::Resolved {
        return Mark { word: "resolved".into(), colour: "#1a7f45" };
    }
    let colour = match alert.level {
        AlertLevel::Notice => "#4b5a68",
        AlertLevel::Late => "#8a5a00",
        AlertLevel::Urgent => "#b3470c",
        AlertLevel::Page | AlertLevel::Expired => "#b42318",
    };
    Mark { word: alert.level.to_string(), colour }
}

/// Who has it, as in `213 domains`.
fn who(alert: &AlertLetter) -> String {
    match (alert.names, alert.first.first()) {
        (1, Some(only)) => clean(&only.name),
        (1, None) => "1 domain".into(),
        (names, _) => format!("{} domains", number(names)),
    }
}

fn about(alert: &AlertLetter) -> String {
    alert.about.as_deref().map(|about| format!(" ({})", clean(about))).unwrap_or_default()
}

fn headline(alert: &AlertLetter) -> String {
    let title = alert.code.title();
    match alert.names {
        0 => format!("{title}{}", about(alert)),
        _ => format!("{}: {}{}{}", who(alert), lower_first(title), about(alert), ending(alert)),
    }
}

/// As in ` - the first ends in 5 days`.
fn ending(alert: &AlertLetter) -> String {
    let ends = alert.first.iter().filter_map(|listed| listed.ends_at).min();
    let ends = ends.filter(|_| alert.occasion != Occasion::Resolved);
    let first = if alert.names > 1 { "the first ends" } else { "ends" };
    match ends {
        None => String::new(),
        Some(at) if at <= alert.at => " - no valid certificate is served".into(),
        Some(at) => format!(" - {first} in {}", span(at - alert.at)),
    }
}

fn subject(alert: &AlertLetter) -> String {
    let incident = if alert.occasion == Occasion::Incident { "incident: " } else { "" };
    format!("[{}] {incident}{}", mark(alert).word, headline(alert))
}

fn rows(alert: &AlertLetter) -> Vec<Row> {
    let mut rows = vec![Row::new("WHAT", [what(alert)]), Row::new("WHEN", when(alert))];
    let mut why = Row::new("WHY", [format!("{}{}.", alert.code.title(), about(alert))]);
    let words = clean(&alert.detail);
    why.quote = (!words.is_empty()).then_some(words);
    rows.push(why);
    rows.push(Row::new("FIX", [alert.code.fix().to_owned()]));
    rows
}

fn what(alert: &AlertLetter) -> String {
    let whose = match &alert.tenant {
        Some(tenant) if alert.names > 0 => format!(" of tenant \"{}\"", clean(tenant)),
        _ => String::new(),
    };
    let served = match alert.level {
        AlertLevel::Expired => "No valid certificate is served: shoppers see a warning.",
        AlertLevel::Page => "They are served today, but hardly any time is left.",
        _ => "They are served over HTTPS today.",
    };
    match (alert.names, alert.code) {
        (0, _) => format!("{}{}.", alert.code.title(), about(alert)),
        (1, _) => format!("{}{whose} has a problem. {}", who(alert), served.replace("They are", "It is")),
        (_, ProblemCode::TargetUnreachable) => format!("{}{whose} are behind it. {served}", who(alert)),
        _ => format!("{}{whose} have this problem. {served}", who(alert)),
    }
}

fn when(alert: &AlertLetter) -> Vec<String> {
    let mut lines =
        vec![format!("Since {}; last try {}.", instant(alert.since), instant(alert.last_attempt_at))];
    lines.extend(alert.next_attempt_at.map(|at| format!("Next try {}.", instant(at))));
    let first = alert.first.iter().filter_map(|listed| listed.ends_at).min();
    lines.extend(first.map(|at| {
        if at <= alert.at {
            format!("The first ended {}.", instant(at))
        } else {
            format!("The first ends {}, in {}.", instant(at), span(at - alert.at))
        }
    }));
    lines
}

fn names(alert: &AlertLetter) -> Table {
    let (shown, all) = (alert.first.len() as u64, alert.names);
    let label = if all > shown {
        format!("The {shown} that end soonest of {}", number(all))
    } else {
        "Those who have it".into()
    };
    let cell = |ends_at: Option<OffsetDateTime>| ends_at.map_or_else(|| "never had one".into(), instant);
    let row = |listed: &certmill_model::Listed| Cells {
        cells: vec![clean(&listed.name), cell(listed.ends_at)],
        bar: None,
    };
    Table {
        mark: "LIST",
        label,
        head: vec!["Domain".into(), "Certificate ends".into()],
        rows: alert.first.iter().map(row).collect(),
    }
}

fn what_is_over(alert: &AlertLetter) -> String {
    match alert.names {
        0 => format!("This is over: {}{}.", lower_first(alert.code.title()), about(alert)),
        _ => format!("{}: this is over: {}{}.", who(alert), lower_first(alert.code.title()), about(alert)),
    }
}

fn lasted(alert: &AlertLetter) -> String {
    format!("From {} to {}: {}.", instant(alert.since), instant(alert.at), span(alert.at - alert.since))
}

fn page(alert: &AlertLetter, site: &Site) -> String {
    format!("{}/alerts/{}", site.public_url, alert.alert_id)
}

fn add_buttons(letter: &mut Document, alert: &AlertLetter, page: &str) {
    letter.buttons.extend(button("Open the alert", page));
    if alert.names > alert.first.len() as u64 && alert.occasion != Occasion::Resolved {
        letter.buttons.extend(button("All domains (CSV)", &format!("{page}/domains.csv")));
    }
}

fn footer(alert: &AlertLetter, site: &Site) -> Vec<String> {
    let again = match alert.occasion {
        Occasion::Resolved => "This was the last mail about it.".to_owned(),
        _ => "There is one more mail when it grows more pressing, and one when it is over.".to_owned(),
    };
    vec![
        again,
        format!(
            "You get this because your notification rule asks for it. Change it or turn it off: {}/account/notifications",
            site.public_url
        ),
    ]
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
