//! The body of a `PUT`: JSON, read strictly.

use axum::extract::{FromRequest, Request};
use certmill_model::{KeyType, Label, Metadata, Tags, TemplateRef};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json;
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
}

impl PutDomain {
    pub(super) fn external_id(&self) -> Result<Option<Label>, Problem> {
        let Some(text) = text("external_id", self.external_id.as_ref())? else { return Ok(None) };
        Label::parse(text).map(Some).map_err(|error| invalid("external_id", error.to_string()))
    }

    /// The template, which `exists` knows.
    pub(super) fn template(
        &self,
        exists: impl FnOnce(&TemplateRef) -> bool,
    ) -> Result<Option<TemplateRef>, Problem> {
        let Some(text) = text("template", self.template.as_ref())? else { return Ok(None) };
        let template = TemplateRef::parse(text).map_err(|error| invalid("template", error.to_string()))?;
        if !exists(&template) {
            let detail = "there is no template of this name and form".to_owned();
            return Err(Problem::field("/template".into(), "unknown_template", detail));
        }
        Ok(Some(template))
    }

    pub(super) fn tags(&self) -> Result<Tags, Problem> {
        let words = match &self.tags {
            None => Vec::new(),
            Some(Value::Array(words)) => words.iter().map(Value::as_str).collect(),
            Some(_) => vec![None],
        };
        let words: Option<Vec<_>> = words.into_iter().collect();
        let words = words.ok_or_else(|| invalid("tags", "it is not an array of strings".into()))?;
        Tags::parse(words).map_err(|error| invalid("tags", error.to_string()))
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Problem> {
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

    pub(super) fn key_type(&self) -> Result<Option<KeyType>, Problem> {
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
