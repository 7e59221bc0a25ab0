//! How long pages and reads of the API take, on a database that `seed` of crate `store` has filled.
//!
//! `bench_surface URL [REQUESTS]`: the real server on a port of its own, and connections that stay open. The last line is the
//! result.

mod client;
mod routes;
mod subjects;

use std::{error::Error, io::Write, process::ExitCode, sync::Arc};

use certmill_model::{
    Chance, Clock, Form, Label, NamePolicy, Scope, SystemClock, TenantId, TokenId, WebhookDestinations,
};
use certmill_nginx::Templates;
use certmill_store::{Actor, Api, AuditEntry, NewToken, Reach, TokenMaker, connect_api};
use certmill_vault::ApiToken;
use certmill_web::{Previewer, PublicUrl, WebSettings, WebState};
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use client::Client;
use routes::{ROUTES, Who};
use subjects::Subjects;

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections that ask at a time, in the second half.
const AT_A_TIME: usize = 8;

/// What a caller of each kind sends to be known.
struct Headers {
    platform: String,
    tenant: String,
    person: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else {
        say("usage: bench_surface URL [REQUESTS]");
        return ExitCode::from(2);
    };
    let requests = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100);
    match measure(&url, requests).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench_surface: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(url: &str, requests: usize) -> Done {
    let store = connect_api(url, 8).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let mut owner = PgConnection::connect(url).await?;
    let subjects = Subjects::find(&mut owner).await?;
    let headers = Headers {
        platform: bearer(&store, None).await?,
        tenant: bearer(&store, Some(subjects.tenant)).await?,
        person: session(&store).await?,
    };
    let state =
        WebState::new(store, Arc::new(SystemClock), Arc::new(Chance::from_system()), settings(&address)?);
    let server =
        tokio::spawn(certmill_web::serve(listener, certmill_web::router(state), std::future::pending()));

    say(&format!("{:<76} {:>8} {:>8} {:>10} {:>10}", "", "p50 ms", "p95 ms", "p50 of 8", "p95 of 8"));
    let mut worst = (0.0_f64, "");
    let mut refused = 0;
    for (who, path) in ROUTES {
        let header = match who {
            Who::Platform => &headers.platform,
            Who::Tenant => &headers.tenant,
            Who::Person => &headers.person,
        };
        match measure_route(&address, path, header, &subjects, requests).await {
            Ok(p95) if p95 > worst.0 => worst = (p95, path),
            Ok(_) => {}
            Err(error) => {
                say(&format!("{path:<76} {error}"));
                refused += 1;
            }
        }
    }
    if refused > 0 {
        return Err(format!("{refused} of {} were not answered with 200", ROUTES.len()).into());
    }
    let (read, bare) = domain_reads(&mut owner, &address, &headers.tenant, &subjects.names).await?;
    say(&format!(
        "slowest: {}; a domain is read in {read:.2} ms, its bare query takes {bare:.2} ms",
        worst.1
    ));
    say(&format!("worst p95 = {:.0} ms, domain read/bare query = {:.2}", worst.0, bare / read));
    server.abort();
    Ok(())
}

/// Alone, then several at a time; the p95 of one alone.
async fn measure_route(
    address: &str,
    path: &'static str,
    header: &str,
    subjects: &Subjects,
    requests: usize,
) -> Done<f64> {
    let alone = ask(address, path, header, (subjects, 0), requests).await?;
    let mut together = JoinSet::new();
    for number in 0..AT_A_TIME {
        let (address, header, subjects) = (address.to_owned(), header.to_owned(), subjects.clone());
        together.spawn(async move {
            ask(&address, path, &header, (&subjects, number * 100), requests / AT_A_TIME).await
        });
    }
    let mut crowd = Vec::new();
    for times in together.join_all().await {
        crowd.extend(times?);
    }
    let p95 = percentile(&alone, 95);
    say(&format!(
        "{path:<76} {:>8.1} {p95:>8.1} {:>10.1} {:>10.1}",
        percentile(&alone, 50),
        percentile(&crowd, 50),
        percentile(&crowd, 95)
    ));
    Ok(p95)
}

