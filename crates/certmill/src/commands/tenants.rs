//! Tenants.

use certmill_model::{Chance, Clock, KeyType, Label, SystemClock, TemplateRef, TenantId, UpstreamAddress};
use certmill_store::{Api, Tenant};

use super::{did, say};
use crate::{
    cli::TenantCommand,
    config::{Config, authority_names},
    start,
    trouble::Trouble,
};

pub(super) async fn run(store: &Api, config: &Config, command: TenantCommand) -> Result<(), Trouble> {
    match command {
        TenantCommand::Add { name, upstream, template, key_type, authorities } => {
            let wanted = Wanted { name, upstream, template, key_type, authorities };
            add(store, config, wanted).await
        }
        TenantCommand::List => list(store).await,
    }
}

/// The tenant called `name`.
pub(super) async fn find_tenant(store: &Api, name: &str) -> Result<Tenant, Trouble> {
    let found = store.platform().await?.find_tenant(name).await?;
    found.ok_or_else(|| {
        Trouble::not_found(format!("there is no tenant {name:?}"), "`certmill tenant list` names them.")
    })
}

/// A template that exists: as a file, or published.
pub(super) async fn parse_template(store: &Api, config: &Config, text: &str) -> Result<TemplateRef, Trouble> {
    let fix = "Use one that is built in (storefront, storefront-cached, redirect), in nginx.template_directory, or published.";
    let template = TemplateRef::parse(text)
        .map_err(|error| Trouble::new(format!("{text:?} names no template"), &error, fix))?;
    match start::templates(config)?.resolve(&template) {
        Ok(_) => Ok(template),
        Err(_) if store.platform().await?.has_template(&template).await? => Ok(template),
        Err(error) => Err(Trouble::new(format!("{text:?} names no template"), &error, fix)),
    }
}

struct Wanted {
    name: String,
    upstream: String,
    template: String,
    key_type: KeyType,
    authorities: Vec<String>,
}

async fn add(store: &Api, config: &Config, wanted: Wanted) -> Result<(), Trouble> {
    let now = SystemClock.now();
    let tenant = Tenant {
        tenant_id: TenantId::new(&Chance::from_system(), now),
        name: Label::parse(&wanted.name).map_err(|error| {
            Trouble::new("the tenant's name cannot be used", &error, "Give it another name.")
        })?,
        template: parse_template(store, config, &wanted.template).await?,
        upstream: UpstreamAddress::parse(&wanted.upstream).map_err(|error| {
            Trouble::new(format!("{:?} is no upstream", wanted.upstream), &error, "Give it as host:port.")
        })?,
        key_type: wanted.key_type,
        authorities: known_authorities(config, wanted.authorities)?,
    };
    let mut tx = store.platform().await?;
    let id = tx.put_tenant(&tenant, now).await?;
    let mut entry = did("tenant.set", "tenant", id, &tenant.name);
    entry.tenant = Some(id);
    entry.detail = serde_json::json!({
        "template": tenant.template.to_string(),
        "upstream": tenant.upstream.to_string(),
        "key_type": tenant.key_type,
        "authorities": tenant.authorities,
    });
    tx.commit_audited(&entry, &Chance::from_system(), now).await?;
    say(format!("{id} {}", tenant.name));
    Ok(())
}

/// CAs that are configured; `None` for the platform's list.
fn known_authorities(config: &Config, wanted: Vec<String>) -> Result<Option<Vec<String>>, Trouble> {
    let known = authority_names(config);
    match wanted.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Trouble::plain(
            format!("there is no certificate authority {name:?}"),
            format!("The configuration names {}.", known.join(", ")),
        )),
        None => Ok((!wanted.is_empty()).then_some(wanted)),
    }
}

async fn list(store: &Api) -> Result<(), Trouble> {
    for tenant in store.platform().await?.list_tenants().await? {
        say(format!("{}  {:<24} {:<20} {}", tenant.tenant_id, tenant.name, tenant.template, tenant.upstream));
    }
    Ok(())
}
