//! Trials of a template's version: asked for here, made by the engine.

use certmill_model::{TemplateRef, TrialId, TrialOutcome};
use time::OffsetDateTime;

use super::{ScopedTx, templates::key};
use crate::{StoreError, WAKE_CHANNEL};

/// A trial as it stands.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its id.
    pub trial_id: TrialId,
    /// Who asked for it.
    pub author: String,
    /// The version that is tried.
    pub version: i32,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// What came of it; `None`: it is under way.
    pub outcome: Option<TrialOutcome>,
}

impl ScopedTx {
    /// Has a version tried by the engine, on some names that are served. `false`: there is none.
    pub async fn ask_trial(
        &mut self,
        trial: TrialId,
        (template, version): (&TemplateRef, i32),
        author: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let (name, form) = key(template);
        let done = sqlx::query!(
            "INSERT INTO template_trials (trial_id, name, form, version, domains, author, created_at)
             SELECT $1, name, form, version, '{}', $5, $6 FROM template_versions
             WHERE name = $2 AND form = $3 AND version = $4",
            trial.uuid(),
            name,
            form,
            version,
            author,
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// A trial of a version of this template.
    pub async fn read_trial(
        &mut self,
        (template, version): (&TemplateRef, i32),
        trial: TrialId,
    ) -> Result<Option<Trial>, StoreError> {
        Ok(self.select_trials((template, version), Some(trial), 1).await?.pop())
    }

    /// The last `limit` trials of a version, the newest first.
    pub async fn list_trials(
        &mut self,
        version: (&TemplateRef, i32),
        limit: i64,
    ) -> Result<Vec<Trial>, StoreError> {
        self.select_trials(version, None, limit).await
    }

    async fn select_trials(
        &mut self,
        (template, version): (&TemplateRef, i32),
        only: Option<TrialId>,
        limit: i64,
    ) -> Result<Vec<Trial>, StoreError> {
        let (name, form) = key(template);
        let rows = sqlx::query!(
            "SELECT trial_id, version, author, created_at, result FROM template_trials
             WHERE name = $1 AND form = $2 AND version = $3 AND ($4::uuid IS NULL OR trial_id = $4)
             ORDER BY trial_id DESC LIMIT $5",
            name,
            form,
            version,
            only.map(TrialId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let outcome = row.result.map(serde_json::from_value).transpose();
                Ok(Trial {
                    trial_id: TrialId::from_uuid(row.trial_id),
                    version: row.version,
                    author: row.author,
                    created_at: row.created_at,
                    outcome: outcome.map_err(|error| StoreError::inconsistent("template_trials", error))?,
                })
            })
            .collect()
    }
}
