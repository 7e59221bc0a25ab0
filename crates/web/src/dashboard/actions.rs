//! What people do with a domain: add it, change what is wanted of it, renew it, remove it, let its owner set it up.

use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use certmill_model::{
    DomainStatus, EmailAddress, Hostname, KeyType, Label, Metadata, Tags, TemplateRef, TenantId,
};
use certmill_store::{AuditEntry, Domain, DomainWish, Put, Reach, ScopedTx, StoreError, TenantTx};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;

use super::{
    domain::named,
    frame::Frame,
    moment::Moment,
    pages::{self, ChangeDomainPage, NewDomainPage, RemoveDomainPage, SetupLinkPage},
    visit::done,
    words,
};
use crate::{
    WebState,
    access::Caller,
    api::{Action, DomainRef, act, wanted_version},
    owners::{self, LinkWish, MadeLink},
    problem::Problem,
    templates,
};

/// How long a link for the owner of a shop opens its page.
const LINK_LASTS: Duration = Duration::days(14);

/// What somebody typed to add a domain.
#[derive(Default, Deserialize)]
pub(super) struct NewDomainForm {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) tenant: String,
    #[serde(default)]
    pub(super) external_id: String,
    #[serde(default)]
    pub(super) tags: String,
}

/// What somebody typed to change a domain.
#[derive(Default, Deserialize)]
pub(super) struct ChangeForm {
    #[serde(default)]
    pub(super) external_id: String,
    #[serde(default)]
    pub(super) template: String,
    #[serde(default)]
    pub(super) key_type: String,
    #[serde(default)]
    pub(super) tags: String,
    /// The version of what was shown.
    #[serde(default)]
    pub(super) version: String,
}

/// In which language the page for the owner is, and who gets the link by mail; blank: nobody.
#[derive(Default, Deserialize)]
pub(super) struct LinkForm {
    #[serde(default)]
    language: String,
    #[serde(default)]
    email: String,
}

