//! Digests that are due, each written down once.

use std::collections::{HashMap, hash_map::Entry};

use certmill_model::{DigestFrequency, DigestLetter, DigestPeriod, Letter, MailId, digest_due};
use certmill_store::{DigestFacts, NewMail, RuleOwner, StoreError};
use time::Duration;

use super::letters::Names;
use crate::Engine;

pub(super) async fn write_due(
    engine: &Engine,
    owners: &[RuleOwner],
    names: &Names,
) -> Result<(), StoreError> {
    let store = &engine.parts.store;
    // The numbers of a time are counted once, whoever is told of them.
    let mut counted: HashMap<DigestFrequency, DigestFacts> = HashMap::new();
    for owner in owners {
        let frequency = owner.rule.digest;
        let period = digest_due(frequency, engine.now()).filter(|period| period.until > owner.created_at);
        let Some(period) = period else { continue };
        let key = format!("digest/{}/{}", owner.rule_id, period.until.date());
        if store.has_mail(&key).await? {
            continue;
        }
        let facts = match counted.entry(frequency) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(store.digest_facts(period).await?),
        };
        let letter = letter(owner, frequency, period, facts, names);
        let mail = NewMail {
            mail_id: MailId::new(&engine.parts.chance, engine.now()),
            key,
            tenant_id: owner.rule.tenant_id,
            recipient: &owner.email,
            language: &owner.language,
            letter: &letter,
        };
        store.enqueue_digest(&mail, owner.rule_id, engine.now()).await?;
    }
    Ok(())
}

fn letter(
    owner: &RuleOwner,
    frequency: DigestFrequency,
    period: DigestPeriod,
    facts: &DigestFacts,
    names: &Names,
) -> Letter {
    let facts = facts.of(owner.rule.tenant_id);
    let days = (0..).zip(facts.forecast).map(|(day, count)| (period.until + Duration::days(day), count));
    Letter::Digest(Box::new(DigestLetter {
        frequency,
        tenant: names.tenant(owner.rule.tenant_id),
        from: period.from,
        until: period.until,
        domains: facts.domains,
        issued: facts.issued,
        failed: facts.failed,
        opened: facts.opened,
        resolved: facts.resolved,
        open: facts.open,
        forecast: days.collect(),
    }))
}
