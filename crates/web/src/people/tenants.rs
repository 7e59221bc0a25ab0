//! Tenants: adding and changing them, suspending, ending.

use certmill_model::{
    Branding, GroupId, KeyType, Label, Logo, Permission, ProductName, SupportUrl, TemplateRef, TenantId,
    TenantStatus, UpstreamAddress,
};
use certmill_store::{ScopedTx, Tenant, TenantChange, TenantRow};
use data_encoding::BASE64;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::{invalid, matter_of, present};
use crate::{WebState, access::Caller, api::patched, problem::Problem};

/// How long a tenant's names are served on after it was deleted, and how long that can be taken back.
pub(crate) const GRACE: Duration = Duration::days(14);

/// The largest quota of requests a minute.
const MOST_REQUESTS: i32 = 1_000_000;

/// A tenant to be added, as a program sends it or a person types it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "NewTenant")]
pub(crate) struct NewTenantText {
    /// Its name, unique on the platform.
    #[schema(example = "Nordwind")]
    pub(crate) name: String,
    /// Where its shops' requests go behind the load balancers: `host:port`.
    #[schema(example = "10.0.0.5:8080")]
    pub(crate) upstream: String,
    /// The nginx template of its domains that name none; `storefront` if it is left out.
    #[serde(default)]
    pub(crate) template: Option<String>,
    /// The kind of key of its domains that name none; `ecdsa_p256` if it is left out.
    #[serde(default)]
    pub(crate) key_type: Option<String>,
    /// The CAs that are asked for its domains, the preferred one first; left out, the platform's list.
    #[serde(default)]
    pub(crate) authorities: Option<Vec<String>>,
    /// The id of the group of load balancers that serves it; left out, all of them.
    #[serde(default)]
    pub(crate) target_group: Option<String>,
    /// Domains at most; left out, no limit.
    #[serde(default)]
    pub(crate) quota_domains: Option<i32>,
    /// Requests a minute at most, of each token; left out, as many as the platform allows.
    #[serde(default)]
    pub(crate) quota_requests: Option<i32>,
}

/// What is to become of a tenant: a field that is left out stays. `name`, `upstream`, `target_group` and the quotas are changed
/// by the platform alone.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TenantChange")]
#[expect(clippy::option_option, reason = "left out and null are two things in a merge patch (RFC 7396)")]
pub(crate) struct TenantText {
    /// Its name, unique on the platform.
    #[serde(default, deserialize_with = "present")]
    pub(crate) name: Option<String>,
    /// Where its shops' requests go behind the load balancers: `host:port`.
    #[serde(default, deserialize_with = "present")]
    pub(crate) upstream: Option<String>,
    /// The nginx template of its domains that name none.
    #[serde(default, deserialize_with = "present")]
    pub(crate) template: Option<String>,
    /// The kind of key of its domains that name none; counts from the next certificate on.
    #[serde(default, deserialize_with = "present")]
    pub(crate) key_type: Option<String>,
    /// The CAs that are asked for its domains, the preferred one first; null: the platform's list.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) authorities: Option<Option<Vec<String>>>,
    /// The id of the group of load balancers that serves it; null: all of them.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub(crate) target_group: Option<Option<String>>,
    /// Domains at most; null: no limit.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<i32>)]
    pub(crate) quota_domains: Option<Option<i32>>,
    /// Requests a minute at most, of each token; null: as many as the platform allows.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<i32>)]
    pub(crate) quota_requests: Option<Option<i32>>,
    /// How it appears.
    #[serde(default, deserialize_with = "present")]
    pub(crate) branding: Option<BrandingText>,
}

