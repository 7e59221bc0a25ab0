//! Where the secret of a webhook endpoint stands.

use certmill_model::{TenantId, WebhookSecretId};
use certmill_vault::Place;

/// One door seals it there, the other opens it.
pub(crate) fn secret_place(secret: WebhookSecretId, tenant: Option<TenantId>) -> Place<'static> {
    Place { table: "webhook_secrets", column: "sealed_secret", tenant, row: secret.uuid().into_bytes() }
}
