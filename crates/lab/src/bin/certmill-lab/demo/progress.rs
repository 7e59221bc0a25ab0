//! The shops on their way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certmill_lab::service::{Api, Running};
use serde_json::Value;
use tokio::time::sleep;

use super::DemoError;
use super::table::pad;
use crate::screen::Screen;

/// How long the shops may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// Waits until every domain of the tenants is active, and tells how it goes.
pub(super) async fn wait_until_active(
    tenants: &[Api; 2],
    certmill: &mut Running,
    screen: &Screen,
    begin: Instant,
) -> Result<(), DemoError> {
    let mut seen = BTreeMap::new();
    loop {
        let domains = all_domains(tenants).await?;
        tell_changes(&domains, &mut seen, screen, begin);
        let waiting: Vec<&Value> = domains.iter().filter(|domain| domain["status"] != "active").collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if let Some(status) = certmill.try_wait()? {
            return Err(DemoError::Ended(status));
        }
        if begin.elapsed() > DEADLINE {
            let waiting = waiting.into_iter().map(explain).collect();
            return Err(DemoError::NotActive { waiting, seconds: DEADLINE.as_secs() });
        }
        sleep(POLL).await;
    }
}

/// The documents of the domains of all tenants, in the tenants' order.
pub(super) async fn all_domains(tenants: &[Api; 2]) -> Result<Vec<Value>, DemoError> {
    let mut domains = tenants[0].list().await?;
    domains.extend(tenants[1].list().await?);
    Ok(domains)
}

/// A line for each domain that became active or has a new problem; on a terminal also how many stand where.
fn tell_changes(domains: &[Value], seen: &mut BTreeMap<String, String>, screen: &Screen, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    for domain in domains {
        let status = text(&domain["status"]);
        let now = format!("{status} {}", text(&domain["problems"][0]["code"]));
        if seen.insert(text(&domain["name"]).to_owned(), now.clone()).as_ref() == Some(&now) {
            continue;
        }
        let name = pad(text(&domain["name_unicode"]), 28);
        if status == "active" {
            screen.good(format_args!("{name} is active after {seconds:.1} s"));
        } else if let Some(detail) = domain["problems"][0]["detail"].as_str() {
            screen.say(format_args!("     {name} has a problem: {detail}"));
        }
    }
    screen.moving(summary(domains));
}

/// `3 waiting for DNS, 4 getting a certificate …`
fn summary(domains: &[Value]) -> String {
    let stages = [
        ("pending_dns", "looking at DNS"),
        ("pending_issuance", "getting a certificate"),
        ("pending_deployment", "going live"),
        ("active", "active"),
    ];
    let count = |status| domains.iter().filter(|domain| domain["status"] == status).count();
    let parts = stages.map(|(status, words)| (count(status), words));
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join(", ")
}

/// Where a domain stands, and each of its problems with what mends it.
fn explain(domain: &Value) -> String {
    let mut lines = vec![format!("  {}: {}", text(&domain["name_unicode"]), text(&domain["status"]))];
    for problem in domain["problems"].as_array().into_iter().flatten() {
        let words = [&problem["code"], &problem["detail"], &problem["fix"]].map(text);
        lines.push(format!("    {}: {} ({})", words[0], words[1], words[2]));
    }
    lines.join("\n")
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_domain_that_is_late_is_explained_with_its_problems_and_what_mends_them() {
        let problem = json!({ "code": "dns_not_found", "detail": "no record", "fix": "Add one." });
        let domain = json!({ "name_unicode": "bücher.test", "status": "pending_dns", "problems": [problem] });
        assert_eq!(explain(&domain), "  bücher.test: pending_dns\n    dns_not_found: no record (Add one.)");
    }

    #[test]
    fn the_summary_leaves_out_what_nobody_is_at() {
        let at = |status: &str| json!({ "status": status });
        let domains = [at("active"), at("pending_deployment"), at("active")];
        assert_eq!(summary(&domains), "1 going live, 2 active");
    }
}
