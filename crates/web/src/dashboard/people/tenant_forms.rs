//! What is typed and chosen on the pages of a tenant.

use certmill_model::{KeyType, ProductName, SupportUrl};
use certmill_store::{Reach, TenantRow};
use serde::Deserialize;

use super::Choice;
use crate::{
    WebState,
    access::Caller,
    dashboard::words,
    people::{self, BrandingText, TenantText},
    problem::Problem,
    templates,
};

/// What somebody typed; a field that was not on the form is not there.
#[derive(Clone, Default, Deserialize)]
pub(super) struct TenantForm {
    pub(super) name: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) template: Option<String>,
    pub(super) key_type: Option<String>,
    pub(super) authorities: Option<String>,
    pub(super) target_group: Option<String>,
    pub(super) quota_domains: Option<String>,
    pub(super) quota_requests: Option<String>,
    #[serde(default)]
    pub(super) revision: i64,
}

/// How a tenant is to appear.
#[derive(Clone, Default, Deserialize)]
pub(super) struct BrandForm {
    #[serde(default)]
    pub(super) product_name: String,
    #[serde(default)]
    pub(super) support_url: String,
    #[serde(default)]
    pub(super) accent: String,
    #[serde(default)]
    pub(super) without_logo: String,
    #[serde(default)]
    pub(super) revision: i64,
}

/// What can be chosen for a tenant.
pub(super) struct Choices {
    pub(super) templates: Vec<Choice>,
    pub(super) key_types: Vec<Choice>,
    pub(super) groups: Vec<Choice>,
    /// The CAs of the configuration.
    pub(super) authorities: String,
}

impl BrandForm {
    pub(super) fn of(row: &TenantRow) -> Self {
        let brand = &row.branding;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            product_name: text(brand.product_name.as_ref().map(ProductName::as_str)),
            support_url: text(brand.support_url.as_ref().map(SupportUrl::as_str)),
            accent: brand.accent.map(|accent| accent.to_string()).unwrap_or_default(),
            without_logo: String::new(),
            revision: row.revision,
        }
    }

    pub(super) fn read(&self) -> TenantText {
        let branding = BrandingText {
            product_name: Some(given(&self.product_name)),
            support_url: Some(given(&self.support_url)),
            accent: Some(given(&self.accent)),
            logo: (self.without_logo == "on").then_some(None),
        };
        TenantText { branding: Some(branding), ..TenantText::default() }
    }
}

impl TenantForm {
    pub(super) fn of(row: &TenantRow) -> Self {
        let tenant = &row.tenant;
        Self {
            name: Some(tenant.name.to_string()),
            upstream: Some(tenant.upstream.to_string()),
            template: Some(tenant.template.to_string()),
            key_type: Some(tenant.key_type.as_str().to_owned()),
            authorities: tenant.authorities.as_ref().map(|names| names.join(", ")),
            target_group: row.target_group.map(|group| group.to_string()),
            quota_domains: row.quota_domains.map(|quota| quota.to_string()),
            quota_requests: row.quota_requests.map(|quota| quota.to_string()),
            revision: row.revision,
        }
    }

    /// What is wanted; an empty field that need not be filled unsets what was there.
    pub(super) fn read(&self) -> Result<TenantText, Problem> {
        let optional = |text: &Option<String>| text.as_deref().map(given);
        let names = |text: String| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        Ok(TenantText {
            name: self.name.clone(),
            upstream: self.upstream.clone(),
            template: self.template.clone(),
            key_type: self.key_type.clone(),
            authorities: optional(&self.authorities).map(|text| text.map(names)),
            target_group: optional(&self.target_group),
            quota_domains: whole_number("quota_domains", self.quota_domains.as_deref())?,
            quota_requests: whole_number("quota_requests", self.quota_requests.as_deref())?,
            branding: None,
        })
    }
}

#[expect(clippy::option_option, reason = "not on the form and left empty are two things")]
fn whole_number(field: &str, text: Option<&str>) -> Result<Option<Option<i32>>, Problem> {
    let read = |text: String| text.parse().map_err(|_| people::invalid(field, "it is no whole number"));
    text.map(|text| given(text).map(read).transpose()).transpose()
}

impl Choices {
    pub(super) async fn new(state: &WebState, caller: &Caller, form: &TenantForm) -> Result<Self, Problem> {
        let choice =
            |value: String, words: String, chosen: &str| Choice { chosen: value == chosen, value, words };
        let template = form.template.as_deref().unwrap_or_default();
        let mut reader = state.store.read(caller.reach).await?;
        let templates = templates::to_choose_from(state, &mut reader, template.trim()).await?;
        let groups = match caller.reach {
            Reach::Platform => reader.list_groups().await?,
            Reach::Tenant(_) => Vec::new(),
        };
        let (key_type, group) =
            (form.key_type.as_deref().unwrap_or_default(), form.target_group.as_deref().unwrap_or_default());
        let key =
            |kind: &KeyType| choice(kind.as_str().to_owned(), words::key_type(*kind).to_owned(), key_type);
        Ok(Self {
            templates: templates.into_iter().map(|name| choice(name.clone(), name, template)).collect(),
            key_types: KeyType::ALL.iter().map(key).collect(),
            groups: groups.into_iter().map(|one| choice(one.group_id.to_string(), one.name, group)).collect(),
            authorities: state.settings.authorities.join(", "),
        })
    }
}

/// What was typed, if anything was.
fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
