//! What `/v1/templates` takes and answers.

use certmill_model::{PreviewedDomain, TemplateMistake};
use certmill_store::{Canary, TemplateRow, TemplateVersion, Trial};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Every template.
#[derive(Serialize, ToSchema)]
pub(super) struct Templates {
    /// The templates, by name.
    pub(super) data: Vec<TemplateDocument>,
}

/// A template in one of its forms.
#[derive(Serialize, ToSchema)]
#[schema(title = "Template")]
pub(super) struct TemplateDocument {
    /// Name and form, as they stand in addresses.
    #[schema(example = "storefront:shared")]
    pub(super) id: String,
    /// What tenants and domains call it.
    #[schema(example = "storefront")]
    pub(super) name: String,
    /// `shared`, one server block for all its domains, or `dedicated`, one for each.
    pub(super) form: &'static str,
    /// Whether there is a file of it where certmill runs: it is served while no version is published.
    pub(super) has_file: bool,
    /// The version that is served; null: the file, if there is one.
    pub(super) published_version: Option<i32>,
    /// The newest version.
    pub(super) latest_version: Option<i32>,
    /// `all`: load balancers are brought to it at the same time. `first`: one is, and the others once that one serves it.
    pub(super) rollout: &'static str,
    /// That one; null: there is none, or it was removed, and another takes its place as soon as there is one.
    pub(super) canary: Option<String>,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) updated_at: OffsetDateTime,
}

/// A template, with what is served of it.
#[derive(Serialize, ToSchema)]
#[schema(title = "TemplateDetails")]
pub(super) struct TemplateDetails {
    #[serde(flatten)]
    pub(super) template: TemplateDocument,
    /// The text that is served; null: none is.
    pub(super) source: Option<String>,
    /// The domains that have it, counted up to 10,001: that many are more than 10,000.
    pub(super) domains: i64,
}

/// A text that is to be kept as a version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TemplateVersionWish")]
pub(super) struct NewVersion {
    /// The text: the inside of a server block.
    #[schema(example = "location / {\n    proxy_pass http://$certmill_upstream;\n}\n")]
    pub(super) source: String,
    /// Why it is made: up to 200 printable characters.
    #[serde(default)]
    pub(super) note: String,
}

/// A template that is to be made, with its first version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "NewTemplate")]
pub(super) struct NewTemplate {
    /// Its name: 1 to 40 lower-case letters, digits and hyphens.
    #[schema(example = "spring-sale")]
    pub(super) name: String,
    /// `shared` or `dedicated`.
    #[schema(example = "shared")]
    pub(super) form: String,
    /// The text: the inside of a server block.
    #[schema(example = "location / {\n    proxy_pass http://$certmill_upstream;\n}\n")]
    pub(super) source: String,
    /// Why it is made: up to 200 printable characters.
    #[serde(default)]
    pub(super) note: String,
}

/// A version of a template.
#[derive(Serialize, ToSchema)]
#[schema(title = "TemplateVersion")]
pub(super) struct VersionDocument {
    /// Its number, from 1.
    pub(super) version: i32,
    /// Why it was made.
    pub(super) note: String,
    /// Who made it.
    pub(super) author: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    /// When the nginx of a load balancer last took it in a test; only such a version can be published.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) passed_at: Option<OffsetDateTime>,
    /// When it was last published.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) published_at: Option<OffsetDateTime>,
}

/// A version of a template, with its text.
#[derive(Serialize, ToSchema)]
#[schema(title = "TemplateVersionDetails")]
pub(super) struct VersionDetails {
    #[serde(flatten)]
    pub(super) version: VersionDocument,
    /// The text.
    pub(super) source: String,
    /// The last tests of it, the newest first.
    pub(super) tests: Vec<TestDocument>,
}

/// A text that is to be shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TemplateText")]
pub(super) struct RenderedText {
    /// The text.
    pub(super) source: String,
    /// Up to three names of domains; none: some that have the template, else any.
    #[serde(default)]
    pub(super) domains: Vec<String>,
}

/// What a text makes.
#[derive(Serialize, ToSchema)]
#[schema(title = "RenderedTemplate")]
pub(super) struct RenderedDocument {
    /// What is wrong with it; null: nothing that can be seen without asking nginx.
    pub(super) mistake: Option<MistakeDocument>,
    /// What it makes of each domain.
    pub(super) domains: Vec<RenderedDomain>,
}

