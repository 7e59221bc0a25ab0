//! What is measured: a line for each page and each read of the API. New ones are added here, and nowhere else.

/// Whose eyes a route is read with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    /// A program with a token of the platform.
    Platform,
    /// A program with a token of the giant tenant.
    Tenant,
    /// A person of the platform's, in the dashboard.
    Person,
}

/// Paths; `{name}` is some domain's, another at each request.
pub(crate) const ROUTES: &[(Who, &str)] = &[
    (Who::Tenant, "/v1/domains/{name}"),
    (Who::Tenant, "/v1/domains/{name}/timeline"),
    (Who::Tenant, "/v1/domains/{name}/setup"),
    (Who::Platform, "/v1/domains"),
    (Who::Platform, "/v1/domains?count=capped"),
    (Who::Tenant, "/v1/domains?limit=1000"),
    (Who::Platform, "/v1/domains?q=sh"),
    (Who::Platform, "/v1/domains?q=sho"),
    (Who::Platform, "/v1/domains?q=cheese"),
    (Who::Platform, "/v1/domains?q=cheese4213&count=capped"),
    (Who::Tenant, "/v1/domains?q=fashion77"),
    (Who::Platform, "/v1/domains?q=shop-4213"),
    (Who::Platform, "/v1/domains?external_id=shop-4213"),
    (Who::Platform, "/v1/domains?name_suffix=.co.uk"),
    (Who::Platform, "/v1/domains?name_suffix=4213.co.uk"),
    (Who::Platform, "/v1/domains?status=failed&count=capped"),
    (Who::Platform, "/v1/domains?status=active&count=capped"),
    (Who::Tenant, "/v1/domains?status=expired"),
    (Who::Platform, "/v1/domains?health=critical"),
    (Who::Platform, "/v1/domains?problem=caa_forbids&count=capped"),
    (Who::Platform, "/v1/domains?problem=dns_wrong_target&sort=updated_at"),
    (Who::Platform, "/v1/domains?tag=vip"),
    (Who::Platform, "/v1/domains?tag=eu&count=capped"),
    (Who::Tenant, "/v1/domains?tag=beta&status=failed"),
    (Who::Platform, "/v1/domains?ca=https://dv.acme-v02.api.pki.goog/directory"),
    (Who::Platform, "/v1/domains?sort=not_after"),
    (Who::Tenant, "/v1/domains?sort=not_after"),
    (Who::Platform, "/v1/domains?sort=updated_at"),
    (Who::Platform, "/v1/domains?expires_before=2000-01-01T00:00:00Z"),
    (Who::Platform, "/v1/domains?updated_since=2000-01-01T00:00:00Z&sort=updated_at"),
    (Who::Platform, "/v1/targets"),
    (Who::Person, "/"),
    (Who::Person, "/domains"),
    (Who::Person, "/domains?q=cheese"),
    (Who::Person, "/domains?q=sh"),
    (Who::Person, "/domains/{name}"),
];
