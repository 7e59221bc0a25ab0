//! Domains.

use std::time::Duration;

use certmill_model::{Chance, Clock, DomainStatus, Health, Hostname, Label, SystemClock};
use certmill_store::{Api, AuditEntry, Domain, DomainEvent, DomainWish, Put, Reach, StoreError};
use time::format_description::well_known::Rfc3339;

use super::{
    did, say,
    tenants::{find_tenant, parse_template},
};
use crate::{
    cli::{ChecksMode, DomainCommand},
    config::Config,
    start,
    trouble::Trouble,
};

/// Domains and events read at a time.
const PAGE: i64 = 500;

/// How often a domain that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(300);

pub(super) async fn run(store: &Api, config: &Config, command: DomainCommand) -> Result<(), Trouble> {
    match command {
        DomainCommand::Add { name, tenant, template, external_id, key_type, wait } => {
            let template = match template {
                Some(template) => Some(parse_template(store, config, &template).await?),
                None => None,
            };
            let wish = DomainWish { key_type, template, ..wish(config, &name, external_id.as_deref())? };
            add(store, &tenant, &wish).await?;
            if wait { follow(store, &wish.name).await } else { Ok(()) }
        }
        DomainCommand::List => list(store).await,
        DomainCommand::Show { name, wait: true } => follow(store, &parse(config, &name)?).await,
        DomainCommand::Show { name, wait: false } => show(store, &parse(config, &name)?).await,
        DomainCommand::Retry { name } => retry(store, &parse(config, &name)?).await,
        DomainCommand::Renew { name } => renew(store, &parse(config, &name)?).await,
        DomainCommand::Override { name, checks } => {
            override_checks(store, &parse(config, &name)?, checks == ChecksMode::Ignore).await
        }
    }
}

fn parse(config: &Config, name: &str) -> Result<Hostname, Trouble> {
    let refused = |error: &(dyn std::error::Error + 'static)| {
        Trouble::new(format!("{name:?} cannot be used"), error, "Give another name.")
    };
    let parsed = Hostname::parse(name).map_err(|error| refused(&error))?;
    start::name_policy(config)?.check(&parsed).map_err(|error| refused(&error))?;
    Ok(parsed)
}

fn wish(config: &Config, name: &str, external_id: Option<&str>) -> Result<DomainWish, Trouble> {
    let external_id = external_id.map(Label::parse).transpose();
    Ok(DomainWish {
        external_id: external_id
            .map_err(|error| Trouble::new("the external id cannot be used", &error, "Give another one."))?,
        ..DomainWish::of(parse(config, name)?)
    })
}

