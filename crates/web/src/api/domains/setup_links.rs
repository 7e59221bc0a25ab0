//! `/v1/domains/{name}/setup-links`: links that show the owner of a shop what to set in DNS, and how it fares.

use axum::{
    Json,
    extract::{Path, State},
};
use certmill_model::{DomainStatus, EmailAddress, SetupLinkId};
use certmill_store::{AuditEntry, SetupLinkRow};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::{
    super::{
        json::StrictJson,
        refusals::{OfChange, OfRead},
    },
    name::DomainRef,
};
use crate::{
    WebState,
    access::Caller,
    owners::{self, LinkWish},
    problem::{Problem, ProblemDocument},
};

/// How long a link lasts, where nothing else is said, and at most.
const USUAL: i64 = 14 * 86_400;
const LONGEST: i64 = 90 * 86_400;

/// Links of one domain that are shown.
const SHOWN: i64 = 100;

/// A link that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "SetupLinkWish")]
pub(super) struct PostSetupLink {
    /// The language of the page: `en` (the default) or `de`.
    #[schema(example = "en")]
    language: Option<String>,
    /// How long it lasts, in seconds: 60 to 7,776,000 (90 days); 1,209,600 (14 days) by default.
    #[schema(example = 1_209_600, minimum = 60, maximum = 7_776_000)]
    expires_in: Option<i64>,
    /// The address of the shop's owner, who gets the link by mail, with the records to set, in the tenant's name. Nobody is mailed without it.
    #[schema(example = "owner@brand.test")]
    email: Option<String>,
}

/// A link, as it was made. It is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct NewSetupLinkDocument {
    /// What to give to the owner of the shop: whoever has it sees the page, and can have the name looked at.
    #[schema(example = "https://certmill.example.com/setup/certmill_…")]
    url: String,
    #[serde(flatten)]
    link: SetupLinkDocument,
}

/// A link, without what opens the page.
#[derive(Serialize, ToSchema)]
pub(super) struct SetupLinkDocument {
    /// Its id.
    #[schema(example = "lnk_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The language of the page.
    language: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it was revoked; null: it was not.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

/// The links of a domain.
#[derive(Serialize, ToSchema)]
pub(super) struct SetupLinks {
    /// The links, the newest first.
    data: Vec<SetupLinkDocument>,
}

/// Make a link for the owner of a shop
///
/// It opens a page in the tenant's look that says what to set in DNS, shows what is seen, and becomes a sign that all is well. Nobody
/// needs an account for it.
#[utoipa::path(
    post, path = "/v1/domains/{name}/setup-links", operation_id = "create_setup_link", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    request_body(content = PostSetupLink, content_type = "application/json"),
    responses(
        (status = 201, description = "The link, which is shown this once", body = NewSetupLinkDocument),
        (status = 410, description = "The domain was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfChange,
    )
)]
pub(super) async fn post(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    StrictJson(body): StrictJson<PostSetupLink>,
) -> Result<(StatusCode, Json<NewSetupLinkDocument>), Problem> {
    let wish = LinkWish { language: body.language()?, lasts: body.lasts()?, email: body.email()? };
    let mut tx = state.store.scoped(caller.reach).await?;
    let domain = name.find(&state, &mut tx).await?;
    if domain.status == DomainStatus::PendingDeletion {
        return Err(Problem::being_removed());
    }
    let made = owners::make_link(&state, &caller, tx, &domain, &wish).await?;
    let link = SetupLinkDocument {
        id: made.link_id.to_string(),
        language: wish.language.to_owned(),
        created_at: made.created_at,
        expires_at: made.expires_at,
        revoked_at: None,
    };
    let url = made.url;
    Ok((StatusCode::CREATED, Json(NewSetupLinkDocument { url, link })))
}

/// List the links for the owner of a shop
#[utoipa::path(
    get, path = "/v1/domains/{name}/setup-links", operation_id = "list_setup_links", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 200, description = "The last 100 links", body = SetupLinks),
        (status = 400, description = "The name cannot be read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The domain was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Json<SetupLinks>, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = name.find(&state, &mut reader).await?;
    let links = reader.setup_links_of(domain.domain_id, SHOWN).await?;
    Ok(Json(SetupLinks { data: links.into_iter().map(SetupLinkDocument::from).collect() }))
}

/// The path of one link.
#[derive(Deserialize)]
pub(super) struct LinkPath {
    link: String,
}

/// Revoke a link for the owner of a shop
#[utoipa::path(
    delete, path = "/v1/domains/{name}/setup-links/{link}", operation_id = "revoke_setup_link", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("link" = String, Path, description = "The id of the link", example = "lnk_01jd4z6k3m8q2v5w7x9y0a1b2c"),
    ),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 400, description = "The name cannot be read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The domain was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    Path(LinkPath { link }): Path<LinkPath>,
) -> Result<StatusCode, Problem> {
    let link: SetupLinkId = link.parse().map_err(|_| Problem::no_such("link"))?;
    let (mut tx, now) = (state.store.scoped(caller.reach).await?, state.now());
    let domain = name.find(&state, &mut tx).await?;
    if !tx.revoke_setup_link(domain.domain_id, link, now).await? {
        return Err(Problem::no_such("link"));
    }
    let detail = json!({ "link": link.to_string() });
    let did = caller.did("setup_link.revoked", "domain", domain.domain_id, &domain.name, detail);
    let entry = AuditEntry { tenant: Some(domain.tenant_id), ..did };
    tx.commit(&entry, &state.chance, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl PostSetupLink {
    fn language(&self) -> Result<&'static str, Problem> {
        match self.language.as_deref() {
            None | Some("en") => Ok("en"),
            Some("de") => Ok("de"),
            Some(_) => {
                Err(Problem::field("/language".into(), "invalid_field", "it is neither en nor de".into()))
            }
        }
    }

    fn email(&self) -> Result<Option<EmailAddress>, Problem> {
        let parsed = self.email.as_deref().map(EmailAddress::parse).transpose();
        parsed.map_err(|error| Problem::field("/email".into(), "invalid_field", error.to_string()))
    }

    fn lasts(&self) -> Result<Duration, Problem> {
        let seconds = self.expires_in.unwrap_or(USUAL);
        if (60..=LONGEST).contains(&seconds) {
            return Ok(Duration::seconds(seconds));
        }
        let detail = format!("it is not a number of seconds from 60 to {LONGEST}");
        Err(Problem::field("/expires_in".into(), "invalid_field", detail))
    }
}

impl From<SetupLinkRow> for SetupLinkDocument {
    fn from(row: SetupLinkRow) -> Self {
        Self {
            id: row.link_id.to_string(),
            language: row.language,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}
