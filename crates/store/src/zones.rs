//! Where the secret of a zone's provider stands.

use certmill_model::ZoneId;
use certmill_vault::Place;

/// Both doors seal and open it there.
pub(crate) fn credentials_place(zone: ZoneId) -> Place<'static> {
    Place { table: "zones", column: "sealed_credentials", tenant: None, row: zone.uuid().into_bytes() }
}
