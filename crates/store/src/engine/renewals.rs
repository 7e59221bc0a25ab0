//! Renewals: what is planned for when, and what CAs say of it (RFC 9773).

use certmill_model::{CertificateId, RenewalPlan, SuggestedWindow, Validity};
use sqlx::types::time::OffsetDateTime as Instant;
use time::{Duration, OffsetDateTime};

use super::Engine;
use crate::{StoreError, WAKE_CHANNEL};

/// How long a CA may take to answer before somebody else asks.
const UNDER_WAY: Duration = Duration::minutes(10);

/// A certificate in use whose CA is to be asked when to renew it.
#[derive(Clone, Debug)]
pub struct DueRenewalInfo {
    /// The certificate.
    pub certificate_id: CertificateId,
    /// The directory of the CA that it was ordered from.
    pub directory_url: String,
    /// How the CA knows it.
    pub identifier: String,
    /// From when until when it is valid.
    pub validity: Validity,
    /// What is planned so far.
    pub plan: RenewalPlan,
}

/// What a CA answered, as a plan.
#[derive(Clone, Debug)]
pub struct AnsweredRenewal {
    /// The certificate.
    pub certificate_id: CertificateId,
    /// What is planned from now on; its `poll_at` empty: the CA is not asked any more.
    pub plan: RenewalPlan,
}

impl Engine {
    /// How many renewals are planned for each hour.
    pub async fn planned_renewals(&self) -> Result<Vec<(OffsetDateTime, u32)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT date_trunc('hour', renew_after) AS "hour!", count(*) AS "renewals!" FROM domains
               WHERE renew_after IS NOT NULL AND status <> 'deleted' GROUP BY 1"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.hour, u32::try_from(row.renewals).unwrap_or(u32::MAX))).collect())
    }

    /// Takes up to `limit` certificates whose CAs are to be asked at `now`. They count as asked for a while. What is known
    /// of certificates that are in use no more is forgotten.
    pub async fn take_due_renewal_infos(
        &self,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<DueRenewalInfo>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH due AS (
                   SELECT certificate_id FROM renewal_info WHERE poll_after <= $1 ORDER BY poll_after LIMIT $2
                   FOR UPDATE SKIP LOCKED
               ), taken AS (
                   UPDATE renewal_info r SET poll_after = $3 FROM due WHERE r.certificate_id = due.certificate_id
                   RETURNING r.certificate_id, r.account_id, r.identifier, r.window_start, r.window_end,
                             r.explanation_url, r.failures
               )
               SELECT taken.certificate_id, a.directory_url, taken.identifier, taken.window_start, taken.window_end,
                      taken.explanation_url, taken.failures, c.not_before, c.not_after, used.renew_after
               FROM taken
               JOIN certificates c USING (certificate_id)
               JOIN accounts a USING (account_id)
               LEFT JOIN LATERAL (
                   SELECT d.renew_after FROM domains d
                   WHERE d.name = ANY(c.names) AND d.status NOT IN ('deleted', 'pending_deletion')
                     AND d.certificate_id = taken.certificate_id
                   LIMIT 1) AS used ON true"#,
            now,
            limit,
            now + UNDER_WAY,
        )
        .fetch_all(&self.pool)
        .await?;
        let (used, unused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.renew_after.is_some());
        let unused: Vec<_> = unused.iter().map(|row| row.certificate_id).collect();
        self.forget_renewal_infos(&unused).await?;
        let due = used.into_iter().filter_map(|row| {
            let renew_at = row.renew_after?;
            let window = row.window_start.zip(row.window_end);
            Some(DueRenewalInfo {
                certificate_id: CertificateId::from_uuid(row.certificate_id),
                directory_url: row.directory_url,
                identifier: row.identifier,
                validity: Validity { not_before: row.not_before, not_after: row.not_after },
                plan: RenewalPlan {
                    renew_at,
                    window: window.and_then(|(start, end)| SuggestedWindow::new(start, end).ok()),
                    explanation_url: row.explanation_url,
                    poll_at: None,
                    poll_failures: row.failures.unsigned_abs(),
                },
            })
        });
        Ok(due.collect())
    }

    /// Records what CAs answered. A renewal that moves is due at its new time, for every domain that has the certificate;
    /// one that has another by now is left alone, and so is a renewal that is due at `now`: whoever wanted it, perhaps an
    /// operator a moment ago, waits for it.
    pub async fn renewal_infos_answered(
        &self,
        answered: &[AnsweredRenewal],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let over: Vec<_> = answered.iter().filter(|one| one.plan.poll_at.is_none()).collect();
        let over: Vec<_> = over.iter().map(|one| one.certificate_id.uuid()).collect();
        let starts: Vec<Option<Instant>> = column(answered, |plan| plan.window.map(|window| window.start()));
        let ends: Vec<Option<Instant>> = column(answered, |plan| plan.window.map(|window| window.end()));
        let polls: Vec<Option<Instant>> = column(answered, |plan| plan.poll_at);
        sqlx::query!(
            "WITH answer AS (
                 SELECT * FROM UNNEST($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::int[],
                                      $6::timestamptz[], $7::timestamptz[])
                     AS a (certificate_id, window_start, window_end, explanation_url, failures, poll_after, renew_at)
             ), known AS (
                 UPDATE renewal_info r SET window_start = answer.window_start, window_end = answer.window_end,
                     explanation_url = answer.explanation_url, failures = answer.failures,
                     poll_after = COALESCE(answer.poll_after, r.poll_after)
                 FROM answer WHERE r.certificate_id = answer.certificate_id
             ), changed AS (
                 -- Locked in the order in which everybody locks domains.
                 SELECT d.domain_id, answer.renew_at
                 FROM answer JOIN certificates c USING (certificate_id)
                 JOIN domains d ON d.name = ANY(c.names) AND d.certificate_id = answer.certificate_id
                 WHERE d.renew_after <> answer.renew_at AND d.renew_after > $9
                   AND d.status NOT IN ('deleted', 'pending_deletion')
                 ORDER BY d.domain_id FOR NO KEY UPDATE OF d
             ), moved AS (
                 -- The revision tells a step that is under way that it does not know the newest.
                 UPDATE domains d SET renew_after = changed.renew_at, revision = d.revision + 1,
                     next_action_at = LEAST(d.next_action_at, changed.renew_at)
                 FROM changed WHERE d.domain_id = changed.domain_id
                 RETURNING d.domain_id
             )
             SELECT pg_notify($8, '') FROM moved LIMIT 1",
            &answered.iter().map(|one| one.certificate_id.uuid()).collect::<Vec<_>>(),
            &starts as &[Option<Instant>],
            &ends as &[Option<Instant>],
            &column(answered, |plan| plan.explanation_url.clone()) as &[Option<String>],
            &column(answered, |plan| plan.poll_failures as i32),
            &polls as &[Option<Instant>],
            &column(answered, |plan| plan.renew_at),
            WAKE_CHANNEL,
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        self.forget_renewal_infos(&over).await
    }

    async fn forget_renewal_infos(&self, certificates: &[uuid::Uuid]) -> Result<(), StoreError> {
        if !certificates.is_empty() {
            sqlx::query!("DELETE FROM renewal_info WHERE certificate_id = ANY($1)", certificates)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

fn column<T>(answered: &[AnsweredRenewal], of: impl Fn(&RenewalPlan) -> T) -> Vec<T> {
    answered.iter().map(|one| of(&one.plan)).collect()
}
