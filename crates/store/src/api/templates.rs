//! nginx templates with their versions, as operators write and publish them. Never for tenants: whoever writes a template
//! decides where requests go.

use certmill_model::{Form, TemplateRef};
use time::OffsetDateTime;

use super::ScopedTx;
use crate::{StoreError, WAKE_CHANNEL, templates::form};

/// A template in one of its forms.
#[derive(Clone, Debug)]
pub struct TemplateRow {
    /// Its name.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Whether there is a file of it, which is served while no version is published.
    pub has_file: bool,
    /// The version that is served; `None`: the file.
    pub published_version: Option<i32>,
    /// The newest version.
    pub latest_version: Option<i32>,
    /// The load balancer that the published version is brought to first; `None`: it is brought to all of them.
    pub canary: Option<Canary>,
    /// Grows with every change: for `If-Match`.
    pub revision: i64,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// The load balancer that a published version is brought to before the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Canary {
    /// The one of this name.
    Target(String),
    /// It was removed. Another takes its place as soon as there is one.
    Removed,
}

/// A version of a template.
#[derive(Clone, Debug)]
pub struct TemplateVersion {
    /// Its number, from 1.
    pub version: i32,
    /// Why it was made.
    pub note: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_at: OffsetDateTime,
    /// When a trial of it last passed; only such a version can be published.
    pub passed_at: Option<OffsetDateTime>,
    /// When it was last published.
    pub published_at: Option<OffsetDateTime>,
}

/// A publication of a template.
#[derive(Clone, Debug)]
pub struct TemplatePublication {
    /// The version; `None`: the file.
    pub version: Option<i32>,
    /// What was served before.
    pub previous_version: Option<i32>,
    /// Whether it went back to something older.
    pub is_roll_back: bool,
    /// Why a load balancer did not take what was published before, where that is the reason.
    pub refused: Option<String>,
    /// Who published it.
    pub author: String,
    /// When.
    pub published_at: OffsetDateTime,
}

/// A version to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewTemplateVersion<'a> {
    /// The template's name and form; a reference without a form means the shared one.
    pub template: &'a TemplateRef,
    /// The text.
    pub source: &'a str,
    /// Why it is made.
    pub note: &'a str,
    /// Who makes it.
    pub author: &'a str,
}

/// What [`ScopedTx::publish_template`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Load balancers are brought up to date now; the new revision.
    Done(i64),
    /// No trial of that version has passed.
    NotTried,
    /// There is no such version, or no file to go back to.
    Unknown,
}

/// What [`ScopedTx::delete_template`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TemplateRemoval {
    /// It is gone.
    Done,
    /// There is a file of it.
    HasFile,
    /// Tenants or domains name it.
    InUse,
}

