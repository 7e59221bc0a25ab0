//! Whether a name's owner must say whose it is before a CA is asked, and whether that was said.

use certmill_dns::{LookupError, OwnershipValues};
use certmill_model::{
    Check, CheckKind, Contested, DomainId, Finding, Hostname, Ownership, OwnershipRecord, ProblemCode,
    TenantId, ownership,
};
use certmill_store::{ClaimedDomain, StoreError};

use crate::Engine;

/// The record that must be seen before any CA is asked, and why.
pub(super) struct Wanted {
    pub(super) record: OwnershipRecord,
    why: Contested,
}

/// The record that a claimed domain's owner must set; `None`: a CA may be asked.
pub(super) async fn wanted_of(engine: &Engine, domain: &ClaimedDomain) -> Result<Option<Wanted>, StoreError> {
    if domain.certificate_id.is_some() {
        return Ok(None);
    }
    wanted(engine, domain.lease.domain_id, domain.lease.tenant_id, &domain.name).await
}

/// The same for any domain.
pub(super) async fn wanted(
    engine: &Engine,
    domain: DomainId,
    tenant: TenantId,
    name: &Hostname,
) -> Result<Option<Wanted>, StoreError> {
    let parts = &engine.parts;
    let Ownership::Wanted(why) = ownership(&parts.store.claim_to(domain, tenant, name).await?) else {
        return Ok(None);
    };
    let record = parts.store.ownership_record(tenant, name, &parts.chance, engine.now()).await?;
    Ok(Some(Wanted { record, why }))
}

impl Wanted {
    /// What was seen of the record. A name whose `_acme-challenge` leads to the tenant's own label says as much.
    pub(super) fn check(&self, seen: Result<OwnershipValues, LookupError>, is_delegated: bool) -> Check {
        let kind = CheckKind::Ownership;
        let (lines, server, trouble) = match &seen {
            Ok(seen) => (seen.lines(&self.record), Some(seen.seen_from.to_string()), String::new()),
            Err(error) => (Vec::new(), None, format!(" {error}.")),
        };
        if is_delegated || seen.is_ok_and(|seen| seen.contain(&self.record.value)) {
            return Check::pass(kind, lines, server);
        }
        let detail = format!(
            "{}. Set {} so that we know that it is meant for you.{trouble}",
            self.why.reason(),
            self.record
        );
        Check::fail(kind, lines, server, Finding { code: ProblemCode::OwnershipMissing, detail })
    }
}