/// How a tenant is to appear: a field that is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "BrandingChange")]
#[expect(clippy::option_option, reason = "left out and null are two things in a merge patch (RFC 7396)")]
pub(crate) struct BrandingText {
    /// What the product is called: 40 characters at most; null: the tenant's name.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub(crate) product_name: Option<Option<String>>,
    /// Where people find help: an `https` address; null: nowhere.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub(crate) support_url: Option<Option<String>>,
    /// The colour of links and buttons, as in `#0f766e`, dark enough for white text (WCAG 2.2 AA); null: certmill's.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub(crate) accent: Option<Option<String>>,
    /// A PNG, JPEG or WebP picture in base64 (RFC 4648 section 4): 32 KiB and 1,024 by 1,024 pixels at most; null: none.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub(crate) logo: Option<Option<String>>,
}

/// Adds a tenant.
pub(crate) async fn add_tenant(
    state: &WebState,
    caller: &Caller,
    text: NewTenantText,
) -> Result<TenantRow, Problem> {
    let (id, now) = (TenantId::new(&state.chance, state.now()), state.now());
    let mut tx = state.store.scoped(caller.reach).await?;
    let template = text.template.as_deref().unwrap_or("storefront");
    let mut new = TenantChange {
        tenant: Tenant {
            tenant_id: id,
            name: parse_name(&text.name)?,
            upstream: parse_upstream(&text.upstream)?,
            template: parse_template(state, &mut tx, template).await?,
            key_type: KeyType::EcdsaP256,
            authorities: None,
        },
        quota_domains: None,
        quota_requests: None,
        target_group: None,
        branding: Branding::default(),
        logo: None,
    };
    let rest = TenantText {
        key_type: text.key_type,
        authorities: Some(text.authorities),
        target_group: Some(text.target_group),
        quota_domains: Some(text.quota_domains),
        quota_requests: Some(text.quota_requests),
        ..TenantText::default()
    };
    apply(state, &mut tx, &mut new, rest).await?;
    tx.add_tenant(&new, now).await?;
    let row = tx.find_tenant_row(id).await?.ok_or_else(Problem::internal)?;
    let detail = json!({ "template": row.tenant.template.to_string(), "quota_domains": row.quota_domains });
    let entry = caller.did("tenant.created", "tenant", id, &row.tenant.name, detail);
    tx.commit(&matter_of(Some(id), entry), &state.chance, now).await?;
    Ok(row)
}

/// Changes a tenant, which is at a revision that `expected` accepts.
pub(crate) async fn change_tenant(
    state: &WebState,
    caller: &Caller,
    id: TenantId,
    text: TenantText,
    expected: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<TenantRow, Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let before = tx.lock_tenant_row(id).await?.ok_or_else(|| Problem::no_such("tenant"))?;
    expected(before.revision)?;
    if text.is_platforms() && !caller.may(Permission::TenantsManage) {
        let detail = "Name, upstream, load balancers and quotas of a tenant are the platform's to change.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail));
    }
    let mut change = TenantChange::from(&before);
    apply(state, &mut tx, &mut change, text).await?;
    tx.change_tenant(&before, &change, now).await?;
    let after = tx.find_tenant_row(id).await?.ok_or_else(Problem::internal)?;
    let entry =
        caller.did("tenant.changed", "tenant", id, &after.tenant.name, difference(&before, &after, &change));
    tx.commit(&matter_of(Some(id), entry), &state.chance, now).await?;
    Ok(after)
}

/// What is done to a tenant as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TenantAction {
    /// Its people and programs only read from now on.
    Suspend,
    /// All is as usual again; also takes back that it is deleted.
    Resume,
    /// It ends once the grace is over.
    Delete,
}

/// Does that to a tenant, which is at a revision that `expected` accepts. What is so already stays as it is.
pub(crate) async fn act_on_tenant(
    state: &WebState,
    caller: &Caller,
    id: TenantId,
    action: TenantAction,
    expected: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<TenantRow, Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let before = tx.lock_tenant_row(id).await?.ok_or_else(|| Problem::no_such("tenant"))?;
    expected(before.revision)?;
    let Some((status, word)) = next_status(&before, action, now)? else { return Ok(before) };
    let delete_after = (status == TenantStatus::PendingDeletion).then(|| now + GRACE);
    tx.set_tenant_status(&before, status, delete_after, now).await?;
    let after = tx.find_tenant_row(id).await?.ok_or_else(Problem::internal)?;
    let detail =
        json!({ "from": before.status, "delete_after": delete_after.map(OffsetDateTime::unix_timestamp) });
    let entry = caller.did(word, "tenant", id, &after.tenant.name, detail);
    tx.commit(&matter_of(Some(id), entry), &state.chance, now).await?;
    Ok(after)
}

