//! Who may do what: roles of people, scopes of tokens, and the permissions that both come down to.

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// What a user is. One of the platform's own people is a viewer or operator of every tenant, or a `platform_admin`.
    Role {
        /// Sees.
        Viewer = "viewer",
        /// Sees, and changes what is wanted of domains; of the platform's own people also load balancers and templates.
        Operator = "operator",
        /// Does everything in one tenant.
        TenantAdmin = "tenant_admin",
        /// Does everything.
        PlatformAdmin = "platform_admin",
    }
}

closed_set! {
    /// What a token may be used for.
    Scope {
        /// Read domains, certificates, orders, deployments, events.
        DomainsRead = "domains:read",
        /// Register, change and remove domains; run operations.
        DomainsWrite = "domains:write",
        /// Read load balancers and templates (tokens of the platform).
        TargetsRead = "targets:read",
        /// Change load balancers and templates (tokens of the platform).
        TargetsWrite = "targets:write",
        /// Read and change webhook endpoints.
        WebhooksWrite = "webhooks:write",
        /// Everything that its tenant, or the platform, may do.
        Admin = "admin",
    }
}

/// What a route needs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Permission {
    /// Read domains, their certificates, orders, events, and numbers about them.
    DomainsRead,
    /// Change what is wanted of domains.
    DomainsWrite,
    /// Read load balancers and deployments. The platform's.
    TargetsRead,
    /// Change load balancers. The platform's.
    TargetsWrite,
    /// Read templates. The platform's.
    TemplatesRead,
    /// Change and publish templates. The platform's.
    TemplatesWrite,
    /// Read webhook endpoints and deliveries.
    WebhooksRead,
    /// Change webhook endpoints.
    WebhooksWrite,
    /// Read how the tenant is set up.
    TenantRead,
    /// Change how the tenant appears.
    TenantWrite,
    /// Create, suspend and delete tenants, set quotas. The platform's.
    TenantsManage,
    /// Read users.
    UsersRead,
    /// Invite, change and remove users.
    UsersWrite,
    /// Read what tokens there are.
    TokensRead,
    /// Make and revoke tokens.
    TokensWrite,
    /// Read who changed what.
    AuditRead,
    /// Read accounts at CAs and what is left of their limits. The platform's.
    AuthoritiesRead,
    /// Read the settings and the state of the service. The platform's.
    SettingsRead,
}

impl Permission {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::DomainsRead,
        Self::DomainsWrite,
        Self::TargetsRead,
        Self::TargetsWrite,
        Self::TemplatesRead,
        Self::TemplatesWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::TenantRead,
        Self::TenantWrite,
        Self::TenantsManage,
        Self::UsersRead,
        Self::UsersWrite,
        Self::TokensRead,
        Self::TokensWrite,
        Self::AuditRead,
        Self::AuthoritiesRead,
        Self::SettingsRead,
    ];

    /// Whether only the platform's own people and tokens can have it: what it is about belongs to no tenant.
    pub fn is_platforms(self) -> bool {
        matches!(
            self,
            Self::TargetsRead
                | Self::TargetsWrite
                | Self::TemplatesRead
                | Self::TemplatesWrite
                | Self::TenantsManage
                | Self::AuthoritiesRead
                | Self::SettingsRead
        )
    }

    fn is_reading(self) -> bool {
        matches!(
            self,
            Self::DomainsRead
                | Self::TargetsRead
                | Self::TemplatesRead
                | Self::WebhooksRead
                | Self::TenantRead
                | Self::AuthoritiesRead
                | Self::SettingsRead
        )
    }
}

impl Role {
    /// Whether a user of this role, in a tenant or of the platform, may do that.
    pub fn allows(self, permission: Permission, of_platform: bool) -> bool {
        if permission.is_platforms() && !of_platform {
            return false;
        }
        match self {
            Self::Viewer => permission.is_reading(),
            Self::Operator => {
                let changes =
                    [Permission::DomainsWrite, Permission::TargetsWrite, Permission::TemplatesWrite];
                permission.is_reading() || changes.contains(&permission)
            }
            Self::TenantAdmin | Self::PlatformAdmin => true,
        }
    }

    /// The roles that a user may have: of a tenant's people, or of the platform's own.
    pub fn possible(of_platform: bool) -> &'static [Self] {
        if of_platform {
            &[Self::Viewer, Self::Operator, Self::PlatformAdmin]
        } else {
            &[Self::Viewer, Self::Operator, Self::TenantAdmin]
        }
    }
}

impl Scope {
    /// The scopes that open something: for a token of a tenant, or of the platform.
    pub fn possible(of_platform: bool) -> impl Iterator<Item = Self> {
        let opens = move |scope: &Self| Permission::ALL.iter().any(|one| scope.allows(*one, of_platform));
        Self::ALL.iter().copied().filter(opens)
    }

    /// Whether a token with this scope, of a tenant or of the platform, may do that.
    pub fn allows(self, permission: Permission, of_platform: bool) -> bool {
        if permission.is_platforms() && !of_platform {
            return false;
        }
        match self {
            Self::DomainsRead => permission == Permission::DomainsRead,
            Self::DomainsWrite => matches!(permission, Permission::DomainsRead | Permission::DomainsWrite),
            Self::TargetsRead => matches!(permission, Permission::TargetsRead | Permission::TemplatesRead),
            Self::TargetsWrite => matches!(
                permission,
                Permission::TargetsRead
                    | Permission::TargetsWrite
                    | Permission::TemplatesRead
                    | Permission::TemplatesWrite
            ),
            Self::WebhooksWrite => {
                matches!(permission, Permission::WebhooksRead | Permission::WebhooksWrite)
            }
            Self::Admin => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_in_a_tenant_may_do_what_is_the_platforms() {
        for permission in Permission::ALL.iter().filter(|permission| permission.is_platforms()) {
            assert!(!Role::ALL.iter().any(|role| role.allows(*permission, false)), "{permission:?}");
            assert!(!Scope::ALL.iter().any(|scope| scope.allows(*permission, false)), "{permission:?}");
        }
    }

    #[test]
    fn a_viewer_changes_nothing_and_sees_neither_tokens_nor_people() {
        for of_platform in [false, true] {
            for hidden in [
                Permission::DomainsWrite,
                Permission::TargetsWrite,
                Permission::TokensRead,
                Permission::UsersRead,
                Permission::AuditRead,
            ] {
                assert!(!Role::Viewer.allows(hidden, of_platform), "{hidden:?}");
            }
        }
    }

    #[test]
    fn each_role_may_do_what_the_one_below_may() {
        for permission in Permission::ALL {
            for (lower, higher) in [
                (Role::Viewer, Role::Operator),
                (Role::Operator, Role::TenantAdmin),
                (Role::Operator, Role::PlatformAdmin),
            ] {
                for of_platform in [false, true] {
                    assert!(
                        !lower.allows(*permission, of_platform) || higher.allows(*permission, of_platform),
                        "{lower} {higher} {permission:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_token_for_reading_domains_reads_domains_alone() {
        let allowed: Vec<_> = Permission::ALL
            .iter()
            .filter(|permission| Scope::DomainsRead.allows(**permission, true))
            .collect();
        assert_eq!(allowed, [&Permission::DomainsRead]);
    }
}
