//! What is said of a domain in a body.

use axum::extract::{FromRequest, Request};
use certmill_model::{Hostname, KeyType, Label, Metadata, Tags, TemplateRef, TenantId};
use certmill_store::{DomainWish, ScopedTx, StoreError};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::json;
use crate::{WebState, problem::Problem};

/// What may be said of a domain beside its name. A field that is left out, or null, is unset.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "DomainWish")]
pub(super) struct PutDomain {
    /// The shop's id in the commerce system: 1 to 200 printable characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "shop-48213")]
    external_id: Option<Value>,
    /// The nginx template, perhaps with its form; the tenant's own by default.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "storefront")]
    template: Option<Value>,
    /// The kind of key of its certificates: `ecdsa_p256`, `ecdsa_p384`, `rsa_2048`, `rsa_3072` or `rsa_4096`; the
    /// tenant's own by default.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ecdsa_p256")]
    key_type: Option<Value>,
    /// Words to sort domains by: up to 20, each of 1 to 50 printable characters.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Value>,
    /// Short texts by name, which are only given back: up to 20, names of 1 to 50 printable characters, texts of 1 to 200.
    #[serde(default)]
    #[schema(value_type = Option<HashMap<String, String>>)]
    metadata: Option<Value>,
    /// The id of the tenant that it is for: callers of the platform have to say it, others may say their own.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ten_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    tenant: Option<Value>,
}

/// A domain that is wanted, with its name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "NewDomain")]
pub(super) struct PostDomain {
    /// The name, in A-label or U-label form.
    #[schema(value_type = String, example = "shop.brand.test")]
    name: Value,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "shop-48213")]
    external_id: Option<Value>,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "storefront")]
    template: Option<Value>,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ecdsa_p256")]
    key_type: Option<Value>,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Value>,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<HashMap<String, String>>)]
    metadata: Option<Value>,
    /// As of a `PUT`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ten_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    tenant: Option<Value>,
}

impl PostDomain {
    /// The name, and what is wanted of it.
    pub(super) fn read(self) -> Result<(Hostname, PutDomain), Problem> {
        let Self { name, external_id, template, key_type, tags, metadata, tenant } = self;
        let Value::String(name) = name else { return Err(invalid("name", "it is not a string".into())) };
        let name = Hostname::parse(&name)
            .map_err(|error| Problem::field("/name".into(), error.code(), error.to_string()))?;
        Ok((name, PutDomain { external_id, template, key_type, tags, metadata, tenant }))
    }
}

impl PutDomain {
    /// What is wanted of `name`.
    pub(super) async fn wish(
        &self,
        name: Hostname,
        state: &WebState,
        tx: &mut ScopedTx,
    ) -> Result<DomainWish, Problem> {
        Ok(DomainWish {
            external_id: self.external_id()?,
            template: self.template(async |wanted| state.has_template(tx, wanted).await).await?,
            key_type: self.key_type()?,
            tags: self.tags()?,
            metadata: self.metadata()?,
            ..DomainWish::of(name)
        })
    }

    /// The tenant that is named.
    pub(super) fn tenant(&self) -> Result<Option<TenantId>, Problem> {
        let Some(text) = text("tenant", self.tenant.as_ref())? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid("tenant", "it is not the id of a tenant, ten_…".into()))
    }

    fn external_id(&self) -> Result<Option<Label>, Problem> {
        let Some(text) = text("external_id", self.external_id.as_ref())? else { return Ok(None) };
        Label::parse(text).map(Some).map_err(|error| invalid("external_id", error.to_string()))
    }

    /// The template, which `exists` knows.
    async fn template(
        &self,
        exists: impl AsyncFnOnce(&TemplateRef) -> Result<bool, StoreError>,
    ) -> Result<Option<TemplateRef>, Problem> {
        let Some(text) = text("template", self.template.as_ref())? else { return Ok(None) };
        let template = TemplateRef::parse(text).map_err(|error| invalid("template", error.to_string()))?;
        if !exists(&template).await? {
            let detail = "there is no template of this name and form".to_owned();
            return Err(Problem::field("/template".into(), "unknown_template", detail));
        }
        Ok(Some(template))
    }

    fn tags(&self) -> Result<Tags, Problem> {
        let words = match &self.tags {
            None => Vec::new(),
            Some(Value::Array(words)) => words.iter().map(Value::as_str).collect(),
            Some(_) => vec![None],
        };
        let words: Option<Vec<_>> = words.into_iter().collect();
        let words = words.ok_or_else(|| invalid("tags", "it is not an array of strings".into()))?;
        Tags::parse(words).map_err(|error| invalid("tags", error.to_string()))
    }

    fn metadata(&self) -> Result<Metadata, Problem> {
        let pairs = match &self.metadata {
            None => Vec::new(),
            Some(Value::Object(pairs)) => {
                pairs.iter().map(|(name, text)| Some((name.as_str(), text.as_str()?))).collect()
            }
            Some(_) => vec![None],
        };
        let pairs: Option<Vec<_>> = pairs.into_iter().collect();
        let pairs = pairs.ok_or_else(|| invalid("metadata", "it is not an object of strings".into()))?;
        Metadata::parse(pairs).map_err(|error| invalid("metadata", error.to_string()))
    }

    fn key_type(&self) -> Result<Option<KeyType>, Problem> {
        let Some(text) = text("key_type", self.key_type.as_ref())? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let allowed: Vec<_> = KeyType::ALL.iter().map(|key_type| key_type.as_str()).collect();
            invalid("key_type", format!("it is none of {}", allowed.join(", ")))
        })
    }
}

impl FromRequest<WebState> for PutDomain {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Problem> {
        let body = json::bytes(request, state).await?;
        if body.is_empty() { Ok(Self::default()) } else { json::read(&body) }
    }
}

fn text<'a>(field: &str, value: Option<&'a Value>) -> Result<Option<&'a str>, Problem> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field, "it is not a string".into())),
    }
}

fn invalid(field: &str, detail: String) -> Problem {
    Problem::field(format!("/{field}"), "invalid_field", detail)
}
