//! Nothing is believed that certmill says: every shop is visited at every load balancer.

use certmill_lab::shopper::{Page, Shopper};
use certmill_lab::{Lab, LoadBalancer};
use serde_json::Value;
use tokio::process::Command;

use super::DemoError;
use super::progress::{all_domains, text};
use super::shops::{SHOPS, Shop, TENANTS};
use certmill_lab::service::Api;

/// A shop that was found to be served by every load balancer as it should be.
pub(super) struct Proof {
    pub(super) name: String,
    pub(super) tenant: &'static str,
    pub(super) template: &'static str,
    pub(super) serial_number: String,
    /// The day until which the certificate is valid.
    pub(super) valid_until: String,
    /// What was seen, as in `200` or `301 to https://…`.
    pub(super) page: String,
    /// How many serve it.
    pub(super) load_balancers: usize,
}

/// Visits every shop at every load balancer, trusting the lab's CA only.
pub(super) async fn prove(lab: &Lab, tenants: &[Api; 2]) -> Result<Vec<Proof>, DemoError> {
    let shopper = Shopper::trusting(&lab.issuing_roots_pem().await?)?;
    let domains = all_domains(tenants).await?;
    let mut proofs = Vec::new();
    for shop in SHOPS {
        let domain = domains.iter().find(|domain| domain["name_unicode"] == shop.name);
        let domain =
            domain.ok_or_else(|| DemoError::WrongPage(format!("{} is not in the list", shop.name)))?;
        let mut page = String::new();
        for load_balancer in &lab.description().load_balancers {
            page = visit(&shopper, load_balancer, shop, domain).await?;
        }
        proofs.push(Proof {
            name: shop.name.to_owned(),
            tenant: TENANTS[shop.tenant],
            template: shop.template.unwrap_or("storefront"),
            serial_number: text(&domain["certificate"]["serial_number"]).to_owned(),
            valid_until: text(&domain["certificate"]["not_after"]).chars().take(10).collect(),
            page,
            load_balancers: lab.description().load_balancers.len(),
        });
    }
    Ok(proofs)
}

/// A line for a shell that fetches the first shop through the first load balancer. It has been run.
pub(super) async fn curl_line(lab: &Lab) -> Result<String, DemoError> {
    let roots = lab.directory().join("shops-ca.pem");
    let written = tokio::fs::write(&roots, lab.issuing_roots_pem().await?).await;
    let load_balancer = &lab.description().load_balancers[0];
    let (name, port, address) = (SHOPS[0].name, load_balancer.https_port, load_balancer.address);
    let command =
        format!("curl --cacert {} --resolve {name}:{port}:{address} https://{name}:{port}/", roots.display());
    let output =
        Command::new("sh").args(["-c", &command]).output().await.and_then(|output| written.map(|()| output));
    match output {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains(name) => Ok(command),
        Ok(output) => {
            Err(DemoError::Curl { command, output: String::from_utf8_lossy(&output.stderr).into_owned() })
        }
        Err(error) => Err(DemoError::Curl { command, output: error.to_string() }),
    }
}

async fn visit(
    shopper: &Shopper,
    load_balancer: &LoadBalancer,
    shop: &Shop,
    domain: &Value,
) -> Result<String, DemoError> {
    let name = text(&domain["name"]);
    let page = shopper.get(load_balancer.https(), name, "/").await?;
    let wrong =
        |what: String| Err(DemoError::WrongPage(format!("{} serves {name} {what}", load_balancer.name)));
    let expected = text(&domain["certificate"]["serial_number"]);
    if page.serial_number != expected {
        return wrong(format!("with certificate {}, not with {expected}", page.serial_number));
    }
    match outcome(shop, name, load_balancer.https_port, &page) {
        Some(seen) => Ok(seen),
        None => wrong(format!("with an unexpected page: {page:?}")),
    }
}

/// What is seen if it is the right thing: the shop itself, or the way to it.
fn outcome(shop: &Shop, name: &str, https_port: u16, page: &Page) -> Option<String> {
    if shop.template == Some("redirect") {
        let apex = name.strip_prefix("www.")?;
        let wanted = format!("https://{apex}:{https_port}/");
        return (page.status == 301 && page.location.as_deref() == Some(&wanted))
            .then(|| format!("301 to {apex}"));
    }
    (page.status == 200 && page.body == format!("this is the shop {name}\n")).then(|| "200".to_owned())
}