/// What is wrong with a text.
#[derive(Serialize, ToSchema)]
#[schema(title = "TemplateMistake")]
pub(super) struct MistakeDocument {
    /// The line, from 1.
    pub(super) line: usize,
    /// The character in the line, from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) detail: String,
}

/// What a text makes of a domain.
#[derive(Serialize, ToSchema)]
pub(super) struct RenderedDomain {
    /// The domain's name.
    pub(super) name: String,
    /// Its server block; null: there is none.
    pub(super) server_block: Option<String>,
    /// Why there is none.
    pub(super) detail: Option<String>,
}

/// A test of a version on a load balancer.
#[derive(Serialize, ToSchema)]
#[schema(title = "TemplateTest")]
pub(super) struct TestDocument {
    /// The id.
    #[schema(example = "trl_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    pub(super) id: String,
    /// The version.
    pub(super) version: i32,
    /// `running`, `passed` or `refused`.
    pub(super) status: &'static str,
    /// Who asked for it.
    pub(super) author: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    /// The load balancer whose nginx was asked; null: there is none yet, or it did not come to that.
    pub(super) tested_on: Option<String>,
    /// What is wrong, in nginx's own words where it complained.
    pub(super) detail: Option<String>,
    /// Where nginx complained.
    pub(super) place: Option<PlaceDocument>,
    /// The domains that it was rendered for.
    pub(super) samples: Vec<String>,
    /// How what is rendered differs from what is served, as `diff -u` writes it; empty: in nothing.
    pub(super) diff: String,
}

/// A place in what was rendered.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaceDocument {
    /// The file's path in the release.
    pub(super) path: String,
    /// The line, from 1.
    pub(super) line: u32,
    /// What stands there.
    pub(super) text: String,
}

/// Which version is to be served.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TemplatePublication")]
pub(super) struct PublishWish {
    /// Its number; null: the file again. It has to be said.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub(super) version: Option<i32>,
}

impl From<TemplateRow> for TemplateDocument {
    fn from(row: TemplateRow) -> Self {
        Self {
            id: format!("{}:{}", row.name, row.form.as_str()),
            name: row.name,
            form: row.form.as_str(),
            has_file: row.has_file,
            published_version: row.published_version,
            latest_version: row.latest_version,
            rollout: if row.canary.is_some() { "first" } else { "all" },
            canary: row.canary.and_then(|canary| match canary {
                Canary::Target(name) => Some(name),
                Canary::Removed => None,
            }),
            updated_at: row.updated_at,
        }
    }
}

impl From<TemplateVersion> for VersionDocument {
    fn from(row: TemplateVersion) -> Self {
        let TemplateVersion { version, note, author, created_at, passed_at, published_at } = row;
        Self { version, note, author, created_at, passed_at, published_at }
    }
}

impl From<TemplateMistake> for MistakeDocument {
    fn from(mistake: TemplateMistake) -> Self {
        Self { line: mistake.line, column: mistake.column, detail: mistake.what }
    }
}

impl From<PreviewedDomain> for RenderedDomain {
    fn from(shown: PreviewedDomain) -> Self {
        let (server_block, detail) = match shown.block {
            Ok(block) => (Some(block), None),
            Err(detail) => (None, Some(detail)),
        };
        Self { name: shown.name.to_string(), server_block, detail }
    }
}

impl From<Trial> for TestDocument {
    fn from(trial: Trial) -> Self {
        let status = match &trial.outcome {
            None => "running",
            Some(outcome) if outcome.passed => "passed",
            Some(_) => "refused",
        };
        let outcome = trial.outcome.unwrap_or_default();
        Self {
            id: trial.trial_id.to_string(),
            version: trial.version,
            status,
            author: trial.author,
            created_at: trial.created_at,
            tested_on: outcome.tested_on,
            detail: outcome.words,
            place: outcome.place.map(|place| PlaceDocument {
                path: place.path,
                line: place.line,
                text: place.text,
            }),
            samples: outcome.samples,
            diff: outcome.diff,
        }
    }
}