/// A field that is wrong, and why.
type Fault = (&'static str, String);

impl ChangeForm {
    fn of(domain: &Domain) -> Self {
        Self {
            external_id: domain.external_id.clone().unwrap_or_default(),
            template: domain.template.clone().unwrap_or_default(),
            key_type: domain.key_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            tags: domain.tags.join(", "),
            version: wanted_version(domain),
        }
    }
}

/// The form for another domain.
pub(super) async fn ask_new(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    new_page(&state, &caller, &NewDomainForm::default(), None).await
}

/// Adds a domain.
pub(super) async fn add(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<NewDomainForm>,
) -> Result<Response, Problem> {
    let (asked, wish) = match read_new(&state, &caller, &form) {
        Ok(read) => read,
        Err(fault) => return new_page(&state, &caller, &form, Some(fault)).await,
    };
    let tenant = caller.tenant_or(asked)?;
    // The page may have stood open while the tenant went.
    if state.store.read(caller.reach).await?.tenant_names(&[tenant]).await?.is_empty() {
        return Err(Problem::no_such("tenant"));
    }
    match create(&state, &caller, tenant, &wish).await {
        Ok(is_new) => {
            let words = if is_new {
                format!("{} is registered. What its owner has to set is below.", wish.name)
            } else {
                format!("{} was registered already, and is left as it was.", wish.name)
            };
            Ok(done(&state, &caller, &format!("/domains/{}", wish.name), &words))
        }
        Err(StoreError::NameTaken) => {
            let fault = ("name", "somebody else has this name".to_owned());
            new_page(&state, &caller, &form, Some(fault)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The form for what is wanted of a domain.
pub(super) async fn ask_change(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let domain = named(&mut state.store.read(caller.reach).await?, &name).await?;
    change_page(&state, &caller, &domain.name, &ChangeForm::of(&domain), (StatusCode::OK, None)).await
}

/// Changes what is wanted of a domain.
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    Form(form): Form<ChangeForm>,
) -> Result<Response, Problem> {
    let (mut tx, domain) = name.lock(&state, &caller).await?;
    if domain.status == DomainStatus::PendingDeletion {
        return Err(Problem::being_removed());
    }
    if let Err(problem) = pages::unchanged_since(form.version.as_str())(&wanted_version(&domain)) {
        let (status, form) = (problem.status, ChangeForm::of(&domain));
        let fault = ("", problem.detail.trim_end_matches('.').to_owned());
        drop(tx);
        return change_page(&state, &caller, &domain.name, &form, (status, Some(fault))).await;
    }
    let wish = match read_change(&state, &mut tx, &domain, &form).await {
        Ok(wish) => wish,
        Err(fault) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            drop(tx);
            return change_page(&state, &caller, &domain.name, &form, (status, Some(fault))).await;
        }
    };
    let (Put::Created(domain) | Put::Changed(domain) | Put::Same(domain)) =
        tx.put_domain(&wish, &state.chance, state.now()).await?;
    commit(&state, &caller, tx, &domain, "domain.changed").await?;
    let words = "The change is kept, and goes to the load balancers by itself.";
    Ok(done(&state, &caller, &format!("/domains/{}", domain.name), words))
}

/// Has its certificate renewed now.
pub(super) async fn renew(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    steer(&state, &caller, &name, Action::Renew, "A new certificate is being obtained.").await
}

/// Stops all work on a domain.
pub(super) async fn pause(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    let words = "It is paused. What is served stays served, until its certificate ends.";
    steer(&state, &caller, &name, Action::Pause, words).await
}

/// Lets it go on.
pub(super) async fn resume(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    steer(&state, &caller, &name, Action::Resume, "It goes on.").await
}

async fn steer(
    state: &WebState,
    caller: &Caller,
    name: &DomainRef,
    action: Action,
    words: &str,
) -> Result<Response, Problem> {
    let domain = act(state, caller, name, action).await?;
    Ok(done(state, caller, &format!("/domains/{}", domain.name), words))
}

/// Asks whether a domain is to be removed.
pub(super) async fn ask_remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let domain = named(&mut state.store.read(caller.reach).await?, &name).await?;
    let page = RemoveDomainPage {
        frame: Frame::new(&caller, "/domains"),
        name: domain.name.as_str(),
        name_unicode: domain.name.to_unicode(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Removes a domain.
pub(super) async fn remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let domain = named(&mut state.store.read(caller.reach).await?, &name).await?;
    let mut tx = state.store.tenant(domain.tenant_id).await?;
    tx.delete_domain(&domain.name, &state.chance, state.now()).await?;
    let entry = entry(&caller, &domain, "domain.deleted", json!({}));
    tx.commit_audited(&entry, &state.chance, state.now()).await?;
    let words = format!("{} is being taken off the load balancers.", domain.name);
    Ok(done(&state, &caller, &format!("/domains/{}", domain.name), &words))
}

/// Says what a link for the shop's owner is.
pub(super) async fn ask_link(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let domain = named(&mut state.store.read(caller.reach).await?, &name).await?;
    link_page(&state, &caller, &domain, LinkState::Asked).await
}

/// Makes a link for the shop's owner, mails it if that is wanted, and shows it once.
pub(super) async fn make_link(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    Form(form): Form<LinkForm>,
) -> Result<Response, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let domain = named(&mut tx, &name).await?;
    let email = match form.email.trim() {
        "" => None,
        email => match EmailAddress::parse(email) {
            Ok(email) => Some(email),
            Err(error) => {
                let fault = ("email", error.to_string());
                drop(tx);
                return link_page(&state, &caller, &domain, LinkState::Faulty(fault, form)).await;
            }
        },
    };
    let language = if form.language == "de" { "de" } else { "en" };
    let wish = LinkWish { language, lasts: LINK_LASTS, email };
    let made = owners::make_link(&state, &caller, tx, &domain, &wish).await?;
    link_page(&state, &caller, &domain, LinkState::Made(made, wish.email)).await
}

/// How far a link for the shop's owner is.
enum LinkState {
    Asked,
    Faulty(Fault, LinkForm),
    /// Made, and mailed to whom.
    Made(MadeLink, Option<EmailAddress>),
}

async fn link_page(
    state: &WebState,
    caller: &Caller,
    domain: &Domain,
    link: LinkState,
) -> Result<Response, Problem> {
    let mut page = SetupLinkPage {
        frame: Frame::new(caller, "/domains"),
        name: domain.name.as_str(),
        name_unicode: domain.name.to_unicode(),
        can_mail: state.store.read(caller.reach).await?.mail_state().await?.server.is_some(),
        link: None,
        expires: None,
        mailed_to: None,
        fault: None,
        email: String::new(),
        is_german: false,
    };
    let mut status = StatusCode::OK;
    match link {
        LinkState::Asked => {}
        LinkState::Faulty(fault, form) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            (page.fault, page.is_german, page.email) = (Some(fault), form.language == "de", form.email);
        }
        LinkState::Made(made, email) => {
            page.expires = Some(Moment::new(made.expires_at, state.now()));
            (page.link, page.mailed_to) = (Some(made.url), email.map(|email| email.to_string()));
        }
    }
    Ok(pages::answer(status, &page))
}

async fn new_page(
    state: &WebState,
    caller: &Caller,
    form: &NewDomainForm,
    fault: Option<Fault>,
) -> Result<Response, Problem> {
    let tenants = match caller.reach {
        Reach::Tenant(_) => Vec::new(),
        Reach::Platform => state.store.read_platform().await?.list_tenants().await?,
    };
    let tenants: Vec<_> =
        tenants.into_iter().map(|tenant| (tenant.tenant_id.to_string(), tenant.name.to_string())).collect();
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = NewDomainPage {
        frame: Frame::new(caller, "/domains"),
        form,
        tenants: &tenants,
        fault,
        origin: state.settings.public_url.origin(),
    };
    Ok(pages::answer(status, &page))
}

async fn change_page(
    state: &WebState,
    caller: &Caller,
    name: &Hostname,
    form: &ChangeForm,
    (status, fault): (StatusCode, Option<Fault>),
) -> Result<Response, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let templates = templates::to_choose_from(state, &mut reader, &form.template).await?;
    drop(reader);
    let page = ChangeDomainPage {
        frame: Frame::new(caller, "/domains"),
        name: name.as_str(),
        name_unicode: name.to_unicode(),
        form,
        templates: &templates,
        key_types: KeyType::ALL.iter().map(|kind| (kind.as_str(), words::key_type(*kind))).collect(),
        fault,
    };
    Ok(pages::answer(status, &page))
}

fn read_new(
    state: &WebState,
    caller: &Caller,
    form: &NewDomainForm,
) -> Result<(Option<TenantId>, DomainWish), Fault> {
    let name = Hostname::parse(form.name.trim()).map_err(|error| ("name", error.to_string()))?;
    state.settings.name_policy.check(&name).map_err(|error| ("name", error.to_string()))?;
    let asked = match (form.tenant.as_str(), caller.reach) {
        ("", Reach::Tenant(_)) => None,
        (text, _) => Some(text.parse().map_err(|_| ("tenant", "choose whose domain it is".to_owned()))?),
    };
    let wish = DomainWish {
        external_id: external_id(&form.external_id)?,
        tags: tags(&form.tags)?,
        ..DomainWish::of(name)
    };
    Ok((asked, wish))
}

async fn has_template(state: &WebState, tx: &mut ScopedTx, wanted: &TemplateRef) -> Result<bool, Fault> {
    let found = state.has_template(tx, wanted).await;
    found.map_err(|_| ("template", "the templates cannot be read at the moment; try again".to_owned()))
}

async fn read_change(
    state: &WebState,
    tx: &mut ScopedTx,
    domain: &Domain,
    form: &ChangeForm,
) -> Result<DomainWish, Fault> {
    let template = match form.template.trim() {
        "" => None,
        text => Some(TemplateRef::parse(text).map_err(|error| ("template", error.to_string()))?),
    };
    // What the domain has already stays possible, whatever became of the template.
    let is_kept = template.as_ref().map(ToString::to_string) == domain.template;
    let is_known = match &template {
        Some(wanted) => is_kept || has_template(state, tx, wanted).await?,
        None => true,
    };
    if !is_known {
        return Err(("template", "there is no template of this name and form".to_owned()));
    }
    let key_type = match form.key_type.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| ("key_type", "choose one of the list".to_owned()))?),
    };
    Ok(DomainWish {
        external_id: external_id(&form.external_id)?,
        template,
        key_type,
        tags: tags(&form.tags)?,
        metadata: metadata(&domain.metadata),
        ..DomainWish::of(domain.name.clone())
    })
}

