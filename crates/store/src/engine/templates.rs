//! The templates that load balancers are served with, and trials of others.

use certmill_model::{
    DomainId, Form, TargetId, TemplateRef, TemplateSample, TrialId, TrialOutcome, UpstreamAddress,
};
use time::OffsetDateTime;

use super::{Engine, LEASE, TargetLease, interval};
use crate::{StoreError, rows::hostname, templates::form};

/// A template's text in one form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateText {
    /// Its name.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// The published version; 0 for a file.
    pub version: i32,
    /// The text.
    pub source: String,
}

/// A trial in the hands of this worker.
#[derive(Clone, Debug)]
pub struct DueTrial {
    /// Its id.
    pub trial_id: TrialId,
    /// What is tried.
    pub candidate: TemplateText,
    /// When somebody asked for it.
    pub created_at: OffsetDateTime,
}

/// A target that is held for a trial: no delivery begins meanwhile.
#[derive(Clone, Debug)]
pub struct BorrowedTarget {
    /// The right to it.
    pub lease: TargetLease,
    /// Its name.
    pub name: String,
    /// How it is reached and laid out.
    pub settings: serde_json::Value,
    /// The release that is live there.
    pub release_number: i64,
}

impl Engine {
    /// Tells what files of templates there are. Those that nobody has any more are forgotten.
    pub async fn keep_files(&self, files: &[TemplateText], now: OffsetDateTime) -> Result<(), StoreError> {
        let names: Vec<_> = files.iter().map(|file| file.name.clone()).collect();
        let forms: Vec<_> = files.iter().map(|file| file.form.as_str().to_owned()).collect();
        let sources: Vec<_> = files.iter().map(|file| file.source.clone()).collect();
        sqlx::query!(
            "WITH gone AS (
                 UPDATE templates SET built_in = NULL
                 WHERE built_in IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM UNNEST($1::text[], $2::text[]) AS f (name, form)
                     WHERE f.name = templates.name AND f.form = templates.form)
             )
             INSERT INTO templates (name, form, built_in, created_at, updated_at)
             SELECT name, form, source, $4, $4 FROM UNNEST($1::text[], $2::text[], $3::text[]) AS f (name, form, source)
             ORDER BY name, form
             ON CONFLICT (name, form) DO UPDATE SET built_in = EXCLUDED.built_in
             WHERE templates.built_in IS DISTINCT FROM EXCLUDED.built_in",
            &names,
            &forms,
            &sources,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The versions that `target` is served with, by name and form; `None`: all targets but those that have one first.
    pub async fn published_templates(
        &self,
        target: Option<TargetId>,
    ) -> Result<Vec<TemplateText>, StoreError> {
        let rows = sqlx::query!(
            "SELECT v.name, v.form, v.version, v.source FROM templates t
             JOIN template_versions v ON v.name = t.name AND v.form = t.form
              AND v.version = CASE WHEN t.canary_target_id IS NULL OR t.canary_target_id = $1 THEN t.published_version
                                   ELSE t.stable_version END
             ORDER BY v.name, v.form",
            target.map(TargetId::uuid),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let form = form(&row.form)?;
                Ok(TemplateText { name: row.name, form, version: row.version, source: row.source })
            })
            .collect()
    }

    /// Lets what `target` had first go to all the others: it serves `texts`.
    pub async fn settle_templates(
        &self,
        target: TargetId,
        texts: &[TemplateText],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (names, forms, versions) = keys(texts);
        let done = sqlx::query!(
            "WITH settled AS (
                 UPDATE templates t SET canary_target_id = NULL, stable_version = NULL, revision = revision + 1, updated_at = $5
                 FROM UNNEST($2::text[], $3::text[], $4::integer[]) AS f (name, form, version)
                 WHERE t.canary_target_id = $1 AND t.name = f.name AND t.form = f.form AND t.published_version = f.version
                 RETURNING t.name
             )
             UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $5)
             WHERE EXISTS (SELECT 1 FROM settled)",
            target.uuid(),
            &names,
            &forms,
            &versions,
            now,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 { self.wake().await } else { Ok(()) }
    }

    /// Takes back what `target` had first, as it does not take it: `reason`. The others never had it. Such a version has to be tried
    /// anew before it is published again.
    pub async fn refuse_templates(
        &self,
        target: TargetId,
        texts: &[TemplateText],
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (names, forms, versions) = keys(texts);
        let done = sqlx::query!(
            "WITH refused AS (
                 UPDATE templates t SET published_version = stable_version, canary_target_id = NULL, stable_version = NULL,
                     revision = revision + 1, updated_at = $5
                 FROM UNNEST($2::text[], $3::text[], $4::integer[]) AS f (name, form, version)
                 WHERE t.canary_target_id = $1 AND t.name = f.name AND t.form = f.form AND t.published_version = f.version
                 RETURNING t.name, t.form, t.revision, t.published_version AS version, f.version AS previous_version
             ), untried AS (
                 UPDATE template_versions v SET passed_at = NULL FROM refused r
                 WHERE v.name = r.name AND v.form = r.form AND v.version = r.previous_version
             ), recorded AS (
                 INSERT INTO template_publications (name, form, revision, version, previous_version, is_roll_back, author,
                                                    published_at, refused)
                 SELECT name, form, revision, version, previous_version, true, 'certmill', $5, $6 FROM refused
             )
             UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $5)
             WHERE EXISTS (SELECT 1 FROM refused)",
            target.uuid(),
            &names,
            &forms,
            &versions,
            now,
            reason,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 { self.wake().await } else { Ok(()) }
    }

    /// Has another target take the place of one that had a version first and was disabled, removed or lost before it served it. Where
    /// none can, the version waits.
    pub async fn replace_canaries(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "WITH lost AS (
                 SELECT name, form, canary_target_id, template_canary(name, form, canary_target_id) AS target_id FROM templates
                 WHERE canary_target_id IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM targets c WHERE c.target_id = canary_target_id AND c.state NOT IN ('disabled', 'unreachable'))
             ), replaced AS (
                 UPDATE templates t SET canary_target_id = lost.target_id, revision = revision + 1, updated_at = $1 FROM lost
                 WHERE t.name = lost.name AND t.form = lost.form AND t.canary_target_id = lost.canary_target_id
                   AND lost.target_id IS NOT NULL
                 RETURNING lost.target_id, lost.canary_target_id AS before
             )
             -- The one before goes back to what the others have, when it is there again.
             UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $1)
             WHERE target_id IN (SELECT target_id FROM replaced UNION SELECT before FROM replaced)",
            now,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 { self.wake().await } else { Ok(()) }
    }

    /// Takes the trial that waits longest, for the caller alone for a while.
    pub async fn take_trial(&self) -> Result<Option<DueTrial>, StoreError> {
        let row = sqlx::query!(
            "UPDATE template_trials t SET lease_until = now() + $1
             FROM template_versions v
             WHERE t.trial_id = (
                 SELECT trial_id FROM template_trials
                 WHERE finished_at IS NULL AND (lease_until IS NULL OR lease_until < now())
                 ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
               AND v.name = t.name AND v.form = t.form AND v.version = t.version
             RETURNING t.trial_id, t.name, t.form, t.version, t.created_at, v.source",
            interval(LEASE * 4),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let form = form(&row.form)?;
        Ok(Some(DueTrial {
            trial_id: TrialId::from_uuid(row.trial_id),
            candidate: TemplateText { name: row.name, form, version: row.version, source: row.source },
            created_at: row.created_at,
        }))
    }

    /// Leaves a trial that was taken to whoever looks next.
    pub async fn put_back_trial(&self, trial: TrialId) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE template_trials SET lease_until = NULL WHERE trial_id = $1 AND finished_at IS NULL",
            trial.uuid(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records what came of a trial.
    pub async fn finish_trial(
        &self,
        trial: TrialId,
        outcome: &TrialOutcome,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let result = serde_json::to_value(outcome)
            .map_err(|error| StoreError::inconsistent("template_trials", error))?;
        sqlx::query!(
            "WITH finished AS (
                 UPDATE template_trials SET finished_at = $4, passed = $2, result = $3, lease_until = NULL
                 WHERE trial_id = $1 AND finished_at IS NULL RETURNING name, form, version
             )
             UPDATE template_versions v SET passed_at = $4 FROM finished f
             WHERE $2 AND v.name = f.name AND v.form = f.form AND v.version = f.version",
            trial.uuid(),
            outcome.passed,
            result,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Holds a target that has a release and that nobody delivers to, one that works before others. `None`: all are busy.
    pub async fn borrow_target(&self) -> Result<Option<BorrowedTarget>, StoreError> {
        let row = sqlx::query!(
            r#"UPDATE targets SET lease_until = now() + $1, lease_token = lease_token + 1
               WHERE target_id = (
                   SELECT target_id FROM targets
                   WHERE release_number IS NOT NULL AND state <> 'disabled' AND (lease_until IS NULL OR lease_until < now())
                   ORDER BY state = 'unreachable', consecutive_failures, name LIMIT 1 FOR UPDATE SKIP LOCKED)
               RETURNING target_id, lease_token, name, settings, release_number AS "release_number!""#,
            interval(LEASE * 2),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| BorrowedTarget {
            lease: TargetLease { target_id: TargetId::from_uuid(row.target_id), token: row.lease_token },
            name: row.name,
            settings: row.settings,
            release_number: row.release_number,
        }))
    }

    /// Whether any target has a release.
    pub async fn has_live_target(&self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM targets WHERE release_number IS NOT NULL AND state <> 'disabled') AS "found!""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(found)
    }

    /// Lets a target go that was held for a trial.
    pub async fn return_target(&self, lease: &TargetLease) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE targets SET lease_until = NULL WHERE target_id = $1 AND lease_token = $2",
            lease.target_id.uuid(),
            lease.token,
        )
        .execute(&self.pool)
        .await?;
        self.wake().await
    }

    /// Up to `limit` domains that a target serves: some with the template, else any.
    pub async fn trial_samples(
        &self,
        lease: &TargetLease,
        template: &TemplateRef,
        limit: i64,
    ) -> Result<Vec<TemplateSample>, StoreError> {
        let served = [template.name().to_owned(), template.to_string()];
        let rows = sqlx::query!(
            "WITH with_it AS (
                 SELECT domain_id FROM placements
                 WHERE target_id = $1 AND served_certificate_id IS NOT NULL AND served_template = ANY ($2) LIMIT $3
             ), others AS (
                 SELECT domain_id FROM placements
                 WHERE target_id = $1 AND served_certificate_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM with_it) LIMIT $3
             )
             SELECT d.domain_id, d.name, t.upstream FROM domains d JOIN tenants t USING (tenant_id)
             WHERE d.domain_id IN (SELECT domain_id FROM with_it UNION ALL SELECT domain_id FROM others)
             ORDER BY d.name",
            lease.target_id.uuid(),
            &served,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let upstream = UpstreamAddress::parse(&row.upstream);
                Ok(TemplateSample {
                    domain_id: DomainId::from_uuid(row.domain_id),
                    name: hostname("domains", &row.name)?,
                    upstream: upstream.map_err(|error| StoreError::inconsistent("tenants", error))?,
                })
            })
            .collect()
    }
}

/// Names, forms and versions, each as a column.
fn keys(texts: &[TemplateText]) -> (Vec<String>, Vec<String>, Vec<i32>) {
    let names = texts.iter().map(|text| text.name.clone()).collect();
    let forms = texts.iter().map(|text| text.form.as_str().to_owned()).collect();
    (names, forms, texts.iter().map(|text| text.version).collect())
}
