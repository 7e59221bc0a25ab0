//! The database away, and back.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use certmill_model::{Chance, SystemClock};
use certmill_postgres::Cluster;
use certmill_store::{connect_api, migrate};
use certmill_web::{WebState, router};
use http::{Method, StatusCode};

use crate::support::{exchange::Call, settings};

#[tokio::test]
async fn without_the_database_the_process_lives_and_is_not_ready_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = directory.path().join("cluster");
    let cluster = Cluster::start(&place).await.unwrap();
    let url = cluster.url();
    let api = connect_api(&url, 2).await.unwrap();
    let state = WebState::new(
        api,
        Arc::new(SystemClock),
        Arc::new(Chance::seeded(1)),
        settings("http://127.0.0.1:8080"),
    );
    let router = router(state);
    let get = |path| Call::new(&router, Method::GET, path).send();

    let no_schema = get("/readyz").await;
    assert_eq!(
        (no_schema.status, no_schema.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable")
    );
    migrate(&url).await.unwrap();
    assert_eq!(get("/readyz").await.status, StatusCode::OK);

    cluster.stop().await;
    let asked = Instant::now();
    let away = get("/readyz").await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(
        (away.status, away.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable")
    );
    assert_eq!(away.header("retry-after"), "5");
    assert_eq!(get("/livez").await.status, StatusCode::OK);
    let challenge = get("/.well-known/acme-challenge/token").await;
    assert_eq!(
        (challenge.status, challenge.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable")
    );

    let _cluster = Cluster::start(&place).await.unwrap();
    assert_eq!(get("/readyz").await.status, StatusCode::OK);
    assert_eq!(get("/.well-known/acme-challenge/token").await.status, StatusCode::NOT_FOUND);
}
