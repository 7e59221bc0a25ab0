//! How fast lines of a long operation become domains, against a bare `COPY` of the same rows in the same run.
//!
//! `bench_import URL LINES`: a database with the schema. The last line is the result.

use std::{error::Error, fmt::Write as _, io::Write as _, process::ExitCode, time::Duration};

use certmill_model::{
    Chance, Clock, Label, NamePolicy, RawLine, SystemClock, TemplateRef, TenantId, UpstreamAddress,
};
use certmill_store::{Api, Engine, NewLine, Tenant, connect_api, connect_engine};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Lines that are held in memory at a time.
const AT_A_TIME: i32 = 2_000;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (Some(url), Some(Ok(lines))) = (arguments.first(), arguments.get(1).map(|text| text.parse())) else {
        say("usage: bench_import URL LINES");
        return ExitCode::from(2);
    };
    match measure(url, lines).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench_import: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(url: &str, lines: i32) -> Done {
    let (api, engine) = (connect_api(url, 2).await?, connect_engine(url, 2).await?);
    let (chance, clock) = (Chance::from_system(), SystemClock);
    let begun = Instant::now();
    let counted = engine.sum_up(Duration::ZERO, clock.now()).await?;
    say(&format!("the sums of all domains: {:.2} s (counted: {counted})", begun.elapsed().as_secs_f64()));
    let tenant = Tenant {
        name: Label::parse(&format!("import {}", clock.now().unix_timestamp()))?,
        ..tenant(&chance, SystemClock)?
    };
    let mut platform = api.platform().await?;
    let tenant = platform.put_tenant(&tenant, clock.now()).await?;
    platform.commit().await?;
    let stamp = clock.now().unix_timestamp();

    let before = memory();
    let begun = Instant::now();
    let taken = take_in(&api, tenant, lines, stamp, &chance).await?;
    work_off(&engine, &chance).await?;
    let imported = begun.elapsed().as_secs_f64();
    let used = memory().saturating_sub(before);
    let copied = copy(url, tenant, lines, stamp).await?;
    let rate = f64::from(lines) / imported;
    say(&format!(
        "{lines} lines: taken in after {taken:.1} s, done after {imported:.1} s; COPY of the same rows {copied:.1} s"
    ));
    say(&format!(
        "bulk import = {rate:.0} rows/s, memory + {:.1} MB, import/COPY = {:.2}",
        used as f64 / 1_024.0,
        imported / copied
    ));
    Ok(())
}

/// As the API does it: lines are checked and stored some thousand at a time.
async fn take_in(api: &Api, tenant: TenantId, lines: i32, stamp: i64, chance: &Chance) -> Done<f64> {
    let (begun, policy, clock) = (Instant::now(), NamePolicy::default(), SystemClock);
    let mut tx = api.tenant(tenant).await?;
    let operation = tx.create_operation("import", chance, clock.now()).await?;
    tx.commit().await?;
    for first in (1..=lines).step_by(AT_A_TIME as usize) {
        let chunk = first..=lines.min(first + AT_A_TIME - 1);
        let read = |line| {
            let text = format!(r#"{{"op":"put","name":"i{line}-{stamp}.com","external_id":"shop-{line}"}}"#);
            NewLine {
                line,
                reference: None,
                asks: RawLine::read(&text).and_then(|raw| raw.check(&policy, |_| true)),
            }
        };
        let chunk: Vec<_> = chunk.map(read).collect();
        let mut tx = api.tenant(tenant).await?;
        tx.add_lines(operation, &chunk, clock.now()).await?;
        tx.commit().await?;
    }
    let mut tx = api.tenant(tenant).await?;
    tx.complete_operation(operation, clock.now()).await?;
    tx.commit().await?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn work_off(engine: &Engine, chance: &Chance) -> Done {
    let clock = SystemClock;
    while let Some(lease) = engine.claim_operation(clock.now()).await? {
        while engine.work_on_operation(&lease, chance, clock.now()).await? {}
    }
    Ok(())
}

/// The same rows of `domains` and `events`, other names, with the same indexes and triggers.
async fn copy(url: &str, tenant: TenantId, lines: i32, stamp: i64) -> Done<f64> {
    let mut owner = PgConnection::connect(url).await?;
    let (mut domains, mut events) = (String::new(), String::new());
    let (chance, clock) = (Chance::from_system(), SystemClock);
    for line in 1..=lines {
        let (id, event) = (chance.uuid(clock.now()), chance.uuid(clock.now()));
        writeln!(
            domains,
            "{id}\t{}\tc{line}-{stamp}.com\tshop-{line}\tpending_dns\tnow\tnow\tnow\tnow",
            tenant.uuid()
        )?;
        writeln!(events, "{event}\t{}\t{id}\tdomain_created\t\tnow\tpending_dns", tenant.uuid())?;
    }
    let begun = Instant::now();
    let mut into = owner
        .copy_in_raw("COPY domains (domain_id, tenant_id, name, external_id, status, status_since, next_action_at, created_at, updated_at) FROM STDIN")
        .await?;
    into.send(domains.as_bytes()).await?;
    into.finish().await?;
    let mut into = owner
        .copy_in_raw(
            "COPY events (event_id, tenant_id, domain_id, kind, detail, happened_at, status) FROM STDIN",
        )
        .await?;
    into.send(events.as_bytes()).await?;
    into.finish().await?;
    Ok(begun.elapsed().as_secs_f64())
}

fn tenant(chance: &Chance, clock: SystemClock) -> Done<Tenant> {
    Ok(Tenant {
        tenant_id: TenantId::new(chance, clock.now()),
        name: Label::parse("import")?,
        template: TemplateRef::parse("storefront")?,
        upstream: UpstreamAddress::parse("127.0.0.1:1")?,
        key_type: certmill_model::KeyType::EcdsaP256,
        authorities: None,
    })
}

/// The most memory that this process has had, in KB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
