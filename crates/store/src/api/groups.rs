//! Groups of load balancers, as operators see and change them.

use certmill_model::{GroupId, Label};
use time::OffsetDateTime;

use super::ScopedTx;
use crate::StoreError;

/// A group of load balancers.
#[derive(Clone, Debug)]
pub struct TargetGroup {
    /// Its id.
    pub group_id: GroupId,
    /// Its name.
    pub name: String,
    /// Load balancers in it.
    pub targets: i64,
    /// Tenants that are served by it alone.
    pub tenants: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl ScopedTx {
    /// Every group, by name.
    pub async fn list_groups(&mut self) -> Result<Vec<TargetGroup>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT group_id, name, created_at,
                      (SELECT count(*) FROM targets t WHERE t.group_id = g.group_id) AS "targets!",
                      (SELECT count(*) FROM tenants n WHERE n.target_group_id = g.group_id) AS "tenants!"
               FROM target_groups g ORDER BY name"#
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| TargetGroup {
                group_id: GroupId::from_uuid(row.group_id),
                name: row.name,
                targets: row.targets,
                tenants: row.tenants,
                created_at: row.created_at,
            })
            .collect())
    }

    /// Adds a group. [`StoreError::Taken`]: there is one of this name.
    pub async fn add_group(
        &mut self,
        id: GroupId,
        name: &Label,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO target_groups (group_id, name, created_at) VALUES ($1, $2, $3)",
            id.uuid(),
            name.as_str(),
            now,
        )
        .execute(self.connection())
        .await
        .map_err(|error| StoreError::taken(error, "target_groups_name_key", "name"))?;
        Ok(())
    }

    /// Removes a group that nobody is in. `false`: there is none, or somebody is.
    pub async fn remove_group(&mut self, id: GroupId) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM target_groups g WHERE group_id = $1
               AND NOT EXISTS (SELECT 1 FROM targets t WHERE t.group_id = $1)
               AND NOT EXISTS (SELECT 1 FROM tenants n WHERE n.target_group_id = $1)",
            id.uuid(),
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
