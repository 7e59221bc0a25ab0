//! Names in trouble, a page at a time: those with an open problem, and those whose renewal did not come.

use certmill_model::{About, DomainId, Hit, Outage, ProblemCode, Served, TargetId, TenantId, Validity};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::NOTHING_SAYS_WHY;
use crate::{
    Engine, StoreError,
    rows::{hostname, parsed},
};

/// Names of one page.
const PAGE: i64 = 2_000;

/// How long after its time a renewal is looked for that nothing is known of.
const SLEEPS: Duration = Duration::HOUR;

/// Names that must wait for a CA before it counts as away.
const WAITING: usize = 3;

/// Names in trouble that are looked at to learn whether a CA is away.
const SAMPLE: i64 = 300;

/// A row of either kind.
struct HitColumns {
    domain_id: Uuid,
    name: String,
    tenant_id: Uuid,
    code: String,
    detail: String,
    since: OffsetDateTime,
    last_attempt_at: OffsetDateTime,
    next_attempt_at: Option<OffsetDateTime>,
    consecutive_failures: i32,
    renew_after: Option<OffsetDateTime>,
    served_not_before: Option<OffsetDateTime>,
    served_not_after: Option<OffsetDateTime>,
    served_at: Option<OffsetDateTime>,
    looked_at: Option<OffsetDateTime>,
    seen: Option<String>,
    watch_not_before: Option<OffsetDateTime>,
    watch_not_after: Option<OffsetDateTime>,
    wrong_since: Option<OffsetDateTime>,
    has_alarmed: Option<bool>,
    directory_url: Option<String>,
    target_id: Option<Uuid>,
    unreachable: Option<Vec<Uuid>>,
}

impl Engine {
    /// A page of names with an open problem, behind `after`; the next page begins behind the second value, if there is one.
    pub async fn troubled_names(
        &self,
        after: Option<(DomainId, String)>,
    ) -> Result<(Vec<Hit>, Option<(DomainId, String)>), StoreError> {
        let (id, code) = after.map_or((Uuid::nil(), String::new()), |(id, code)| (id.uuid(), code));
        let rows = sqlx::query_as!(
            HitColumns,
            r#"SELECT p.domain_id, d.name, p.tenant_id, p.code, p.detail, p.since, p.last_attempt_at, p.next_attempt_at,
                   d.consecutive_failures, d.renew_after, s.not_before AS "served_not_before?",
                   s.not_after AS "served_not_after?", s.served_at AS "served_at?", w.looked_at AS "looked_at?",
                   w.seen AS "seen?", w.not_before AS "watch_not_before?", w.not_after AS "watch_not_after?",
                   w.wrong_since AS "wrong_since?", w.has_alarmed AS "has_alarmed?", a.directory_url AS "directory_url?",
                   s.target_id AS "target_id?", s.unreachable AS "unreachable?"
               FROM problems p JOIN domains d USING (domain_id)
               LEFT JOIN watches w ON w.domain_id = p.domain_id
               LEFT JOIN LATERAL (
                   -- The one that ends first of those that were last proved.
                   SELECT min(c.not_before) AS not_before, min(c.not_after) AS not_after, min(pl.served_at) AS served_at,
                          (array_agg(pl.target_id) FILTER (WHERE pl.consecutive_failures > 0))[1] AS target_id,
                          array_agg(pl.target_id) FILTER (WHERE t.state = 'unreachable') AS unreachable
                   FROM placements pl JOIN targets t USING (target_id)
                   LEFT JOIN certificates c ON c.certificate_id = pl.served_certificate_id
                   WHERE pl.domain_id = p.domain_id AND t.state <> 'disabled'
               ) s ON true
               LEFT JOIN LATERAL (
                   SELECT ac.directory_url FROM orders o JOIN accounts ac USING (account_id)
                   WHERE o.domain_id = p.domain_id ORDER BY o.order_id DESC LIMIT 1
               ) a ON true
               WHERE (p.domain_id, p.code) > ($1, $2)
                 AND d.status NOT IN ('moved', 'paused', 'blocked', 'pending_deletion', 'deleted')
               ORDER BY p.domain_id, p.code LIMIT $3"#,
            id,
            code,
            PAGE,
        )
        .fetch_all(&self.pool)
        .await?;
        let next = (rows.len() as i64 == PAGE)
            .then(|| rows.last().map(|row| (DomainId::from_uuid(row.domain_id), row.code.clone())))
            .flatten();
        let hits = rows.into_iter().map(Hit::try_from).collect::<Result<_, _>>()?;
        Ok((hits, next))
    }

