//! The shops of the demo.

use std::net::{IpAddr, Ipv4Addr};

use certmill_lab::Lab;
use certmill_lab::service::Api;
use serde_json::json;

use super::DemoError;

/// The tenants' names.
pub(super) const TENANTS: [&str; 2] = ["Nordwind", "Bella Casa"];

/// A shop.
pub(super) struct Shop {
    /// Its index in [`TENANTS`].
    pub(super) tenant: usize,
    /// Its domain, as its owner writes it.
    pub(super) name: &'static str,
    /// The nginx template; none: the tenant's.
    pub(super) template: Option<&'static str>,
    /// Where its own DNS record leads to.
    pub(super) record: Record,
}

/// How a shop's name is found in DNS.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Record {
    /// The platform's wildcard covers it.
    Wildcard,
    /// It has a record of its own, for all load balancers.
    Own,
    /// It still leads to the web host before us.
    Elsewhere,
}

const fn shop(tenant: usize, name: &'static str, template: Option<&'static str>, record: Record) -> Shop {
    Shop { tenant, name, template, record }
}

/// Every kind of shop, and an international name among them.
pub(super) const SHOPS: &[Shop] = &[
    shop(0, "wolle.example-shops.test", None, Record::Wildcard),
    shop(0, "bücher.example-shops.test", None, Record::Wildcard),
    shop(0, "tee.example-shops.test", Some("storefront-cached"), Record::Wildcard),
    shop(0, "fahrrad.example-shops.test", Some("storefront:dedicated"), Record::Wildcard),
    shop(0, "nordwind.test", None, Record::Own),
    shop(0, "www.nordwind.test", Some("redirect"), Record::Own),
    shop(1, "lampen.shops.test", None, Record::Wildcard),
    shop(1, "cucina.shops.test", None, Record::Wildcard),
    shop(1, "keramik.shops.test", Some("storefront-cached"), Record::Wildcard),
    shop(1, "giardino.shops.test", Some("storefront:dedicated"), Record::Wildcard),
    shop(1, "bella-casa.test", None, Record::Own),
    shop(1, "www.bella-casa.test", Some("redirect"), Record::Own),
];

/// A shop that moves to us and whose owner has not changed DNS yet.
pub(super) const PROBLEM_SHOP: Shop = shop(1, "umzug.bella-casa.test", None, Record::Elsewhere);

/// In a network for examples (RFC 5737): nobody is there, and nobody is asked.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80));

/// Sets the shops' own DNS records and registers the shops, each with the API of its tenant.
pub(super) async fn register(lab: &Lab, tenants: &[Api; 2], shops: &[Shop]) -> Result<(), DemoError> {
    let ours = lab.description().load_balancer_addresses();
    let addresses = |record| if record == Record::Own { ours.clone() } else { vec![ELSEWHERE] };
    let own = shops.iter().filter(|shop| shop.record != Record::Wildcard);
    let records: Vec<(&str, Vec<IpAddr>)> = own.map(|shop| (shop.name, addresses(shop.record))).collect();
    if !records.is_empty() {
        lab.set_addresses_of(&records).await?;
    }
    for (number, shop) in shops.iter().enumerate() {
        let body = json!({ "external_id": format!("shop-{}", 1001 + number), "template": shop.template });
        tenants[shop.tenant].put(shop.name, &body).await?;
    }
    Ok(())
}
