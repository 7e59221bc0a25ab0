//! `/`: what needs somebody, how the domains are, and what is coming; read from sums that the engine keeps.

use axum::{extract::State, response::Response};
use certmill_model::{DomainStatus, Health, OrderStatus, Permission, Severity, TargetState};
use certmill_store::{DeploymentRow, EndedOrders, MailState, Reach, Rollups, ScopedTx, TargetRow};
use http::StatusCode;
use time::{Date, Duration, OffsetDateTime};

use super::{
    frame::Frame,
    moment::{Moment, number},
    pages::{self, OverviewPage},
    pictures::{Chart, Heap},
    words::{self, Look},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Weeks and days that the pictures reach ahead.
const WEEKS: i64 = 14;
const DAYS: i64 = 60;

/// Deliveries on the page.
const DEPLOYMENTS: i64 = 6;

/// A kind of problem, and how many domains have it.
pub(super) struct CauseRow {
    pub(super) code: &'static str,
    pub(super) tone: &'static str,
    pub(super) title: &'static str,
    pub(super) fix: &'static str,
    pub(super) count: String,
}

/// A number that leads to what it counts.
pub(super) struct Tile {
    pub(super) look: Look,
    pub(super) count: String,
    pub(super) to: String,
}

/// How orders at a CA ended.
pub(super) struct SuccessRow {
    pub(super) authority: String,
    pub(super) day: Success,
    pub(super) week: Success,
    /// What failed most often.
    pub(super) worst: Option<String>,
}

/// Of so many that ended, so many were issued.
#[derive(Clone, Copy, Default)]
pub(super) struct Success {
    pub(super) issued: i64,
    pub(super) ended: i64,
}

/// A load balancer in the strip.
pub(super) struct TargetCell {
    pub(super) name: String,
    pub(super) look: Look,
    /// What is still to be delivered.
    pub(super) pending: Option<String>,
}

/// A delivery.
pub(super) struct DeploymentLine {
    pub(super) target: String,
    pub(super) look: Look,
    pub(super) domains: i32,
    pub(super) release: Option<i64>,
    pub(super) problem: Option<String>,
    pub(super) at: Moment,
}

/// What only the platform's own people see.
pub(super) struct PlatformPart {
    pub(super) forecast: Chart,
    pub(super) successes: Vec<SuccessRow>,
    pub(super) targets: Vec<TargetCell>,
    pub(super) deployments: Vec<DeploymentLine>,
    pub(super) queue: Option<Moment>,
    pub(super) mail: MailLine,
}

/// How mail fares, in a line.
pub(super) struct MailLine {
    pub(super) look: Look,
    pub(super) detail: String,
}

pub(super) async fn show(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let rollups = tx.rollups().await?;
    let counts = tx.count_domains().await?;
    let targets = if caller.may(Permission::TargetsRead) { tx.list_targets().await? } else { Vec::new() };
    let platform = match caller.reach {
        Reach::Platform => Some(PlatformPart::read(&mut tx, targets, now).await?),
        Reach::Tenant(_) => None,
    };
    let alerts = tx.list_alerts(true, None).await?.len();
    let page = OverviewPage {
        frame: Frame::new(&caller, "/"),
        is_empty: counts.is_empty(),
        causes: causes(&rollups),
        alerts: number(alerts as i64),
        has_alerts: alerts > 0,
        tiles: tiles(&counts, &rollups, now),
        expiry: expiry(&rollups, now.date()),
        as_of: rollups.as_of.map(|at| Moment::new(at, now)),
        platform,
        may_change: caller.may(Permission::DomainsWrite),
        origin: state.settings.public_url.origin().to_owned(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

fn causes(rollups: &Rollups) -> Vec<CauseRow> {
    let cause = |(code, count): &(certmill_model::ProblemCode, i64)| CauseRow {
        code: code.as_str(),
        tone: if code.severity() == Severity::Critical { "bad" } else { "warn" },
        title: code.title(),
        fix: code.fix(),
        count: number(*count),
    };
    rollups.problems.iter().map(cause).collect()
}

fn tiles(counts: &[(DomainStatus, i64)], rollups: &Rollups, now: OffsetDateTime) -> Vec<Tile> {
    let sum = |statuses: &[DomainStatus]| {
        let suits = |(status, _): &&(DomainStatus, i64)| statuses.contains(status);
        counts.iter().filter(suits).map(|(_, count)| count).sum::<i64>()
    };
    let tile = |icon, tone, words, count: i64, to: &str| Tile {
        look: Look { icon, tone: if count == 0 { "idle" } else { tone }, words },
        count: number(count),
        to: format!("/domains{to}"),
    };
    let pending = [DomainStatus::PendingIssuance, DomainStatus::PendingDeployment];
    let broken = [DomainStatus::Expired, DomainStatus::Failed, DomainStatus::Blocked];
    let soon = monday(now.date()) + Duration::weeks(2);
    let ends = rollups.expiry.iter().filter(|(week, _, _)| *week < soon).map(|(_, _, count)| count).sum();
    vec![
        tile("check", "good", "Active", sum(&[DomainStatus::Active]), "?show=active"),
        tile("clock", "busy", "Waiting for DNS", sum(&[DomainStatus::PendingDns]), "?show=pending_dns"),
        tile("seal", "busy", "On the way", sum(&pending), "?show=pending_issuance"),
        tile("alert", "warn", "Moved away", sum(&[DomainStatus::Moved]), "?show=moved"),
        tile("cross", "bad", "Not working", sum(&broken), "?show=attention"),
        tile("lock", "warn", "End this week or next", ends, "?ends=14&sort=ends"),
    ]
}

/// The Monday of the week of `date`.
fn monday(date: Date) -> Date {
    date - Duration::days(i64::from(date.weekday().number_days_from_monday()))
}

fn label(date: Date) -> String {
    format!("{} {}", date.day(), &date.month().to_string()[..3])
}

/// In which week how many certificates end, by the health of their domains.
fn expiry(rollups: &Rollups, today: Date) -> Chart {
    let first = monday(today);
    let count = |week: Date, health: Health| {
        let suits = |(at, found, _): &&(Date, Health, i64)| *at == week && *found == health;
        rollups.expiry.iter().filter(suits).map(|(_, _, count)| count).sum::<i64>()
    };
    let heaps = (0..WEEKS).map(|number| {
        let week = first + Duration::weeks(number);
        let counts = [Health::Ok, Health::Warning, Health::Critical].map(|health| count(week, health));
        Heap { label: label(week), counts: counts.to_vec() }
    });
    let tones = [("good", "Well"), ("warn", "Needs a look"), ("bad", "Needs action")];
    let about = "By week, beginning with this one. Renewal comes long before.";
    Chart::new("expiry", "When certificates end", about, "Week from", &tones, heaps.collect())
}

/// How many renewals are planned for each day.
fn forecast(planned: &[(Date, i64)], today: Date) -> Chart {
    let count = |day: Date| planned.iter().filter(|(at, _)| *at == day).map(|(_, count)| count).sum();
    let heaps = (0..DAYS).map(|number| {
        let day = today + Duration::days(number);
        Heap { label: label(day), counts: vec![count(day)] }
    });
    let about = "By day, over the next 60 days.";
    Chart::new(
        "forecast",
        "Renewals that are planned",
        about,
        "Day",
        &[("busy", "Renewals")],
        heaps.collect(),
    )
}

impl PlatformPart {
    async fn read(tx: &mut ScopedTx, targets: Vec<TargetRow>, now: OffsetDateTime) -> Result<Self, Problem> {
        let planned = tx.planned_renewals_by_day(now.date()).await?;
        let ended = tx.ended_orders(now - Duration::days(7)).await?;
        let deployments = tx.list_deployments(None, None, None, DEPLOYMENTS).await?;
        Ok(Self {
            forecast: forecast(&planned, now.date()),
            successes: successes(&ended, now),
            targets: targets.into_iter().map(TargetCell::new).collect(),
            deployments: deployments.into_iter().map(|row| DeploymentLine::new(row, now)).collect(),
            queue: tx.oldest_due(now).await?.map(|at| Moment::new(at, now)),
            mail: MailLine::new(&tx.mail_state().await?, now),
        })
    }
}

fn successes(ended: &[EndedOrders], now: OffsetDateTime) -> Vec<SuccessRow> {
    let mut authorities: Vec<_> = ended.iter().map(|orders| orders.authority.as_str()).collect();
    authorities.sort_unstable();
    authorities.dedup();
    let row = |authority: &str| {
        let of = || ended.iter().filter(move |orders| orders.authority == authority);
        let failed = of().filter(|orders| orders.result == OrderStatus::Invalid && !orders.code.is_empty());
        SuccessRow {
            authority: words::authority(authority),
            day: Success::of(of().filter(|orders| orders.hour >= now - Duration::days(1))),
            week: Success::of(of()),
            worst: failed.max_by_key(|orders| orders.count).map(|orders| orders.code.clone()),
        }
    };
    authorities.into_iter().map(row).collect()
}

impl Success {
    fn of<'a>(orders: impl Iterator<Item = &'a EndedOrders>) -> Self {
        orders.fold(Self::default(), |sum, orders| match orders.result {
            OrderStatus::Valid => Self { issued: sum.issued + orders.count, ended: sum.ended + orders.count },
            OrderStatus::Invalid => Self { ended: sum.ended + orders.count, ..sum },
            _ => sum,
        })
    }

    /// As people read it.
    pub(super) fn words(self) -> String {
        if self.ended == 0 {
            return "no orders".to_owned();
        }
        let share = self.issued as f64 * 100.0 / self.ended as f64;
        format!("{share:.1} % of {}", number(self.ended))
    }

    /// A class in the style sheet.
    pub(super) fn tone(self) -> &'static str {
        match self.issued * 100 {
            _ if self.ended == 0 => "idle",
            issued if issued >= self.ended * 95 => "good",
            issued if issued >= self.ended * 80 => "warn",
            _ => "bad",
        }
    }
}

impl TargetCell {
    fn new(target: TargetRow) -> Self {
        // The state is of the last delivery; something may have come up since.
        let state = match target.state {
            TargetState::InSync if target.pending > 0 => TargetState::Behind,
            state => state,
        };
        let pending = Some(target.pending).filter(|pending| *pending > 0).map(number);
        Self { name: target.name, look: words::target(state), pending }
    }
}

impl DeploymentLine {
    fn new(row: DeploymentRow, now: OffsetDateTime) -> Self {
        Self {
            target: row.target,
            look: words::deployment(row.status),
            domains: row.domains,
            release: row.release_number,
            problem: row.problem,
            at: Moment::new(row.finished_at.unwrap_or(row.started_at), now),
        }
    }
}

impl MailLine {
    fn new(mail: &MailState, now: OffsetDateTime) -> Self {
        let ago = |at: OffsetDateTime| Moment::new(at, now).distance;
        let (icon, tone, words) = match (&mail.server, mail.failing_since) {
            (None, _) => ("pause", "idle", "No mail server"),
            (Some(_), Some(_)) => ("alert", "bad", "Mail server away"),
            (Some(_), None) => ("mail", "good", "Mail goes out"),
        };
        let mut detail = match (mail.failing_since, mail.last_success_at) {
            (Some(since), _) => {
                format!("failing since {}: {}", ago(since), mail.last_error.as_deref().unwrap_or(""))
            }
            (None, Some(at)) => format!("last {}", ago(at)),
            (None, None) => "none was sent yet".to_owned(),
        };
        if mail.waiting > 0 {
            detail = format!("{detail}, {} waiting", number(mail.waiting));
        }
        Self { look: Look { icon, tone, words }, detail }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn weeks_begin_on_mondays_and_the_picture_with_this_one() {
        let rollups = Rollups {
            expiry: vec![
                (date!(2026 - 11 - 16), Health::Critical, 2),
                (date!(2026 - 11 - 16), Health::Ok, 5),
                (date!(2026 - 11 - 30), Health::Ok, 40),
            ],
            ..Rollups::default()
        };
        let chart = expiry(&rollups, date!(2026 - 11 - 21));
        assert_eq!(chart.bars.len(), 14);
        assert_eq!(chart.bars[0].words, "16 Nov: 5 well, 2 needs action");
        assert_eq!(chart.bars[2].cells, ["30 Nov", "40", "0", "0"]);
    }

    #[test]
    fn success_is_counted_by_ca_for_a_day_and_a_week() {
        let now = datetime!(2026-11-21 12:00 UTC);
        let orders = |days: i64, result, code: &str, count| EndedOrders {
            hour: now - Duration::days(days),
            authority: "https://ca.example/directory".into(),
            result,
            code: code.into(),
            count,
        };
        let ended = [
            orders(0, OrderStatus::Valid, "", 99),
            orders(0, OrderStatus::Invalid, "dns", 1),
            orders(3, OrderStatus::Invalid, "caa", 20),
            orders(3, OrderStatus::Cancelled, "", 7),
        ];
        let rows = successes(&ended, now);
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.authority.as_str(), row.worst.as_deref()), ("ca.example", Some("caa")));
        assert_eq!((row.day.words().as_str(), row.day.tone()), ("99.0 % of 100", "good"));
        assert_eq!((row.week.words().as_str(), row.week.tone()), ("82.5 % of 120", "warn"));
    }
}
