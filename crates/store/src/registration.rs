//! How a domain comes in, whoever registers it.

use std::collections::{HashMap, HashSet};

use certmill_model::{Chance, DomainId, DomainStatus, EventId, EventKind, Health, KeyType, Label, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Domain, DomainWish, StoreError, WAKE_CHANNEL,
    quota::{Room, count_more, room},
    rows::parsed,
};

/// Registers a domain for `tenant`; `None` if there is one of this name.
pub(crate) async fn register(
    connection: &mut PgConnection,
    tenant: TenantId,
    wish: &DomainWish,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Option<Domain>, StoreError> {
    let is_there = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM domains WHERE name = $1 AND status <> 'deleted') AS "is_there!""#,
        wish.name.as_str(),
    )
    .fetch_one(&mut *connection)
    .await?;
    // What the tenant has already is no new name, whatever its quota says.
    let room = if is_there { Room::Unlimited } else { room(connection, tenant).await?.for_one()? };
    let id = DomainId::new(chance, now);
    let inserted = sqlx::query!(
        r#"WITH created AS (
             INSERT INTO domains (domain_id, tenant_id, name, external_id, template, key_type, status, status_since,
                                  next_action_at, created_at, updated_at, order_after, validation_failed_at)
             SELECT $1, $2, $3, $4, $5, $10, 'pending_dns', $6, $6, $6, $6, gone.order_after,
                    gone.validation_failed_at
             -- Removed and registered again, a name has no more attempts at the CA than before.
             FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
                 SELECT order_after, validation_failed_at FROM domains
                 WHERE tenant_id = $2 AND name = $3 AND status = 'deleted'
                 ORDER BY status_since DESC LIMIT 1) AS gone ON true
             ON CONFLICT (name) WHERE status <> 'deleted' DO NOTHING
             RETURNING domain_id, tenant_id
         ), delegated AS (
             INSERT INTO delegations (tenant_id, name, label, zone_id, created_at)
             SELECT tenant_id, $11, $12, (SELECT zone_id FROM zones ORDER BY created_at DESC LIMIT 1), $6
             FROM created
             ON CONFLICT (tenant_id, name) DO NOTHING
         ), claimed AS (
             DELETE FROM ownership_claims WHERE tenant_id = $2 AND name = $3 AND EXISTS (SELECT 1 FROM created)
         ), told AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, status)
             SELECT $7, tenant_id, domain_id, $8, '', $6, 'pending_dns' FROM created
         )
         SELECT t.name AS "tenant!", t.key_type AS "key_type!" FROM created JOIN tenants t USING (tenant_id),
                LATERAL (SELECT pg_notify($9, '')) AS woken"#,
        id.uuid(),
        tenant.uuid(),
        wish.name.as_str(),
        wish.external_id.as_ref().map(Label::as_str),
        wish.template.as_ref().map(ToString::to_string),
        now,
        EventId::new(chance, now).uuid(),
        EventKind::DomainCreated.as_str(),
        WAKE_CHANNEL,
        wish.key_type.map(KeyType::as_str),
        wish.name.base(),
        chance.label(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(owner) = inserted else { return Ok(None) };
    if matches!(room, Room::Counted(_)) {
        count_more(connection, tenant, 1).await?;
    }
    if !wish.tags.is_empty() || !wish.metadata.is_empty() {
        keep_labels(connection, tenant, id, wish).await?;
    }
    let (tags, metadata) = labels(wish);
    let created = Domain {
        domain_id: id,
        tenant_id: tenant,
        tenant: owner.tenant,
        name: wish.name.clone(),
        external_id: wish.external_id.as_ref().map(ToString::to_string),
        tags,
        metadata,
        template: wish.template.as_ref().map(ToString::to_string),
        key_type: wish.key_type,
        effective_key_type: match wish.key_type {
            Some(key_type) => key_type,
            None => parsed("tenants", &owner.key_type)?,
        },
        status: DomainStatus::PendingDns,
        status_since: now,
        health: Health::Ok,
        certificate: None,
        renew_after: None,
        deferral: None,
        next_action_at: Some(now),
        created_at: now,
        updated_at: now,
    };
    Ok(Some(created))
}