    /// A page of names whose renewal did not come though nothing is known to be wrong, behind `after`.
    pub async fn overdue_names(
        &self,
        after: Option<(OffsetDateTime, DomainId)>,
        now: OffsetDateTime,
    ) -> Result<(Vec<Hit>, Option<(OffsetDateTime, DomainId)>), StoreError> {
        let (at, id) = after.map_or((OffsetDateTime::UNIX_EPOCH, Uuid::nil()), |(at, id)| (at, id.uuid()));
        let rows = sqlx::query_as!(
            HitColumns,
            r#"SELECT d.domain_id, d.name, d.tenant_id, $5 AS "code!", '' AS "detail!", d.renew_after AS "since!",
                   d.updated_at AS last_attempt_at, d.next_action_at AS next_attempt_at, d.consecutive_failures,
                   d.renew_after, s.not_before AS "served_not_before?", s.not_after AS "served_not_after?",
                   s.served_at AS "served_at?", w.looked_at AS "looked_at?", w.seen AS "seen?",
                   w.not_before AS "watch_not_before?", w.not_after AS "watch_not_after?",
                   w.wrong_since AS "wrong_since?", w.has_alarmed AS "has_alarmed?",
                   a.directory_url AS "directory_url?", s.target_id AS "target_id?", s.unreachable AS "unreachable?"
               FROM domains d
               LEFT JOIN watches w ON w.domain_id = d.domain_id
               LEFT JOIN LATERAL (
                   SELECT min(c.not_before) AS not_before, min(c.not_after) AS not_after, min(pl.served_at) AS served_at,
                          (array_agg(pl.target_id) FILTER (WHERE pl.consecutive_failures > 0))[1] AS target_id,
                          array_agg(pl.target_id) FILTER (WHERE t.state = 'unreachable') AS unreachable
                   FROM placements pl JOIN targets t USING (target_id)
                   LEFT JOIN certificates c ON c.certificate_id = pl.served_certificate_id
                   WHERE pl.domain_id = d.domain_id AND t.state <> 'disabled'
               ) s ON true
               LEFT JOIN LATERAL (
                   SELECT ac.directory_url FROM orders o JOIN accounts ac USING (account_id)
                   WHERE o.domain_id = d.domain_id ORDER BY o.order_id DESC LIMIT 1
               ) a ON true
               WHERE d.renew_after < $1 AND d.status <> 'deleted' AND (d.renew_after, d.domain_id) > ($2, $3)
                 AND d.status NOT IN ('moved', 'paused', 'blocked', 'pending_deletion')
                 AND NOT EXISTS (SELECT 1 FROM problems p WHERE p.domain_id = d.domain_id)
               ORDER BY d.renew_after, d.domain_id LIMIT $4"#,
            now - SLEEPS,
            at,
            id,
            PAGE,
            NOTHING_SAYS_WHY.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        let next = (rows.len() as i64 == PAGE)
            .then(|| rows.last().map(|row| (row.since, DomainId::from_uuid(row.domain_id))))
            .flatten();
        let hits = rows.into_iter().map(Hit::try_from).collect::<Result<_, _>>()?;
        Ok((hits, next))
    }

    /// What is away: load balancers that cannot be reached, and CAs that several names wait for.
    pub async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        let targets = sqlx::query!(
            "SELECT target_id, state_detail, state_since FROM targets WHERE state = 'unreachable' ORDER BY target_id"
        )
        .fetch_all(&self.pool)
        .await?;
        let mut outages: Vec<_> = targets
            .into_iter()
            .map(|row| Outage {
                about: About::Target(TargetId::from_uuid(row.target_id)),
                since: row.state_since,
                detail: row.state_detail.unwrap_or_default(),
            })
            .collect();
        outages.extend(self.authorities_away().await?);
        Ok(outages)
    }

