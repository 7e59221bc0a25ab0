//! The database, looked into and hastened as its superuser.

use sqlx::{Executor, PgPool, postgres::PgPoolOptions};

/// A way into the database that no tenancy bars.
#[derive(Clone)]
pub struct Database(PgPool);

/// Everything that a claim or a nudge of a process that is gone keeps others from.
const FREE_WHAT_THE_DEAD_HOLD: [&str; 5] = [
    "UPDATE domains SET lease_until = now(), nudged_until = NULL",
    "UPDATE targets SET lease_until = now(), nudged_until = NULL",
    "UPDATE domains SET next_action_at = now(), order_after = NULL
     WHERE next_action_at > now() AND status LIKE 'pending%'",
    "UPDATE txt_records SET lease_until = NULL, next_attempt_at = now()",
    "UPDATE targets SET next_attempt_at = now()",
];

impl Database {
    /// At `url`; nothing is connected yet.
    pub fn at(url: &str) -> Self {
        Self(PgPoolOptions::new().max_connections(2).connect_lazy(url).unwrap())
    }

    /// Runs a statement.
    pub async fn execute(&self, statement: &'static str) {
        self.0.execute(statement).await.unwrap();
    }

    /// Runs a statement about the domain `name`, which is its `$1`.
    pub async fn execute_for(&self, name: &str, statement: &'static str) {
        let done = sqlx::query(statement).bind(name).execute(&self.0).await.unwrap();
        assert_ne!(done.rows_affected(), 0, "{name}: {statement}");
    }

    /// A number.
    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.0).await.unwrap()
    }

    /// A number about the domain `name`, which is the query's `$1`.
    pub async fn count_for(&self, name: &str, query: &'static str) -> i64 {
        sqlx::query_scalar(query).bind(name).fetch_one(&self.0).await.unwrap()
    }

    /// Lets the next attempt for `name` begin now.
    pub async fn hasten(&self, name: &str) {
        let due = "UPDATE domains SET next_action_at = now(), order_after = NULL WHERE name = $1";
        self.execute_for(name, due).await;
    }

    /// Ends every claim now, as time would, and lets what waits for its next attempt begin. Only while no worker runs.
    pub async fn let_time_pass(&self) {
        for statement in FREE_WHAT_THE_DEAD_HOLD {
            self.execute(statement).await;
        }
    }

    /// The states of the certificates of `name`, oldest first.
    pub async fn certificates(&self, name: &str) -> Vec<String> {
        let query = "SELECT c.status FROM certificates c JOIN domains d USING (domain_id)
                     WHERE d.name = $1 ORDER BY c.certificate_id";
        sqlx::query_scalar(query).bind(name).fetch_all(&self.0).await.unwrap()
    }

    /// The current certificate of `name` and its chain, in PEM.
    pub async fn fullchain(&self, name: &str) -> String {
        let query =
            "SELECT c.fullchain FROM certificates c JOIN domains d USING (certificate_id) WHERE d.name = $1";
        sqlx::query_scalar(query).bind(name).fetch_one(&self.0).await.unwrap()
    }

    /// Answers of the CA's challenges that are still given.
    pub async fn open_challenges(&self) -> i64 {
        self.count("SELECT count(*) FROM challenges").await
    }

    /// Where the owner of `name` is to point `_acme-challenge` at.
    pub async fn delegation(&self, name: &str) -> String {
        let query = "SELECT z.record_prefix || g.label || '.' || z.name
                     FROM delegations g JOIN zones z USING (zone_id) WHERE g.name = $1";
        sqlx::query_scalar(query).bind(name.trim_start_matches("*.")).fetch_one(&self.0).await.unwrap()
    }

    /// Lets the next look at the DNS of `name` begin now.
    pub async fn look(&self, name: &str) {
        let due = "UPDATE domains SET next_action_at = now(), check_after = now() WHERE name = $1";
        self.execute_for(name, due).await;
    }

    /// TXT records that certmill believes to stand somewhere.
    pub async fn open_records(&self) -> i64 {
        self.count("SELECT count(*) FROM txt_records").await
    }

    /// Every row of every table, the queue's too, as text; binary columns in hexadecimal.
    pub async fn dump(&self) -> String {
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&self.0).await.unwrap();
        let mut dump = String::new();
        for table in tables {
            let query = format!("SELECT row_to_json(t)::text FROM {table} t");
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&self.0).await;
            let rows: Vec<String> = rows.unwrap();
            dump.extend([&table, "\n", &rows.join("\n"), "\n"]);
        }
        dump
    }
}