async fn add(store: &Api, tenant: &str, wish: &DomainWish) -> Result<(), Trouble> {
    let tenant = find_tenant(store, tenant).await?;
    let mut tx = store.tenant(tenant.tenant_id).await?;
    match tx.put_domain(wish, &Chance::from_system(), SystemClock.now()).await {
        Ok(put) => {
            let (Put::Created(domain) | Put::Changed(domain) | Put::Same(domain)) = put;
            tx.commit_audited(&of_domain("domain.set", &domain), &Chance::from_system(), SystemClock.now())
                .await?;
        }
        Err(StoreError::NameTaken) => {
            return Err(Trouble::plain(
                format!("{} belongs to another tenant", wish.name),
                "Remove it there first.",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    say(format!("{} is registered", wish.name));
    Ok(())
}

async fn list(store: &Api) -> Result<(), Trouble> {
    let mut after: Option<String> = None;
    loop {
        let page = store.read(Reach::Platform).await?.list_domains(after.as_deref(), PAGE).await?;
        for domain in &page {
            let until =
                domain.certificate.as_ref().map(|certificate| certificate.not_after.date().to_string());
            say(format!(
                "{:<48} {:<20} {:<18} {:<8} {}",
                domain.name,
                domain.tenant,
                domain.status,
                domain.health,
                until.unwrap_or_default()
            ));
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = Some(last.name.to_string()),
            _ => return Ok(()),
        }
    }
}

async fn find(store: &Api, name: &Hostname) -> Result<Domain, Trouble> {
    let found = store.platform().await?.find_domain(name).await?;
    found.ok_or_else(|| {
        Trouble::not_found(format!("{name} is not registered"), "`certmill domain list` names them.")
    })
}

async fn show(store: &Api, name: &Hostname) -> Result<(), Trouble> {
    let domain = find(store, name).await?;
    say(format!("{name}: {} (health: {})", domain.status, domain.health));
    let mut tx = store.platform().await?;
    for problem in tx.problems(domain.domain_id).await? {
        say(format!("  problem {}: {}", problem.code, problem.detail));
        say(format!("    fix: {}", problem.code.fix()));
        if let Some(at) = problem.next_attempt_at {
            say(format!("    next attempt: {}", at.format(&Rfc3339).unwrap_or_default()));
        }
    }
    if domain.health != Health::Ok
        && let Some(said) = tx.last_refusal(domain.domain_id).await?
    {
        let words = said["detail"].as_str().or(said.as_str()).unwrap_or_default();
        say(format!("  last said of its order: {words}"));
        if let Some(page) = said["instance"].as_str() {
            say(format!("    see {page}"));
        }
    }
    if let Some(deferral) = &domain.deferral {
        let until = deferral.until.format(&Rfc3339).unwrap_or_default();
        say(format!("  deferred until {until} by {} {}", deferral.limit, deferral.counted));
    }
    let setup = tx.setup(domain.domain_id).await?;
    if let Some(target) = setup.delegation {
        say(format!("  proved by DNS if _acme-challenge.{} CNAME {target} is set", name.base()));
    }
    for look in setup.checks.into_iter().flat_map(|checks| checks.looks) {
        say(format!("  check {}: {} {}", look.kind, look.result, look.seen.join(", ")));
    }
    for event in tx.timeline(domain.domain_id, None, PAGE).await? {
        say_event(&event);
    }
    Ok(())
}

/// An entry for the audit log of the tenant whose domain it is.
fn of_domain(action: &'static str, domain: &Domain) -> AuditEntry<'static> {
    AuditEntry { tenant: Some(domain.tenant_id), ..did(action, "domain", domain.domain_id, &domain.name) }
}

async fn retry(store: &Api, name: &Hostname) -> Result<(), Trouble> {
    let domain = find(store, name).await?;
    let mut tx = store.platform().await?;
    tx.retry_now(domain.domain_id, SystemClock.now()).await?;
    tx.lift_holds(name, SystemClock.now()).await?;
    let entry = of_domain("domain.retried", &domain);
    tx.commit_audited(&entry, &Chance::from_system(), SystemClock.now()).await?;
    say(format!("{name} is tried again now"));
    Ok(())
}

/// Renews a certificate before its time.
async fn renew(store: &Api, name: &Hostname) -> Result<(), Trouble> {
    let domain = find(store, name).await?;
    let mut tx = store.platform().await?;
    if !tx.renew_now(domain.domain_id, SystemClock.now()).await? {
        let what = format!("{name} has no certificate to renew yet");
        return Err(Trouble::needs_action(what, "`certmill domain show` says what it waits for."));
    }
    let entry = of_domain("domain.renewed", &domain);
    tx.commit_audited(&entry, &Chance::from_system(), SystemClock.now()).await?;
    say(format!("{name} is renewed now"));
    Ok(())
}

async fn override_checks(store: &Api, name: &Hostname, ignored: bool) -> Result<(), Trouble> {
    let domain = find(store, name).await?;
    let mut tx = store.platform().await?;
    tx.override_checks(domain.domain_id, ignored, SystemClock.now()).await?;
    let mut entry = of_domain("domain.checks_overridden", &domain);
    entry.detail = serde_json::json!({ "ignored": ignored });
    tx.commit_audited(&entry, &Chance::from_system(), SystemClock.now()).await?;
    let what = if ignored {
        "ordered whatever its checks find"
    } else {
        "ordered only if its checks find nothing wrong"
    };
    say(format!("{name} is {what}"));
    Ok(())
}

/// Prints each event as it comes, until the domain is active (or nothing more will happen by itself).
async fn follow(store: &Api, name: &Hostname) -> Result<(), Trouble> {
    let domain = find(store, name).await?;
    let mut after = None;
    loop {
        for event in store.platform().await?.timeline(domain.domain_id, after, PAGE).await? {
            after = Some(event.event_id);
            say_event(&event);
        }
        let now = find(store, name).await?;
        match now.status {
            DomainStatus::Active => return Ok(()),
            DomainStatus::Failed | DomainStatus::Blocked | DomainStatus::Paused => {
                let fix = "`certmill domain show` says why.";
                return Err(Trouble::needs_action(format!("{name} is {}", now.status), fix));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

fn say_event(event: &DomainEvent) {
    let at = event.happened_at.format(&Rfc3339).unwrap_or_default();
    say(format!("  {at}  {}  {}", event.kind, event.detail));
}