fn external_id(text: &str) -> Result<Option<Label>, Fault> {
    match text.trim() {
        "" => Ok(None),
        text => Label::parse(text).map(Some).map_err(|error| ("external_id", error.to_string())),
    }
}

fn tags(text: &str) -> Result<Tags, Fault> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Tags::parse(words).map_err(|error| ("tags", error.to_string()))
}

/// What a tenant keeps with the domain stays as it is.
fn metadata(kept: &Value) -> Metadata {
    let pairs = kept.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)));
    Metadata::parse(pairs).unwrap_or_default()
}

/// Registers a domain. `false`: the tenant has it already, and it stays as it is.
async fn create(
    state: &WebState,
    caller: &Caller,
    tenant: TenantId,
    wish: &DomainWish,
) -> Result<bool, StoreError> {
    let mut tx = state.store.tenant(tenant).await?;
    // What is being removed is registered anew.
    if tx.lock_domain(&wish.name).await?.is_some_and(|domain| domain.status != DomainStatus::PendingDeletion)
    {
        return Ok(false);
    }
    match tx.put_domain(wish, &state.chance, state.now()).await? {
        Put::Created(domain) => commit(state, caller, tx, &domain, "domain.created").await?,
        Put::Changed(domain) => commit(state, caller, tx, &domain, "domain.changed").await?,
        Put::Same(_) => return Ok(false),
    }
    Ok(true)
}

async fn commit(
    state: &WebState,
    caller: &Caller,
    tx: TenantTx,
    domain: &Domain,
    action: &'static str,
) -> Result<(), StoreError> {
    let entry = entry(caller, domain, action, Value::Object(domain.wanted()));
    tx.commit_audited(&entry, &state.chance, state.now()).await
}

fn entry<'a>(caller: &'a Caller, domain: &Domain, action: &'static str, detail: Value) -> AuditEntry<'a> {
    let entry = caller.did(action, "domain", domain.domain_id, &domain.name, detail);
    AuditEntry { tenant: Some(domain.tenant_id), ..entry }
}