    async fn authorities_away(&self) -> Result<Vec<Outage>, StoreError> {
        let waiting = sqlx::query!(
            "SELECT a.directory_url, p.since, p.detail
             FROM (SELECT domain_id, since, detail FROM problems WHERE code = $1 ORDER BY domain_id LIMIT $2) p,
             LATERAL (SELECT ac.directory_url FROM orders o JOIN accounts ac USING (account_id)
                      WHERE o.domain_id = p.domain_id ORDER BY o.order_id DESC LIMIT 1) a
             ORDER BY a.directory_url, p.since",
            ProblemCode::CaUnavailable.as_str(),
            SAMPLE,
        )
        .fetch_all(&self.pool)
        .await?;
        let groups = waiting.chunk_by(|one, other| one.directory_url == other.directory_url);
        let away = groups.filter(|group| group.len() >= WAITING).map(|group| Outage {
            about: About::Ca(host(&group[0].directory_url)),
            since: group[0].since,
            detail: group[0].detail.clone(),
        });
        Ok(away.collect())
    }
}

/// The host of a CA's directory, by which people know it.
fn host(directory_url: &str) -> String {
    let rest = directory_url.split_once("://").map_or(directory_url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

impl HitColumns {
    /// What a browser saw counts, unless a load balancer has shown something newer since.
    fn served(&self) -> Served {
        let proved = validity(self.served_not_before, self.served_not_after);
        let is_watch_newer =
            self.looked_at.is_some_and(|at| self.served_at.is_none_or(|proved| at >= proved));
        let watched = validity(self.watch_not_before, self.watch_not_after);
        match (self.seen.as_deref(), self.wrong_since) {
            (Some("invalid"), Some(since)) if is_watch_newer && self.has_alarmed == Some(true) => {
                Served::Invalid { since }
            }
            (Some("right" | "other"), _) if is_watch_newer => {
                watched.or(proved).map_or(Served::Never, Served::Valid)
            }
            _ => proved.map_or(Served::Never, Served::Valid),
        }
    }
}

fn validity(not_before: Option<OffsetDateTime>, not_after: Option<OffsetDateTime>) -> Option<Validity> {
    Some(Validity { not_before: not_before?, not_after: not_after? })
}

impl TryFrom<HitColumns> for Hit {
    type Error = StoreError;

    fn try_from(row: HitColumns) -> Result<Self, StoreError> {
        let served = row.served();
        Ok(Self {
            domain_id: DomainId::from_uuid(row.domain_id),
            name: hostname("domains", &row.name)?,
            tenant_id: TenantId::from_uuid(row.tenant_id),
            code: parsed("problems", &row.code)?,
            detail: row.detail,
            ca: row.directory_url.as_deref().map(host),
            target: row.target_id.map(TargetId::from_uuid),
            unreachable: row.unreachable.unwrap_or_default().into_iter().map(TargetId::from_uuid).collect(),
            served,
            renew_at: row.renew_after,
            failures: row.consecutive_failures.unsigned_abs(),
            since: row.since,
            last_attempt_at: row.last_attempt_at,
            next_attempt_at: row.next_attempt_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_known_by_its_host() {
        assert_eq!(host("https://acme-v02.api.letsencrypt.org/directory"), "acme-v02.api.letsencrypt.org");
        assert_eq!(host("https://ca.example:14000/dir?x"), "ca.example:14000");
    }
}
