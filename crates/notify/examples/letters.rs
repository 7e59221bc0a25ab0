//! Writes one mail of each kind into a directory, as it goes out (`.eml`) and its parts (`.txt`, `.html`):
//! `cargo run -p certmill-notify --example letters -- DIRECTORY`.

use std::{error::Error, fs, path::PathBuf};

use certmill_model::{
    AlertId, AlertLetter, AlertLevel, Brand, Chance, DigestAlert, DigestFrequency, DigestLetter, Letter,
    Listed, Occasion, ProblemCode, Record,
};
use certmill_notify::{Envelope, Site, Unsubscribe, compose, write};
use time::{Duration, OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 06:45 UTC);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("say where: a directory")?);
    fs::create_dir_all(&directory)?;
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    for (name, language, letter) in letters() {
        let written = write(&letter, &site, language, NOW);
        let message = compose(&envelope(&letter, name), &written)?;
        fs::write(directory.join(format!("{name}.txt")), &written.text)?;
        fs::write(directory.join(format!("{name}.html")), &written.html)?;
        fs::write(directory.join(format!("{name}.eml")), message.formatted())?;
    }
    Ok(())
}

fn envelope(letter: &Letter, name: &str) -> Envelope {
    let alert = AlertId::new(&Chance::seeded(7), NOW);
    let is_first = !matches!(letter, Letter::Alert(alert) if !matches!(alert.occasion, Occasion::Opened | Occasion::Incident));
    let is_of_alert = matches!(letter, Letter::Alert(_));
    let first = format!("{alert}.3f2a90c1@certmill.example.com");
    Envelope {
        to: "ops@nordwind.example".into(),
        from: "certmill@example.com".into(),
        from_name: "certmill".into(),
        date: NOW,
        message_id: if is_of_alert && is_first {
            first.clone()
        } else {
            format!("{name}@certmill.example.com")
        },
        in_reply_to: (is_of_alert && !is_first).then_some(first),
        list_id: letter.is_subscribed().then(|| "alerts.certmill.example.com".into()),
        unsubscribe: letter.is_subscribed().then(|| Unsubscribe {
            url: "https://certmill.example.com/unsubscribe/EXAMPLE".into(),
            mailto: "certmill@example.com".into(),
        }),
    }
}

fn letters() -> Vec<(&'static str, &'static str, Letter)> {
    let alert = |occasion, level, names| Letter::Alert(Box::new(alert(occasion, level, names)));
    let link = "https://certmill.example.com/setup/EXAMPLE".to_owned();
    let (brand, name) = (brand(), "shop.nordwind.example".to_owned());
    let mut letters = vec![
        ("alert-opened", "en", alert(Occasion::Opened, AlertLevel::Notice, 3)),
        ("alert-late", "en", alert(Occasion::Reminder, AlertLevel::Late, 3)),
        ("alert-urgent", "en", alert(Occasion::Reminder, AlertLevel::Urgent, 3)),
        ("alert-page", "en", alert(Occasion::Reminder, AlertLevel::Page, 1)),
        ("alert-expired", "en", alert(Occasion::Reminder, AlertLevel::Expired, 1)),
        ("alert-resolved", "en", alert(Occasion::Resolved, AlertLevel::Urgent, 3)),
        ("incident", "en", alert(Occasion::Incident, AlertLevel::Urgent, 213)),
        ("load-balancer-down", "en", Letter::Alert(Box::new(load_balancer()))),
        ("digest-daily", "en", digest(DigestFrequency::Daily)),
        ("digest-weekly", "en", digest(DigestFrequency::Weekly)),
        ("test", "en", Letter::Test),
    ];
    letters.push((
        "invitation",
        "en",
        Letter::Invitation {
            invited_by: "Ada Lovelace".into(),
            organisation: "Nordwind".into(),
            link: "https://certmill.example.com/invitation/EXAMPLE".into(),
            expires_at: NOW + Duration::days(3),
        },
    ));
    letters.push((
        "password-reset",
        "en",
        Letter::PasswordReset {
            link: "https://certmill.example.com/reset/EXAMPLE".into(),
            expires_at: NOW + Duration::HOUR,
        },
    ));
    let languages = [["owner-set-up.en", "owner-works.en"], ["owner-set-up.de", "owner-works.de"]];
    for (names, language) in languages.into_iter().zip(["en", "de"]) {
        let owners = [
            Letter::OwnerSetUp {
                brand: brand.clone(),
                name: name.clone(),
                records: records(),
                link: link.clone(),
            },
            Letter::OwnerWorks { brand: brand.clone(), name: name.clone() },
        ];
        letters.extend(names.into_iter().zip(owners).map(|(name, letter)| (name, language, letter)));
    }
    letters
}

