//! The second wall between tenants: Postgres itself.

use std::{fs, os::unix::fs::PermissionsExt};

use certmill_postgres::Cluster;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, query_scalar};
use tempfile::TempDir;

/// A tenant's id, in the database's own form.
const OURS: &str = "01930000-0000-7000-8000-000000000001";
const OTHERS: &str = "01930000-0000-7000-8000-000000000002";

#[tokio::test]
async fn every_table_with_a_tenant_forces_row_level_security() {
    let (_cluster, mut owner) = database().await;
    let tables: i64 = query_scalar(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert!(tables >= 9, "{tables}");
    let open: Vec<String> = query_scalar(
        "SELECT c.relname::text FROM pg_class c
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(open, Vec::<String>::new(), "tables without forced row level security");
}

#[tokio::test]
async fn the_roles_of_web_and_engine_can_neither_log_in_nor_pass_by_the_policies() {
    let (_cluster, mut owner) = database().await;
    let strong: Vec<String> = query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'certmill\\_%'
         AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb)",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(strong, Vec::<String>::new());
    let tables: i64 = query_scalar("SELECT count(*) FROM pg_tables WHERE tableowner LIKE 'certmill\\_%'")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn web_sees_nothing_without_a_tenant_and_only_its_own_with_one() {
    let (_cluster, mut web) = database().await;
    add_tenants(&mut web).await;
    run(&mut web, "SET ROLE certmill_api").await.unwrap();
    assert_eq!(visible(&mut web).await, Vec::<String>::new());

    run(&mut web, "BEGIN").await.unwrap();
    run(&mut web, &format!("SELECT set_config('certmill.tenant_id', '{OURS}', true)")).await.unwrap();
    assert_eq!(visible(&mut web).await, ["ours.example"]);
    // Written for another tenant, or taken from it: neither.
    run(&mut web, "SAVEPOINT here").await.unwrap();
    let foreign = run(&mut web, &insert_domain(9, OTHERS, "foreign.example")).await;
    assert!(foreign.unwrap_err().to_string().contains("row-level security"));
    run(&mut web, "ROLLBACK TO here").await.unwrap();
    let stolen = run(&mut web, "UPDATE domains SET status = 'paused' WHERE name = 'others.example'").await;
    assert_eq!(stolen.unwrap(), 0);
    run(&mut web, "COMMIT").await.unwrap();

    // The setting ended with its transaction, so that the next borrower of the connection starts from nothing.
    assert_eq!(visible(&mut web).await, Vec::<String>::new());
}

/// A new cluster with the schema, and a connection as its owner.
async fn database() -> ((Cluster, TempDir), PgConnection) {
    let directory = tempfile::tempdir().unwrap();
    // The server's user must be able to go through it.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let cluster = Cluster::start(&directory.path().join("cluster")).await.unwrap();
    certmill_store::migrate(&cluster.url()).await.unwrap();
    let owner = PgConnection::connect(&cluster.url()).await.unwrap();
    ((cluster, directory), owner)
}

async fn add_tenants(owner: &mut PgConnection) {
    for (number, (tenant, name)) in [(OURS, "ours"), (OTHERS, "others")].into_iter().enumerate() {
        let insert =
            format!("INSERT INTO tenants VALUES ('{tenant}', '{name}', 'storefront', '127.0.0.1:1', now())");
        run(owner, &insert).await.unwrap();
        run(owner, &insert_domain(number, tenant, &format!("{name}.example"))).await.unwrap();
    }
}

fn insert_domain(number: usize, tenant: &str, name: &str) -> String {
    format!(
        "INSERT INTO domains (domain_id, tenant_id, name, status, status_since, created_at, updated_at)
         VALUES ('01930000-0000-7000-9000-00000000000{number}', '{tenant}', '{name}', 'active', now(), now(), now())"
    )
}

async fn visible(connection: &mut PgConnection) -> Vec<String> {
    query_scalar("SELECT name FROM domains ORDER BY name").fetch_all(connection).await.unwrap()
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<u64, sqlx::Error> {
    let done = connection.execute(AssertSqlSafe(statement.to_owned())).await?;
    Ok(done.rows_affected())
}