/// Where a tenant goes by an action, and the word for it in the audit log; `None`: it is there.
fn next_status(
    before: &TenantRow,
    action: TenantAction,
    now: OffsetDateTime,
) -> Result<Option<(TenantStatus, &'static str)>, Problem> {
    let has_begun = before.delete_after.is_some_and(|at| at <= now);
    match (action, before.status) {
        (TenantAction::Delete, TenantStatus::PendingDeletion)
        | (TenantAction::Suspend, TenantStatus::Suspended)
        | (TenantAction::Resume, TenantStatus::Active) => Ok(None),
        (TenantAction::Resume, _) if has_begun => {
            Err(ending("Its grace is over: its domains are being taken off."))
        }
        (TenantAction::Suspend, TenantStatus::PendingDeletion) => {
            Err(ending("It is being deleted, and nobody changes anything there any more. Resume it first."))
        }
        (TenantAction::Delete, _) => Ok(Some((TenantStatus::PendingDeletion, "tenant.deleted"))),
        (TenantAction::Suspend, _) => Ok(Some((TenantStatus::Suspended, "tenant.suspended"))),
        (TenantAction::Resume, _) => Ok(Some((TenantStatus::Active, "tenant.resumed"))),
    }
}

fn ending(detail: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "tenant_being_deleted", "Being deleted", detail)
}

impl TenantText {
    /// Whether it names something that the platform alone changes.
    fn is_platforms(&self) -> bool {
        self.name.is_some()
            || self.upstream.is_some()
            || self.target_group.is_some()
            || self.quota_domains.is_some()
            || self.quota_requests.is_some()
    }
}

/// Reads `text` into `change`.
async fn apply(
    state: &WebState,
    tx: &mut ScopedTx,
    change: &mut TenantChange,
    text: TenantText,
) -> Result<(), Problem> {
    let tenant = &mut change.tenant;
    if let Some(name) = text.name {
        tenant.name = parse_name(&name)?;
    }
    if let Some(upstream) = text.upstream {
        tenant.upstream = parse_upstream(&upstream)?;
    }
    if let Some(template) = text.template {
        tenant.template = parse_template(state, tx, &template).await?;
    }
    if let Some(key_type) = text.key_type {
        tenant.key_type = key_type.parse().map_err(|error| invalid("key_type", error))?;
    }
    if let Some(authorities) = text.authorities {
        tenant.authorities = authorities.map(|names| known_authorities(state, names)).transpose()?;
    }
    if let Some(group) = text.target_group {
        change.target_group = match group {
            Some(group) => Some(known_group(tx, &group).await?),
            None => None,
        };
    }
    if let Some(quota) = text.quota_domains {
        change.quota_domains = in_range("quota_domains", quota, 0..=i32::MAX)?;
    }
    if let Some(quota) = text.quota_requests {
        change.quota_requests = in_range("quota_requests", quota, 1..=MOST_REQUESTS)?;
    }
    match text.branding {
        Some(branding) => brand(change, branding),
        None => Ok(()),
    }
}

