//! What there is to be asked for, of the tenant that has half of all domains.

use certmill_model::{
    AlertId, CertificateId, OperationId, OrderId, TargetId, TenantId, TokenId, UserId, WebhookEndpointId,
};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Done;

/// Things of the giant tenant's.
#[derive(Clone)]
pub(crate) struct Subjects {
    pub(crate) tenant: TenantId,
    pub(crate) names: Vec<String>,
    ids: Vec<(&'static str, String)>,
}

/// How the id of one kind is written.
type Written = fn(Uuid) -> String;

/// The placeholder of a path, which thing stands in its place, and how its id is written.
const THINGS: [(&str, &str, Written); 9] = [
    ("{target}", "SELECT target_id FROM targets WHERE $1 IS NOT NULL ORDER BY name LIMIT 1", |id| {
        TargetId::from_uuid(id).to_string()
    }),
    ("{user}", "SELECT user_id FROM users WHERE tenant_id = $1 LIMIT 1", |id| {
        UserId::from_uuid(id).to_string()
    }),
    ("{token}", "SELECT token_id FROM api_tokens WHERE tenant_id = $1 LIMIT 1", |id| {
        TokenId::from_uuid(id).to_string()
    }),
    ("{tenant}", "SELECT tenant_id FROM tenants WHERE tenant_id = $1", |id| {
        TenantId::from_uuid(id).to_string()
    }),
    ("{certificate}", "SELECT certificate_id FROM certificates WHERE tenant_id = $1 LIMIT 1", |id| {
        CertificateId::from_uuid(id).to_string()
    }),
    ("{order}", "SELECT order_id FROM orders WHERE tenant_id = $1 AND status = 'invalid' LIMIT 1", |id| {
        OrderId::from_uuid(id).to_string()
    }),
    (
        "{operation}",
        "SELECT operation_id FROM operations WHERE tenant_id = $1 ORDER BY total DESC LIMIT 1",
        |id| OperationId::from_uuid(id).to_string(),
    ),
    (
        "{alert}",
        "SELECT alert_id FROM alerts WHERE tenant_id = $1 AND resolved_at IS NULL ORDER BY names DESC LIMIT 1",
        |id| AlertId::from_uuid(id).to_string(),
    ),
    ("{webhook}", "SELECT endpoint_id FROM webhook_endpoints WHERE tenant_id = $1 LIMIT 1", |id| {
        WebhookEndpointId::from_uuid(id).to_string()
    }),
];

impl Subjects {
    pub(crate) async fn find(owner: &mut PgConnection) -> Done<Self> {
        let tenant: Uuid = sqlx::query_scalar("SELECT tenant_id FROM tenants WHERE name = 'Nordwind'")
            .fetch_one(&mut *owner)
            .await?;
        let names = sqlx::query_scalar(
            "SELECT name FROM domains WHERE tenant_id = $1 AND status = 'active' ORDER BY domain_id LIMIT 1000",
        )
        .bind(tenant)
        .fetch_all(&mut *owner)
        .await?;
        let mut ids = Vec::new();
        for (placeholder, which, written) in THINGS {
            let id: Uuid =
                sqlx::query_scalar(AssertSqlSafe(which)).bind(tenant).fetch_one(&mut *owner).await?;
            ids.push((placeholder, written(id)));
        }
        Ok(Self { tenant: TenantId::from_uuid(tenant), names, ids })
    }

    /// The address of the request with this number.
    pub(crate) fn address(&self, path: &str, number: usize) -> String {
        let path = path.replace("{name}", &self.names[number % self.names.len()]);
        self.ids.iter().fold(path, |path, (placeholder, id)| path.replace(placeholder, id))
    }
}