/// Registers those of `wishes` whose names nobody has, as far as there is room for them, in one statement for all; answers
/// their ids by name.
pub(crate) async fn register_many(
    connection: &mut PgConnection,
    tenant: TenantId,
    wishes: &[&DomainWish],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<HashMap<String, Uuid>, StoreError> {
    let room = match room(connection, tenant).await {
        // The single names are told why.
        Err(StoreError::Suspended) => return Ok(HashMap::new()),
        room => room?,
    };
    let names: Vec<_> = wishes.iter().map(|wish| wish.name.to_string()).collect();
    let there: HashSet<String> = match room {
        Room::Unlimited => HashSet::new(),
        Room::Counted(_) => sqlx::query_scalar!(
            "SELECT name FROM domains WHERE name = ANY($1) AND status <> 'deleted'",
            &names
        )
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect(),
    };
    let new = wishes.iter().copied().filter(|wish| !there.contains(wish.name.as_str()));
    let wishes: Vec<_> = match room {
        Room::Unlimited => new.collect(),
        Room::Counted(left) => new.take(usize::try_from(left).unwrap_or_default()).collect(),
    };
    let created = insert_many(connection, tenant, &wishes, chance, now).await?;
    if matches!(room, Room::Counted(_)) {
        count_more(connection, tenant, created.len() as i32).await?;
    }
    for wish in wishes.iter().filter(|wish| !wish.tags.is_empty() || !wish.metadata.is_empty()) {
        if let Some(id) = created.get(wish.name.as_str()) {
            keep_labels(connection, tenant, DomainId::from_uuid(*id), wish).await?;
        }
    }
    Ok(created)
}

async fn insert_many(
    connection: &mut PgConnection,
    tenant: TenantId,
    wishes: &[&DomainWish],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<HashMap<String, Uuid>, StoreError> {
    let ids: Vec<_> = wishes.iter().map(|_| DomainId::new(chance, now).uuid()).collect();
    let events: Vec<_> = wishes.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    let names: Vec<_> = wishes.iter().map(|wish| wish.name.to_string()).collect();
    let bases: Vec<_> = wishes.iter().map(|wish| wish.name.base().to_owned()).collect();
    let shops: Vec<_> =
        wishes.iter().map(|wish| wish.external_id.as_ref().map(ToString::to_string)).collect();
    let templates: Vec<_> =
        wishes.iter().map(|wish| wish.template.as_ref().map(ToString::to_string)).collect();
    let keys: Vec<_> = wishes.iter().map(|wish| wish.key_type.map(|key| key.as_str().to_owned())).collect();
    let places: Vec<_> = wishes.iter().map(|_| chance.label()).collect();
    let rows = sqlx::query!(
        r#"WITH wish AS (
             SELECT * FROM UNNEST($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
                 AS w (domain_id, event_id, name, base, external_id, template, key_type, label)
         ), created AS (
             INSERT INTO domains (domain_id, tenant_id, name, external_id, template, key_type, status, status_since,
                                  next_action_at, created_at, updated_at, order_after, validation_failed_at)
             SELECT w.domain_id, $1, w.name, w.external_id, w.template, w.key_type, 'pending_dns', $2, $2, $2, $2,
                    gone.order_after, gone.validation_failed_at
             FROM wish w LEFT JOIN LATERAL (
                 SELECT order_after, validation_failed_at FROM domains d
                 WHERE d.tenant_id = $1 AND d.name = w.name AND d.status = 'deleted'
                 ORDER BY status_since DESC LIMIT 1) AS gone ON true
             ORDER BY w.name
             ON CONFLICT (name) WHERE status <> 'deleted' DO NOTHING
             RETURNING domain_id, name
         ), delegated AS (
             INSERT INTO delegations (tenant_id, name, label, zone_id, created_at)
             SELECT DISTINCT ON (w.base) $1, w.base, w.label, (SELECT zone_id FROM zones ORDER BY created_at DESC LIMIT 1), $2
             FROM created JOIN wish w USING (domain_id) ORDER BY w.base
             ON CONFLICT (tenant_id, name) DO NOTHING
         ), claimed AS (
             DELETE FROM ownership_claims c USING created WHERE c.tenant_id = $1 AND c.name = created.name
         ), told AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, status)
             SELECT w.event_id, $1, w.domain_id, $11, '', $2, 'pending_dns' FROM created JOIN wish w USING (domain_id)
         )
         SELECT domain_id, name FROM created"#,
        tenant.uuid(),
        now,
        &ids,
        &events,
        &names,
        &bases,
        &shops as &[Option<String>],
        &templates as &[Option<String>],
        &keys as &[Option<String>],
        &places,
        EventKind::DomainCreated.as_str(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.domain_id)).collect())
}

/// Puts the tags and data of `wish` in the place of those that were there.
pub(crate) async fn keep_labels(
    connection: &mut PgConnection,
    tenant: TenantId,
    domain: DomainId,
    wish: &DomainWish,
) -> Result<(), StoreError> {
    let (tags, metadata) = labels(wish);
    sqlx::query!(
        "WITH old AS (
             DELETE FROM domain_tags WHERE domain_id = $1 AND tag <> ALL($3)
         ), unset AS (
             DELETE FROM domain_metadata WHERE domain_id = $1 AND $4::jsonb = '{}'
         ), set AS (
             INSERT INTO domain_metadata (domain_id, tenant_id, metadata) SELECT $1, $2, $4 WHERE $4::jsonb <> '{}'
             ON CONFLICT (domain_id) DO UPDATE SET metadata = EXCLUDED.metadata
         )
         INSERT INTO domain_tags (domain_id, tenant_id, tag) SELECT $1, $2, UNNEST($3::text[])
         ON CONFLICT (domain_id, tag) DO NOTHING",
        domain.uuid(),
        tenant.uuid(),
        &tags,
        metadata,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Tags and data as they are stored.
pub(crate) fn labels(wish: &DomainWish) -> (Vec<String>, serde_json::Value) {
    let tags = wish.tags.iter().map(str::to_owned).collect();
    let metadata = wish.metadata.iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    (tags, serde_json::Value::Object(metadata))
}
