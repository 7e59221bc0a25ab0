//! Serves the dashboard over a database of its own with shops in every state, for whoever works on its looks.
//! Prints a login link, and runs until it is interrupted.

#[path = "../tests/web/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::io::{self, Write};

use certmill_model::ProblemCode;
use time::Duration;
use tokio::net::TcpListener;

use support::Bench;

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
    let (_, nordwind) = bench.tenant("Nordwind Shops").await;
    let (_, suedwind) = bench.tenant("Südwind").await;
    let targets = [bench.add_target("lb-frankfurt-1").await, bench.add_target("lb-helsinki-1").await];
    for number in 1..=9 {
        let name = format!("shop{number}.example-shops.test");
        let body = format!("{{\"external_id\":\"shop-{}\"}}", 48_200 + number);
        bench.put(&format!("/v1/domains/{name}")).token(&nordwind).json(body).send().await;
        bench.clock.advance(Duration::seconds(2));
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
    let detail = "atelier.example-shops.test has A 192.0.2.44; ours is 203.0.113.7.\nSet: atelier.example-shops.test. A 203.0.113.7";
    bench.fail("atelier.example-shops.test", ProblemCode::DnsWrongTarget, detail, None).await;
    let detail = "blumen.example-shops.test does not exist (NXDOMAIN), asked at 192.0.2.53.";
    bench.fail("blumen.example-shops.test", ProblemCode::DnsNotFound, detail, None).await;
    let order = bench.place_order("cafe.example-shops.test", "token-cafe").await;
    bench.issue("cafe.example-shops.test", order).await;
    bench.place_order("bücher-und-mehr.example-shops.test", "token-b").await;
    bench.clock.advance(Duration::minutes(3));
}
