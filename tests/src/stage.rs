//! A lab with certmill on it, and what every test asks of them.

use std::net::{IpAddr, Ipv4Addr};

use certmill_lab::{
    Lab, LoadBalancer, Options, Record,
    service::{Api, Role, Running, Service},
    shopper::Shopper,
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Database, MINUTE, SOON, until};

/// A lab, certmill's installation on it with both load balancers, and a tenant.
pub struct Stage {
    /// Certmill's installation.
    pub service: Service,
    /// The API as the tenant `Nordwind` sees it.
    pub shops: Api,
    /// The database.
    pub database: Database,
    shopper: Shopper,
    /// The lab. Last, so that it goes last.
    pub lab: Lab,
}

impl Stage {
    /// Everything before the first start of certmill.
    pub async fn set() -> Self {
        Self::on(Lab::up(Options::default()).await.unwrap(), &[]).await
    }

    /// The same on a lab that is up; `environment` is certmill's.
    pub async fn on(lab: Lab, environment: &[(&str, &str)]) -> Self {
        let service = Service::set_up(&lab, environment).await.unwrap();
        let shops = service.add_tenant("Nordwind").await.unwrap();
        let database = Database::at(&lab.description().postgres_url);
        let shopper = Shopper::trusting(&lab.issuing_roots_pem().await.unwrap()).unwrap();
        Self { service, shops, database, shopper, lab }
    }

    /// Starts all of certmill, and waits until both load balancers have their first configuration.
    pub async fn start(&self) -> Running {
        let running = self.service.start(Role::All, &[]).await.unwrap();
        self.targets_in_sync().await;
        running
    }

    /// Waits until both load balancers have a configuration and serve what is wanted.
    pub async fn targets_in_sync(&self) {
        let query = "SELECT count(*) FROM targets WHERE release_number IS NULL OR state <> 'in_sync'";
        until("both load balancers in sync", MINUTE, async || match self.database.count(query).await {
            0 => Ok(()),
            behind => Err(format!("{behind} are not")),
        })
        .await;
    }

    /// Registers a domain, with the tenant's template.
    pub async fn put(&self, name: &str) -> Value {
        self.shops.put(name, &Value::Null).await.unwrap()
    }

    /// Registers a domain with a template, or changes it.
    pub async fn put_with(&self, name: &str, template: &str) -> Value {
        self.shops.put(name, &json!({ "template": template })).await.unwrap()
    }

    /// The same for a domain that is to be proved by DNS: its owner sets the one CNAME record, and no other.
    pub async fn put_delegated(&self, name: &str) -> Value {
        let domain = self.put(name).await;
        self.delegate(name).await;
        domain
    }

    /// The owner of `name`, which is registered, sets the CNAME record.
    pub async fn delegate(&self, name: &str) {
        let target = self.database.delegation(name).await;
        let record_name = format!("_acme-challenge.{}", name.trim_start_matches("*."));
        self.lab.set_records(&[Record::cname(&record_name, &target)]).await.unwrap();
        self.database.hasten(name).await;
    }

    /// Waits until no TXT record is left in the zone for challenges, nor on record here.
    pub async fn no_records_left(&self) {
        until("no TXT record is left", SOON, async || {
            let standing = self.lab.txt_records().await.unwrap();
            match (standing.as_slice(), self.database.open_records().await) {
                ([], 0) => Ok(()),
                (standing, known) => Err(format!("{standing:?} stand, {known} are known")),
            }
        })
        .await;
    }

    /// Waits until the domain shows a problem, and answers what is said of it.
    pub async fn told(&self, name: &str, code: &str) -> String {
        until(&format!("{name} shows {code}"), SOON, async || {
            let domain = self.shops.get(name).await.unwrap();
            let found = problem(&domain, code).map(|problem| problem["detail"].as_str().unwrap().to_owned());
            found.ok_or_else(|| format!("{} with {}", domain["status"], domain["problems"]))
        })
        .await
    }

    /// Waits until the domain has this status.
    pub async fn becomes(&self, name: &str, status: &str) -> Value {
        self.shops.wait_for_status(name, status, SOON).await.unwrap()
    }

    /// Waits until a domain is active, and sees for itself that both load balancers show its certificate.
    pub async fn active(&self, name: &str) -> Value {
        self.active_within(name, SOON).await
    }

    /// The same with another deadline.
    pub async fn active_within(&self, name: &str, within: std::time::Duration) -> Value {
        let domain = self.shops.wait_for_status(name, "active", within).await.unwrap();
        self.served_everywhere(name, serial_number(&domain)).await;
        domain
    }

    /// Fails unless a handshake with each load balancer shows the certificate with this serial number, at once.
    pub async fn served_everywhere(&self, name: &str, serial_number: &str) {
        for load_balancer in self.load_balancers() {
            let shown = self.shown(load_balancer, name).await;
            assert_eq!(shown.as_deref(), Ok(serial_number), "{name} on {}", load_balancer.name);
        }
    }

    /// The serial number that a handshake shows; the error is what a browser would say.
    pub async fn shown(&self, load_balancer: &LoadBalancer, name: &str) -> Result<String, String> {
        let shown = self.shopper.handshake(load_balancer.https(), name).await;
        shown.map_err(|refused| refused.source.to_string())
    }

    /// A page of a shop over HTTPS: its status, where it leads to, and its body.
    pub async fn page(&self, load_balancer: &LoadBalancer, name: &str, path: &str) -> (u16, String, String) {
        let page = self.shopper.get(load_balancer.https(), name, path).await.unwrap();
        (page.status, page.location.unwrap_or_default(), page.body)
    }

    /// An address at which nobody listens: of the lab's own network, since somebody may listen on 127.0.0.1.
    pub fn nobody(&self) -> IpAddr {
        let IpAddr::V4(own) = self.lab.description().responder.ip() else { panic!("labs have IPv4") };
        let [first, second, third, _] = own.octets();
        Ipv4Addr::new(first, second, third, 250).into()
    }

    /// The load balancers.
    pub fn load_balancers(&self) -> &[LoadBalancer] {
        &self.lab.description().load_balancers
    }
}

/// Whether the document of a domain shows a problem with this code.
pub fn has_problem(domain: &Value, code: &str) -> bool {
    problem(domain, code).is_some()
}

/// The problem with this code in the document of a domain.
pub fn problem<'a>(domain: &'a Value, code: &str) -> Option<&'a Value> {
    domain["problems"].as_array()?.iter().find(|problem| problem["code"] == code)
}

/// An instant in a document of the API.
pub fn instant(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().expect("an instant is a string"), &Rfc3339).unwrap()
}

/// How often an event of this kind stands in a timeline.
pub fn events(timeline: &[Value], kind: &str) -> usize {
    timeline.iter().filter(|event| event["kind"] == kind).count()
}

fn serial_number(domain: &Value) -> &str {
    domain["certificate"]["serial_number"].as_str().expect("an active domain has a certificate")
}
