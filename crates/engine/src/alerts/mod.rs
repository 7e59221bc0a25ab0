//! Looks for alerts: gathers the names in trouble, lets the model decide, and records the letters with what they tell of.

mod digests;
mod letters;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use certmill_model::{AlertId, AlertState, Cause, Gathered, Gathering, MailId, Word, take_turn};
use certmill_store::{AlertMail, AlertRecord, OpenAlert, RuleOwner, StoreError};
use tokio::{sync::watch, time::Instant};

use crate::Engine;
use letters::Names;

/// How often somebody looks whether a look is due.
const POLL: Duration = Duration::from_secs(5);

/// The time between two looks; more where one takes long, so that looking never becomes most of the work.
const BETWEEN: Duration = Duration::from_secs(60);
const TIMES: u32 = 10;

/// Looks until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        crate::measure::tick("alerts", engine.now());
        if let Err(error) = look_for_alerts(&engine).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot look for alerts; trying again");
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// One look, if it is due and no other process has the turn.
pub async fn look_for_alerts(engine: &Engine) -> Result<(), StoreError> {
    let store = &engine.parts.store;
    let Some(round) = store.take_alert_round(engine.now()).await? else { return Ok(()) };
    let begun = Instant::now();
    let owners = store.rule_owners(engine.now()).await?;
    let seen = gather(engine).await?;
    let names = Names::load(engine).await?;
    let mut records = Vec::new();
    for (before, seen) in matched(store.open_alerts(engine.now()).await?, seen) {
        records.extend(follow(engine, before, seen, &owners, &names).await?);
    }
    let next = engine.now() + BETWEEN.max(begun.elapsed() * TIMES);
    match store.record_alerts(round, &records, next, engine.now()).await {
        // Another process looks now, and finds the same.
        Ok(()) | Err(StoreError::LeaseLost) => {}
        Err(error) => return Err(error),
    }
    digests::write_due(engine, &owners, &names).await
}

/// All names in trouble, by cause.
async fn gather(engine: &Engine) -> Result<Vec<Gathered>, StoreError> {
    let store = &engine.parts.store;
    let now = engine.now();
    let mut gathering = Gathering::new(store.outages().await?, now);
    let mut after = None;
    loop {
        let (hits, next) = store.troubled_names(after).await?;
        for hit in hits {
            gathering.add(hit);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut after = None;
    loop {
        let (hits, next) = store.overdue_names(after, now).await?;
        for hit in hits {
            gathering.add(hit);
        }
        after = next;
        if after.is_none() {
            return Ok(gathering.finish());
        }
    }
}

/// What is open beside what was found.
fn matched(open: Vec<OpenAlert>, seen: Vec<Gathered>) -> Vec<(Option<OpenAlert>, Option<Gathered>)> {
    let mut pairs: BTreeMap<Cause, (Option<OpenAlert>, Option<Gathered>)> = BTreeMap::new();
    for alert in open {
        let cause = alert.cause.clone();
        pairs.entry(cause).or_default().0 = Some(alert);
    }
    for found in seen {
        let cause = found.cause.clone();
        pairs.entry(cause).or_default().1 = Some(found);
    }
    pairs.into_values().collect()
}

async fn follow(
    engine: &Engine,
    before: Option<OpenAlert>,
    seen: Option<Gathered>,
    owners: &[RuleOwner],
    names: &Names,
) -> Result<Option<AlertRecord>, StoreError> {
    let now = engine.now();
    let state: Option<AlertState> = before.as_ref().map(|alert| alert.state);
    let Some(turn) = take_turn(state, seen.as_ref(), now) else { return Ok(None) };
    let alert_id =
        before.as_ref().map_or_else(|| AlertId::new(&engine.parts.chance, now), |open| open.alert_id);
    let is_muted = before.as_ref().is_some_and(|open| open.is_muted);
    // What is over is told with what was known of it last.
    let found = seen.or(before.map(|open| open.found)).expect("a turn has an alert or something seen");
    let mut letters = Vec::new();
    if let Some(word) = turn.word.filter(|_| !is_muted) {
        let letter = names.letter(engine, alert_id, word, &turn.state, &found).await?;
        for owner in recipients(engine, alert_id, word, &found.cause, owners).await? {
            let mail_id = MailId::new(&engine.parts.chance, now);
            letters.push(AlertMail { mail_id, key: word.key(), recipient: owner, letter: letter.clone() });
        }
    }
    Ok(Some(AlertRecord { alert_id, found, state: turn.state, is_over: turn.is_over, letters }))
}

/// Who is told: whose rule asks for it, and of an end whoever was told before. One mail to an address, whatever rules it has.
async fn recipients(
    engine: &Engine,
    alert: AlertId,
    word: Word,
    cause: &Cause,
    owners: &[RuleOwner],
) -> Result<Vec<RuleOwner>, StoreError> {
    let mut told: Vec<RuleOwner> = if let Some(level) = word.level() {
        owners.iter().filter(|owner| owner.rule.wants(cause, level)).cloned().collect()
    } else {
        let told = engine.parts.store.told_of(alert).await?;
        owners.iter().filter(|owner| told.contains(&owner.email)).cloned().collect()
    };
    told.sort_by(|one, other| one.email.cmp(&other.email));
    told.dedup_by(|one, other| one.email == other.email);
    Ok(told)
}
