//! Lookups at a real name server.

mod addresses;
mod caa;
mod delegation;
mod visibility;

use certmill_dns::Resolver;
use certmill_lab::{Lab, Options, PebbleOptions};
use certmill_model::Hostname;

async fn lab() -> (Lab, Resolver) {
    let lab = Lab::up(Options { load_balancers: 0, pebble: PebbleOptions::default() }).await.unwrap();
    let resolver = Resolver::new(vec![lab.description().dns_server]).unwrap();
    (lab, resolver)
}

fn name(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}