/// Asks on one connection; the times in milliseconds. The first answers are not counted: statements are prepared in them.
async fn ask(
    address: &str,
    path: &str,
    header: &str,
    (subjects, first): (&Subjects, usize),
    requests: usize,
) -> Done<Vec<f64>> {
    let mut client = Client::connect(address).await?;
    let mut times = Vec::new();
    for number in 0..requests + 3 {
        let path = subjects.address(path, first + number);
        let (status, _, time) = client.get(&path, header).await?;
        if status != 200 {
            return Err(format!("{path} was answered with {status}").into());
        }
        times.push(time);
    }
    Ok(times.split_off(3))
}

/// The medians of reading a domain over HTTP, and of reading the same rows by plain SQL, in turns.
async fn domain_reads(
    owner: &mut PgConnection,
    address: &str,
    header: &str,
    names: &[String],
) -> Done<(f64, f64)> {
    let mut client = Client::connect(address).await?;
    let (mut reads, mut bares) = (Vec::new(), Vec::new());
    for name in names {
        let (_, _, time) = client.get(&format!("/v1/domains/{name}"), header).await?;
        reads.push(time);
        let begun = Instant::now();
        sqlx::query(
            "SELECT d.*, t.key_type, c.serial_number, c.issuer, c.not_before, c.not_after, a.directory_url, r.window_start,
                    r.window_end, r.explanation_url, k.observed, k.checked_at,
                    ARRAY(SELECT tag FROM domain_tags g WHERE g.domain_id = d.domain_id),
                    (SELECT metadata FROM domain_metadata m WHERE m.domain_id = d.domain_id),
                    (SELECT json_agg(p) FROM problems p WHERE p.domain_id = d.domain_id)
             FROM domains d JOIN tenants t USING (tenant_id)
             LEFT JOIN certificates c ON c.certificate_id = d.certificate_id
             LEFT JOIN orders o ON o.order_id = c.order_id
             LEFT JOIN accounts a ON a.account_id = o.account_id
             LEFT JOIN renewal_info r ON r.certificate_id = d.certificate_id
             LEFT JOIN checks k ON k.domain_id = d.domain_id
             WHERE d.name = $1 AND d.status <> 'deleted'",
        )
        .bind(name)
        .fetch_one(&mut *owner)
        .await?;
        bares.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok((percentile(&reads, 50), percentile(&bares, 50)))
}

async fn bearer(store: &Api, tenant: Option<TenantId>) -> Done<String> {
    let (token, chance, now) = (ApiToken::generate(), Chance::from_system(), SystemClock.now());
    let new = NewToken {
        token_id: TokenId::new(&chance, now),
        tenant_id: tenant,
        name: Label::parse("bench")?,
        hash: token.hash(),
        scopes: vec![Scope::Admin],
        expires_at: now + time::Duration::DAY,
        created_by: "bench".into(),
        maker: TokenMaker::CommandLine,
    };
    let actor = Actor::command_line();
    let entry = AuditEntry {
        actor: &actor,
        action: "token.created",
        object_kind: "token",
        object_id: None,
        object_name: "bench".into(),
        tenant,
        detail: serde_json::json!({}),
    };
    let mut tx = store.scoped(Reach::Platform).await?;
    tx.add_token(&new, now).await?;
    tx.commit(&entry, &chance, now).await?;
    Ok(format!("Authorization: Bearer {}", token.expose()))
}

/// Somebody of the platform's who is logged in.
async fn session(store: &Api) -> Done<String> {
    let (link, id, now) = (ApiToken::generate(), ApiToken::generate(), SystemClock.now());
    let mut tx = store.platform().await?;
    tx.add_login_link(&link.hash(), now, now + time::Duration::HOUR).await?;
    tx.commit().await?;
    store.log_in(&link.hash(), &id.hash(), now, time::Duration::HOUR).await?;
    Ok(format!("Cookie: certmill={}", id.expose()))
}

fn settings(address: &str) -> Done<WebSettings> {
    Ok(WebSettings {
        public_url: PublicUrl::parse(&format!("http://{address}"))?,
        name_policy: NamePolicy::default(),
        templates: vec![("storefront".into(), Form::Shared)],
        authorities: Vec::new(),
        limits: Vec::new(),
        previewer: Previewer::new(|draft| Templates::built_in().preview(draft)),
        requests_per_minute: i32::MAX,
        trusted_proxies: Vec::new(),
        webhook_destinations: WebhookDestinations::default(),
    })
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