impl ScopedTx {
    /// Whether load balancers are served with a template of this name, in the form asked for.
    pub async fn has_template(&mut self, wanted: &TemplateRef) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM templates WHERE name = $1 AND ($2::text IS NULL OR form = $2)
                              AND (built_in IS NOT NULL OR published_version IS NOT NULL)) AS "found!""#,
            wanted.name(),
            wanted.form().map(Form::as_str),
        )
        .fetch_one(self.connection())
        .await?;
        Ok(found)
    }

    /// Every template, by name.
    pub async fn list_templates(&mut self) -> Result<Vec<TemplateRow>, StoreError> {
        self.select_templates(None).await
    }

    /// One template.
    pub async fn find_template(&mut self, template: &TemplateRef) -> Result<Option<TemplateRow>, StoreError> {
        Ok(self.select_templates(Some(template)).await?.pop())
    }

    async fn select_templates(&mut self, only: Option<&TemplateRef>) -> Result<Vec<TemplateRow>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT name, form, built_in IS NOT NULL AS "has_file!", published_version, revision, updated_at,
                      (SELECT max(version) FROM template_versions v WHERE v.name = t.name AND v.form = t.form) AS latest_version,
                      canary_target_id IS NOT NULL AS "has_canary!",
                      (SELECT c.name FROM targets c WHERE c.target_id = t.canary_target_id) AS canary
               FROM templates t WHERE $1::text IS NULL OR (name = $1 AND form = $2) ORDER BY name, form"#,
            only.map(TemplateRef::name),
            only.map(|template| key(template).1),
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(TemplateRow {
                    form: form(&row.form)?,
                    name: row.name,
                    has_file: row.has_file,
                    published_version: row.published_version,
                    latest_version: row.latest_version,
                    canary: row.has_canary.then(|| row.canary.map_or(Canary::Removed, Canary::Target)),
                    revision: row.revision,
                    updated_at: row.updated_at,
                })
            })
            .collect()
    }

    /// A version of a template.
    pub async fn template_version(
        &mut self,
        template: &TemplateRef,
        version: i32,
    ) -> Result<Option<TemplateVersion>, StoreError> {
        Ok(self.select_versions(template, Some(version), None, 1).await?.pop())
    }

    /// Up to `limit` versions of a template, the newest first, from behind `after`.
    pub async fn template_versions(
        &mut self,
        template: &TemplateRef,
        after: Option<i32>,
        limit: i64,
    ) -> Result<Vec<TemplateVersion>, StoreError> {
        self.select_versions(template, None, after, limit).await
    }

    async fn select_versions(
        &mut self,
        template: &TemplateRef,
        only: Option<i32>,
        after: Option<i32>,
        limit: i64,
    ) -> Result<Vec<TemplateVersion>, StoreError> {
        let (name, form) = key(template);
        let rows = sqlx::query_as!(
            TemplateVersion,
            "SELECT version, note, author, created_at, passed_at, published_at FROM template_versions
             WHERE name = $1 AND form = $2 AND ($3::integer IS NULL OR version = $3) AND ($4::integer IS NULL OR version < $4)
             ORDER BY version DESC LIMIT $5",
            name,
            form,
            only,
            after,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows)
    }

    /// The text of a version; of the file, if none is named.
    pub async fn template_source(
        &mut self,
        template: &TemplateRef,
        version: Option<i32>,
    ) -> Result<Option<String>, StoreError> {
        let (name, form) = key(template);
        let found = sqlx::query_scalar!(
            r#"SELECT CASE WHEN $3::integer IS NULL THEN t.built_in ELSE v.source END AS source FROM templates t
               LEFT JOIN template_versions v ON v.name = t.name AND v.form = t.form AND v.version = $3
               WHERE t.name = $1 AND t.form = $2"#,
            name,
            form,
            version,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.flatten())
    }

    /// The last `limit` publications, the latest first.
    pub async fn template_publications(
        &mut self,
        template: &TemplateRef,
        limit: i64,
    ) -> Result<Vec<TemplatePublication>, StoreError> {
        let (name, form) = key(template);
        let rows = sqlx::query_as!(
            TemplatePublication,
            "SELECT version, previous_version, is_roll_back, refused, author, published_at FROM template_publications
             WHERE name = $1 AND form = $2 ORDER BY revision DESC LIMIT $3",
            name,
            form,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows)
    }

    /// Keeps a new version; nothing is served with it yet. Answers its number, and the template's new revision.
    /// [`StoreError::Stale`]: the template is not at `revision` any more (0: it is new).
    pub async fn save_template(
        &mut self,
        new: NewTemplateVersion<'_>,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<(i32, i64), StoreError> {
        let (name, form) = key(new.template);
        sqlx::query!(
            "INSERT INTO templates (name, form, revision, created_at, updated_at) VALUES ($1, $2, 0, $3, $3)
             ON CONFLICT (name, form) DO NOTHING",
            name,
            form,
            now,
        )
        .execute(self.connection())
        .await?;
        let revision = self.next_revision(new.template, revision, now).await?;
        let version = sqlx::query_scalar!(
            "INSERT INTO template_versions (name, form, version, source, note, author, created_at)
             SELECT $1, $2, COALESCE(max(version), 0) + 1, $3, $4, $5, $6 FROM template_versions
             WHERE name = $1 AND form = $2 RETURNING version",
            name,
            form,
            new.source,
            new.note,
            new.author,
            now,
        )
        .fetch_one(self.connection())
        .await?;
        Ok((version, revision))
    }

    /// Has load balancers served with a version that a trial has passed, or with the file again (`None`): one of them first, the
    /// others once that one serves it. The file, what the others are served with anyway, and what was served before that go to
    /// all at once, as a way back.
    pub async fn publish_template(
        &mut self,
        template: &TemplateRef,
        version: Option<i32>,
        revision: Option<i64>,
        author: &str,
        now: OffsetDateTime,
    ) -> Result<Published, StoreError> {
        let (name, form) = key(template);
        let known = sqlx::query!(
            r#"SELECT CASE WHEN t.canary_target_id IS NULL THEN t.published_version ELSE t.stable_version END AS settled,
                      t.built_in IS NOT NULL AS "has_file!", v.version AS "version?", v.passed_at AS "passed_at?"
               FROM templates t
               LEFT JOIN template_versions v ON v.name = t.name AND v.form = t.form AND v.version = $3
               WHERE t.name = $1 AND t.form = $2 FOR UPDATE OF t"#,
            name,
            form,
            version,
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(known) = known else { return Ok(Published::Unknown) };
        match version {
            None if !known.has_file => return Ok(Published::Unknown),
            Some(_) if known.version.is_none() => return Ok(Published::Unknown),
            Some(_) if known.passed_at.is_none() => return Ok(Published::NotTried),
            _ => {}
        }
        let way_back = self.template_way_back(template).await?;
        let is_way_back = version.is_none() || version == known.settled || way_back == Some(version);
        let revision = self.next_revision(template, revision, now).await?;
        sqlx::query!(
            "WITH canary AS (
                 SELECT target_id FROM (
                     SELECT template_canary(name, form, canary_target_id) AS target_id FROM templates
                     WHERE name = $1 AND form = $2 AND NOT $8
                       -- Nobody can be served with what there was before, if there was nothing.
                       AND (published_version IS NOT NULL OR built_in IS NOT NULL)
                       AND (SELECT count(*) FROM targets WHERE state <> 'disabled') > 1) AS chosen
                 WHERE target_id IS NOT NULL
             ), published AS (
                 UPDATE templates t SET published_version = $3, canary_target_id = (SELECT target_id FROM canary),
                     stable_version = CASE WHEN EXISTS (SELECT 1 FROM canary) THEN $5::integer END
                 WHERE name = $1 AND form = $2
             ), told AS (
                 UPDATE template_versions SET published_at = $6 WHERE name = $1 AND form = $2 AND version = $3
             ), recorded AS (
                 INSERT INTO template_publications (name, form, revision, version, previous_version, is_roll_back, author,
                                                    published_at)
                 VALUES ($1, $2, $4, $3, $5, $8, $7, $6)
             )
             UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $6)
             WHERE NOT EXISTS (SELECT 1 FROM canary) OR target_id = (SELECT target_id FROM canary)
                -- The one before it goes back to what the others have.
                OR target_id IN (SELECT canary_target_id FROM templates WHERE name = $1 AND form = $2)",
            name,
            form,
            version,
            revision,
            known.settled,
            now,
            author,
            is_way_back,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(Published::Done(revision))
    }

    /// Where a way back from what is served now leads: a version, or the file (`Some(None)`). `None`: there is none.
    pub async fn template_way_back(
        &mut self,
        template: &TemplateRef,
    ) -> Result<Option<Option<i32>>, StoreError> {
        let (name, form) = key(template);
        let found = sqlx::query_scalar!(
            "SELECT p.previous_version FROM templates t
             JOIN template_publications p ON p.name = t.name AND p.form = t.form AND p.version = t.published_version
             WHERE t.name = $1 AND t.form = $2 AND NOT p.is_roll_back
               AND (p.previous_version IS NOT NULL OR t.built_in IS NOT NULL)
             ORDER BY p.revision DESC LIMIT 1",
            name,
            form,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found)
    }

    /// Forgets a template, with its versions and trials, unless there is a file of it or somebody names it.
    pub async fn delete_template(
        &mut self,
        template: &TemplateRef,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<TemplateRemoval, StoreError> {
        // The row is held from here on.
        self.next_revision(template, revision, now).await?;
        let found = self.find_template(template).await?.ok_or(StoreError::Stale)?;
        if found.has_file {
            return Ok(TemplateRemoval::HasFile);
        }
        let used = self.template_use(template).await?;
        if used.count > 0 || !used.tenants.is_empty() {
            return Ok(TemplateRemoval::InUse);
        }
        let (name, form) = key(template);
        for forget in [
            sqlx::query!("DELETE FROM template_trials WHERE name = $1 AND form = $2", name, form),
            sqlx::query!("DELETE FROM template_publications WHERE name = $1 AND form = $2", name, form),
            sqlx::query!("DELETE FROM template_versions WHERE name = $1 AND form = $2", name, form),
            sqlx::query!("DELETE FROM templates WHERE name = $1 AND form = $2", name, form),
        ] {
            forget.execute(self.connection()).await?;
        }
        Ok(TemplateRemoval::Done)
    }

    async fn next_revision(
        &mut self,
        template: &TemplateRef,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<i64, StoreError> {
        let (name, form) = key(template);
        sqlx::query_scalar!(
            "UPDATE templates SET revision = revision + 1, updated_at = $3
             WHERE name = $1 AND form = $2 AND ($4::bigint IS NULL OR revision = $4) RETURNING revision",
            name,
            form,
            now,
            revision,
        )
        .fetch_optional(self.connection())
        .await?
        .ok_or(StoreError::Stale)
    }
}

/// Name and form; a reference without a form means the shared one.
pub(super) fn key(template: &TemplateRef) -> (&str, &'static str) {
    (template.name(), template.form().unwrap_or(Form::Shared).as_str())
}