fn brand(change: &mut TenantChange, text: BrandingText) -> Result<(), Problem> {
    let branding = &mut change.branding;
    if let Some(name) = text.product_name {
        let parsed = name.map(|name| ProductName::parse(name.trim())).transpose();
        branding.product_name = parsed.map_err(|error| invalid("branding/product_name", error))?;
    }
    if let Some(url) = text.support_url {
        let parsed = url.map(|url| SupportUrl::parse(url.trim())).transpose();
        branding.support_url = parsed.map_err(|error| invalid("branding/support_url", error))?;
    }
    if let Some(accent) = text.accent {
        let parsed = accent.map(|accent| accent.trim().parse()).transpose();
        branding.accent = parsed.map_err(|error| invalid("branding/accent", error))?;
    }
    if let Some(logo) = text.logo {
        let parsed = logo.map(|logo| parse_logo(logo.as_bytes())).transpose();
        change.logo = Some(parsed?);
    }
    Ok(())
}

fn parse_logo(base64: &[u8]) -> Result<Logo, Problem> {
    let bytes =
        BASE64.decode(base64).map_err(|_| invalid("branding/logo", "it is no base64 with padding"))?;
    Logo::parse(bytes).map_err(|error| invalid("branding/logo", error))
}

fn parse_name(text: &str) -> Result<Label, Problem> {
    Label::parse(text.trim()).map_err(|error| invalid("name", error))
}

fn parse_upstream(text: &str) -> Result<UpstreamAddress, Problem> {
    UpstreamAddress::parse(text.trim()).map_err(|error| invalid("upstream", error))
}

async fn parse_template(state: &WebState, tx: &mut ScopedTx, text: &str) -> Result<TemplateRef, Problem> {
    let template = TemplateRef::parse(text).map_err(|error| invalid("template", error))?;
    if state.has_template(tx, &template).await? {
        Ok(template)
    } else {
        Err(invalid("template", "there is no such template"))
    }
}

fn known_authorities(state: &WebState, names: Vec<String>) -> Result<Vec<String>, Problem> {
    let known = &state.settings.authorities;
    for (index, name) in names.iter().enumerate() {
        if !known.contains(name) || names[..index].contains(name) {
            let words = format!("it is none of {}, or stands there twice", known.join(", "));
            return Err(invalid(&format!("authorities/{index}"), words));
        }
    }
    if names.is_empty() { Err(invalid("authorities", "name one at least, or null")) } else { Ok(names) }
}

async fn known_group(tx: &mut ScopedTx, text: &str) -> Result<GroupId, Problem> {
    let group: GroupId = text.parse().map_err(|_| Problem::no_such("group"))?;
    tx.group_name(group).await?.map(|_| group).ok_or_else(|| Problem::no_such("group"))
}

fn in_range(
    field: &str,
    value: Option<i32>,
    range: std::ops::RangeInclusive<i32>,
) -> Result<Option<i32>, Problem> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(invalid(field, format!("it is a number from {} to {}", range.start(), range.end())))
        }
        value => Ok(value),
    }
}

/// What changed, for the audit log; of a logo only that it did.
fn difference(before: &TenantRow, after: &TenantRow, change: &TenantChange) -> Value {
    let (Value::Object(from), Value::Object(mut to)) = (particulars(before), particulars(after)) else {
        return Value::Null;
    };
    to.retain(|name, value| from.get(name) != Some(value));
    for (name, value) in &mut to {
        *value = json!({ "from": from.get(name), "to": value });
    }
    if change.logo.is_some() {
        to.insert("logo".into(), json!({ "from": before.has_logo, "to": after.has_logo }));
    }
    Value::Object(to)
}

fn particulars(row: &TenantRow) -> Value {
    let (tenant, branding) = (&row.tenant, &row.branding);
    json!({
        "name": tenant.name.as_str(),
        "upstream": tenant.upstream.to_string(),
        "template": tenant.template.to_string(),
        "key_type": tenant.key_type,
        "authorities": tenant.authorities,
        "target_group": row.target_group.map(|group| group.to_string()),
        "quota_domains": row.quota_domains,
        "quota_requests": row.quota_requests,
        "product_name": branding.product_name.as_ref().map(ProductName::as_str),
        "support_url": branding.support_url.as_ref().map(SupportUrl::as_str),
        "accent": branding.accent.map(|accent| accent.to_string()),
    })
}
