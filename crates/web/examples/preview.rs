//! Serves the dashboard over a database of its own with shops in every state, for whoever works on its looks.
//! Prints a login link, and runs until it is interrupted.

#[path = "../tests/web/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::io::{self, Write};

use certmill_model::{CheckKind, DomainStatus, ProblemCode};
use time::Duration;
use tokio::net::TcpListener;

use support::{
    Bench,
    looks::{right, wrong},
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let bench = Bench::at(&url).await;
    if std::env::args().nth(1).as_deref() != Some("empty") {
        fill(&bench).await;
    }
    for _ in 0..8 {
        writeln!(io::stdout(), "{url}{}", bench.login_path().await)?;
    }
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    certmill_web::serve(listener, bench.router.clone(), interrupted).await
}

async fn fill(bench: &Bench) {
    let (tenant, nordwind) = bench.tenant("Nordwind Shops").await;
    bench.add_alert(tenant).await;
    let (_, suedwind) = bench.tenant("Südwind").await;
    bench.add_zone().await;
    let targets = [
        bench.add_target("lb-frankfurt-1").await,
        bench.add_target_at("lb-helsinki-1", "[2001:db8::7]:443").await,
    ];
    for number in 1..=9 {
        let name = format!("shop{number}.example-shops.test");
        let body = format!("{{\"external_id\":\"shop-{}\"}}", 48_200 + number);
        bench.put(&format!("/v1/domains/{name}")).token(&nordwind).json(body).send().await;
        bench.clock.advance(Duration::seconds(2));
        let seen = format!("{name} A 203.0.113.7");
        bench.look(&name, vec![right(CheckKind::Addresses, &[&seen])]).await;
        bench.clock.advance(Duration::minutes(2));
        let order = bench.place_order(&name, &format!("token-{number}")).await;
        bench.clock.advance(Duration::seconds(3));
        bench.issue(&name, order).await;
    }
    bench.clock.advance(Duration::seconds(4));
    for target in targets {
        bench.deliver(target).await;
        bench.clock.advance(Duration::seconds(1));
    }
    bench.clock.advance(Duration::days(23));
    bench.register(&suedwind, "b%C3%BCcher-und-mehr.example-shops.test").await;
    for name in ["atelier", "blumen", "cafe", "delikatessen-aus-dem-schoenen-sueden-und-anderswo"] {
        bench.register(&suedwind, &format!("{name}.example-shops.test")).await;
        bench.clock.advance(Duration::seconds(40));
    }
    let order = bench.place_order("cafe.example-shops.test", "token-cafe").await;
    bench.issue("cafe.example-shops.test", order).await;
    bench.place_order("bücher-und-mehr.example-shops.test", "token-b").await;
    looks(bench, &suedwind).await;
    bench.clock.advance(Duration::minutes(3));
    bench.engine.sum_up(std::time::Duration::ZERO, bench.now()).await.expect("sums");
}

/// Names in every state of DNS.
async fn looks(bench: &Bench, token: &str) {
    let (a, b) = ("203.0.113.7", "atelier.example-shops.test A 192.0.2.44");
    let detail = format!("{b}; ours is {a}. Set atelier.example-shops.test A {a}, and remove 192.0.2.44.");
    let missing = |name: &str| {
        let detail = format!("_acme-challenge.{name} has no CNAME record.");
        wrong(CheckKind::Delegation, &[], ProblemCode::DnsDelegationMissing, &detail)
    };
    let look = wrong(CheckKind::Addresses, &[b], ProblemCode::DnsWrongTarget, &detail);
    bench.look("atelier.example-shops.test", vec![look, missing("atelier.example-shops.test")]).await;
    let detail = format!("blumen.example-shops.test has no record. Set blumen.example-shops.test A {a}.");
    let look = wrong(CheckKind::Addresses, &[], ProblemCode::DnsNotFound, &detail);
    let forbids = "example-shops.test CAA 0 issue \"other-ca.test\" forbids our certificate authority. \
                   Add example-shops.test CAA 0 issue \"ca.test\".";
    let caa = wrong(CheckKind::Caa, &[], ProblemCode::CaaForbids, forbids);
    bench.look("blumen.example-shops.test", vec![look, missing("blumen.example-shops.test"), caa]).await;

    for name in ["*.marktplatz.test", "umzug.marktplatz.test", "nie.marktplatz.test"] {
        bench.register(token, name).await;
    }
    let swallowed = "_acme-challenge.marktplatz.test has no record of its own, a wildcard record answers for it: \
                     CNAME marktplatz.test. The wildcard record may stay: a CNAME record of its own at \
                     _acme-challenge beats it.";
    let seen = ["_acme-challenge.marktplatz.test CNAME marktplatz.test"];
    let look = wrong(CheckKind::Delegation, &seen, ProblemCode::DnsDelegationWrong, swallowed);
    bench.look("*.marktplatz.test", vec![look]).await;
    let right = |kind, seen: &str| right(kind, &[seen]);
    let cname = "_acme-challenge.umzug.marktplatz.test CNAME k3v9.acme.platform.test";
    let detail = format!("umzug.marktplatz.test A 192.0.2.9; ours is {a}.");
    let seen = ["umzug.marktplatz.test A 192.0.2.9"];
    let look = wrong(CheckKind::Addresses, &seen, ProblemCode::DnsWrongTarget, &detail);
    bench.look("umzug.marktplatz.test", vec![look, right(CheckKind::Delegation, cname)]).await;
    let detail = "nie.marktplatz.test does not exist.";
    let look = wrong(CheckKind::Addresses, &[], ProblemCode::DnsNotFound, detail);
    bench.look_and_become("nie.marktplatz.test", DomainStatus::Failed, vec![look]).await;
    let detail = format!("shop9.example-shops.test A 192.0.2.9; ours is {a}.");
    let seen = ["shop9.example-shops.test A 192.0.2.9"];
    let look = wrong(CheckKind::Addresses, &seen, ProblemCode::DnsWrongTarget, &detail);
    bench.look_and_become("shop9.example-shops.test", DomainStatus::Moved, vec![look]).await;
}
