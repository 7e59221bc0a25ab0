//! How the statements of lists are planned: anew each time, and along an index in their order.

use sqlx::{Executor, PgConnection};

use crate::StoreError;

/// The longest that a statement of a list may take, in milliseconds.
const LIST_MILLIS: i32 = 2_000;

/// From here on each statement is planned for its own values, as far as it can in the order that it asks for, and none may take
/// long: what of a filter is left out vanishes.
pub(super) async fn plan_each(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        // The planner takes a policy of row level security for one that lets next to nothing through, and would collect and
        // sort what it should read in its order until a page is full.
        "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) AS planning,
                set_config('statement_timeout', $1, true) AS patience,
                set_config('enable_bitmapscan', 'off', true) AS bitmaps, set_config('enable_seqscan', 'off', true) AS scans",
        LIST_MILLIS.to_string(),
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

pub(super) async fn plan_as_usual(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT set_config('plan_cache_mode', 'auto', true) AS planning,
                set_config('enable_sort', 'on', true) AS sorts,
                set_config('enable_bitmapscan', 'on', true) AS bitmaps, set_config('enable_seqscan', 'on', true) AS scans"
    )
    .fetch_one(&mut *connection)
    .await?;
    // What the connection began with: a server has its own.
    connection.execute("SET LOCAL statement_timeout TO DEFAULT").await?;
    Ok(())
}