fn alert(occasion: Occasion, level: AlertLevel, names: u64) -> AlertLetter {
    let left = match level {
        AlertLevel::Notice => Duration::days(25),
        AlertLevel::Late => Duration::days(16),
        AlertLevel::Urgent => Duration::days(5),
        AlertLevel::Page => Duration::hours(60),
        AlertLevel::Expired => -Duration::HOUR,
    };
    let shops = ["shop.nordwind.example", "www.kaffee-und-kuchen.example", "läden.example"];
    let listed = (0..names.min(10)).map(|number| Listed {
        name: shops
            .get(number as usize)
            .map_or_else(|| format!("shop{number}.example"), |name| (*name).into()),
        ends_at: Some(NOW + left + Duration::hours(7 * number as i64)),
    });
    AlertLetter {
        alert_id: AlertId::new(&Chance::seeded(7), NOW),
        occasion,
        level,
        code: ProblemCode::CaaForbids,
        tenant: Some("Nordwind".into()),
        about: Some("acme-v02.api.letsencrypt.org".into()),
        names,
        first: listed.collect(),
        since: NOW - Duration::days(3),
        last_attempt_at: NOW - Duration::minutes(5),
        next_attempt_at: Some(NOW + Duration::hours(6)),
        detail: "urn:ietf:params:acme:error:caa: CAA record for shop.nordwind.example prevents issuance"
            .into(),
        at: NOW,
    }
}

fn load_balancer() -> AlertLetter {
    AlertLetter {
        code: ProblemCode::TargetUnreachable,
        tenant: None,
        about: Some("lb2".into()),
        names: 0,
        first: Vec::new(),
        since: NOW - Duration::minutes(6),
        next_attempt_at: None,
        detail: "ssh: connect to host 198.51.100.7 port 22: Connection refused".into(),
        ..alert(Occasion::Opened, AlertLevel::Urgent, 0)
    }
}

fn digest(frequency: DigestFrequency) -> Letter {
    let length = if frequency == DigestFrequency::Weekly { Duration::WEEK } else { Duration::DAY };
    let one = |code, level, names| DigestAlert { code, about: None, level, names };
    let planned = [412, 388, 401, 950, 370, 405, 399];
    Letter::Digest(Box::new(DigestLetter {
        frequency,
        tenant: Some("Nordwind".into()),
        from: NOW - length,
        until: NOW,
        domains: [("active", 52_311), ("pending_dns", 214), ("moved", 37), ("failed", 12)]
            .map(|(status, count)| (status.to_owned(), count))
            .into(),
        issued: 1_204,
        failed: 9,
        opened: vec![one(ProblemCode::CaaForbids, AlertLevel::Urgent, 213)],
        resolved: vec![one(ProblemCode::DnsServfail, AlertLevel::Notice, 4)],
        open: vec![one(ProblemCode::CaaForbids, AlertLevel::Urgent, 213)],
        forecast: (0..7).zip(planned).map(|(day, count)| (NOW + Duration::days(day), count)).collect(),
    }))
}

fn brand() -> Brand {
    Brand {
        product: "Nordwind Shops".into(),
        sender_name: "Nordwind".into(),
        support_link: Some("https://help.nordwind.example/domains".into()),
    }
}

fn records() -> Vec<Record> {
    let record = |name: &str, kind: &str, value: &str| Record {
        name: name.into(),
        kind: kind.into(),
        value: value.into(),
    };
    vec![
        record("shop.nordwind.example", "A", "203.0.113.7"),
        record("_acme-challenge.shop.nordwind.example", "CNAME", "k3j2v7.acme.platform.example"),
    ]
}
