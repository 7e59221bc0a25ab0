//! How a request for each route is made.

/// How a request for a route is made. In `example` and `body`, `<word>` stands for a thing of that kind: see
/// `World::make`. A body that begins with a brace is JSON, another one a form's fields.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// The address that is asked for.
    pub(super) example: &'static str,
    /// What is sent; empty: nothing.
    pub(super) body: &'static str,
    /// Whether it makes the thing that its address names.
    pub(super) creates: bool,
}

impl Row {
    const fn creates(self) -> Self {
        Self { creates: true, ..self }
    }
}

/// A route and the address that is asked for.
const fn row(method: &'static str, path: &'static str, example: &'static str) -> Row {
    with(method, path, example, "")
}

/// The same with a body.
const fn with(method: &'static str, path: &'static str, example: &'static str, body: &'static str) -> Row {
    Row { method, path, example, body, creates: false }
}

pub(super) const ROWS: &[Row] = &[
    // Domains.
    row("GET", "/v1/domains", "/v1/domains"),
    row("GET", "/v1/domains/{name}", "/v1/domains/<domain>"),
    with("PUT", "/v1/domains/{name}", "/v1/domains/<domain>", r#"{"external_id":"1"}"#).creates(),
    with("POST", "/v1/domains", "/v1/domains", r#"{"name":"posted.example-shops.test"}"#),
    with("PATCH", "/v1/domains/{name}", "/v1/domains/<domain>", r#"{"external_id":"2"}"#),
    row("DELETE", "/v1/domains/{name}", "/v1/domains/<domain>"),
    row("POST", "/v1/domains/{name}/renew", "/v1/domains/<domain>/renew"),
    row("POST", "/v1/domains/{name}/pause", "/v1/domains/<domain>/pause"),
    row("POST", "/v1/domains/{name}/resume", "/v1/domains/<domain>/resume"),
    with(
        "POST",
        "/v1/domains/{name}/setup-links",
        "/v1/domains/<domain>/setup-links",
        r#"{"language":"en"}"#,
    ),
    row("GET", "/v1/domains/{name}/setup-links", "/v1/domains/<domain>/setup-links"),
    row("DELETE", "/v1/domains/{name}/setup-links/{link}", "/v1/domains/<setup-link>"),
    // What is refused for its words ends at once, where a stream would not.
    row("GET", "/v1/domains/{name}/stream", "/v1/domains/<domain>/stream?types=nonsense"),
    row("GET", "/v1/events/stream", "/v1/events/stream?types=nonsense"),
    row("GET", "/v1/events", "/v1/events"),
    row("GET", "/v1/domains/{name}/setup", "/v1/domains/<domain>/setup"),
    row("POST", "/v1/domains/{name}/check", "/v1/domains/<domain>/check"),
    row("GET", "/v1/domains/{name}/timeline", "/v1/domains/<domain>/timeline"),
    row("GET", "/v1/ca-accounts", "/v1/ca-accounts"),
    row("GET", "/settings", "/settings"),
    // Tenants.
    row("GET", "/v1/tenants", "/v1/tenants"),
    with("POST", "/v1/tenants", "/v1/tenants", r#"{"name":"<name>","upstream":"10.0.0.5:8080"}"#),
    row("GET", "/v1/tenants/{tenant}", "/v1/tenants/<tenant>"),
    with(
        "PATCH",
        "/v1/tenants/{tenant}",
        "/v1/tenants/<tenant>",
        r##"{"branding":{"accent":"#0f766e"},"template":"redirect"}"##,
    ),
    row("DELETE", "/v1/tenants/{tenant}", "/v1/tenants/<tenant to go>"),
    row("POST", "/v1/tenants/{tenant}/suspend", "/v1/tenants/<tenant to go>/suspend"),
    row("POST", "/v1/tenants/{tenant}/resume", "/v1/tenants/<tenant to go>/resume"),
    row("GET", "/brand/{brand}", "/brand/<brand>.css"),
    row("GET", "/brand/{brand}/logo", "/brand/<brand>/logo"),
    // People and programs.
    row("GET", "/v1/users", "/v1/users"),
    with(
        "POST",
        "/v1/users",
        "/v1/users",
        r#"{"tenant":"<tenant>","email":"<email>","name":"Ada","role":"viewer"}"#,
    ),
    row("GET", "/v1/users/{user}", "/v1/users/<user>"),
    with("PATCH", "/v1/users/{user}", "/v1/users/<user>", r#"{"name":"Eve"}"#),
    row("DELETE", "/v1/users/{user}", "/v1/users/<user>"),
    row("POST", "/v1/users/{user}/invite", "/v1/users/<user>/invite"),
    row("GET", "/v1/tokens", "/v1/tokens"),
    with("POST", "/v1/tokens", "/v1/tokens", r#"{"tenant":"<tenant>","name":"x","scopes":["admin"]}"#),
    row("GET", "/v1/tokens/{token}", "/v1/tokens/<token>"),
    row("DELETE", "/v1/tokens/{token}", "/v1/tokens/<token>"),
    row("GET", "/v1/audit", "/v1/audit"),
    row("GET", "/v1/domains/{name}/stream", "/v1/domains/<domain>/stream"),
    row("GET", "/v1/events", "/v1/events"),
    row("GET", "/v1/events/stream", "/v1/events/stream"),
    // The platform's own.
    row("GET", "/v1/targets", "/v1/targets"),
    row("GET", "/v1/targets/{target}", "/v1/targets/<target>"),
    with("PATCH", "/v1/targets/{target}", "/v1/targets/<target>", r#"{"group":"<group>"}"#),
    row("POST", "/v1/targets/{target}/sync", "/v1/targets/<target>/sync"),
    row("DELETE", "/v1/targets/{target}", "/v1/targets/<target out>"),
    row("GET", "/v1/target-groups", "/v1/target-groups"),
    with("POST", "/v1/target-groups", "/v1/target-groups", r#"{"name":"<name>"}"#),
    row("DELETE", "/v1/target-groups/{group}", "/v1/target-groups/<group>"),
    row("GET", "/v1/deployments", "/v1/deployments"),
    // Webhooks.
    row("GET", "/v1/webhook-endpoints", "/v1/webhook-endpoints"),
    with(
        "POST",
        "/v1/webhook-endpoints",
        "/v1/webhook-endpoints",
        r#"{"tenant":"<tenant>","url":"https://hooks.example.com/","description":"x"}"#,
    ),
    row("GET", "/v1/webhook-endpoints/{endpoint}", "/v1/webhook-endpoints/<webhook>"),
    with(
        "PATCH",
        "/v1/webhook-endpoints/{endpoint}",
        "/v1/webhook-endpoints/<webhook>",
        r#"{"description":"y"}"#,
    ),
    row("DELETE", "/v1/webhook-endpoints/{endpoint}", "/v1/webhook-endpoints/<webhook to go>"),
    row("POST", "/v1/webhook-endpoints/{endpoint}/test", "/v1/webhook-endpoints/<webhook>/test"),
    row(
        "POST",
        "/v1/webhook-endpoints/{endpoint}/rotate-secret",
        "/v1/webhook-endpoints/<webhook>/rotate-secret",
    ),
    with(
        "POST",
        "/v1/webhook-endpoints/{endpoint}/replay",
        "/v1/webhook-endpoints/<webhook>/replay",
        r#"{"from":"2026-11-21T00:00:00Z"}"#,
    ),
    row("GET", "/v1/webhook-endpoints/{endpoint}/deliveries", "/v1/webhook-endpoints/<webhook>/deliveries"),
    row("POST", "/v1/webhook-deliveries/{delivery}/retry", "/v1/webhook-deliveries/<delivery>/retry"),
    row("GET", "/webhooks", "/webhooks"),
    with("POST", "/webhooks", "/webhooks", "url=https%3A%2F%2Fhooks.example.com%2F&description=x"),
    row("GET", "/webhooks/{endpoint}", "/webhooks/<webhook>"),
    with(
        "POST",
        "/webhooks/{endpoint}",
        "/webhooks/<webhook>",
        "url=https%3A%2F%2Fhooks.example.com%2F&description=x",
    ),
    row("POST", "/webhooks/{endpoint}/test", "/webhooks/<webhook>/test"),
    row("POST", "/webhooks/{endpoint}/rotate", "/webhooks/<webhook>/rotate"),
    with("POST", "/webhooks/{endpoint}/replay", "/webhooks/<webhook>/replay", "hours=1"),
    row("POST", "/webhooks/{endpoint}/remove", "/webhooks/<webhook to go>/remove"),
    row(
        "POST",
        "/webhooks/{endpoint}/deliveries/{delivery}/retry",
        "/webhooks/<webhook of delivery>/deliveries/<delivery>/retry",
    ),
    row("GET", "/targets", "/targets"),
    row("GET", "/targets/{target}", "/targets/<target>"),
    with("POST", "/targets/{target}", "/targets/<target>", "addresses=203.0.113.7"),
    row("POST", "/targets/{target}/sync", "/targets/<target>/sync"),
    row("GET", "/targets/{target}/remove", "/targets/<target>/remove"),
    row("POST", "/targets/{target}/remove", "/targets/<target out>/remove"),
    with("POST", "/target-groups", "/target-groups", "name=<name>"),
    row("POST", "/target-groups/{group}/remove", "/target-groups/<group>/remove"),
    // For everybody.
    row("GET", "/livez", "/livez"),
    row("GET", "/readyz", "/readyz"),
    row("GET", "/metrics", "/metrics"),
    row("GET", "/version", "/version"),
    row("GET", "/docs", "/docs"),
    row("GET", "/docs/{guide}", "/docs/api"),
    row("GET", "/docs/problems/{code}", "/docs/problems/caa_forbids"),
    row("GET", "/assets/{file}", "/assets/<asset>"),
    // In and out.
    row("GET", "/login", "/login"),
    with("POST", "/login", "/login", "email=a&password=b"),
    row("GET", "/login/{link}", "/login/nonsense"),
    row("POST", "/login/{link}", "/login/nonsense"),
    row("GET", "/setup/{link}", "/setup/nonsense"),
    row("POST", "/setup/{link}/check", "/setup/nonsense/check"),
    row("GET", "/password/{link}", "/password/nonsense"),
    with("POST", "/password/{link}", "/password/nonsense", "password=b"),
    row("POST", "/logout", "/logout"),
    with("POST", "/preferences", "/preferences", "theme=dark"),
    // Pages of people and programs.
    row("GET", "/users", "/users"),
    row("GET", "/users/new", "/users/new"),
    with("POST", "/users", "/users", "tenant=<tenant>&email=<email>&name=Ada&role=viewer&language=en"),
    row("GET", "/users/{user}", "/users/<user>"),
    with("POST", "/users/{user}", "/users/<user>", "name=Eve&role=viewer&revision=1"),
    row("POST", "/users/{user}/invite", "/users/<user>/invite"),
    row("GET", "/users/{user}/remove", "/users/<user>/remove"),
    row("POST", "/users/{user}/remove", "/users/<user>/remove"),
    row("GET", "/tokens", "/tokens"),
    row("GET", "/tokens/new", "/tokens/new"),
    with("POST", "/tokens", "/tokens", "tenant=<tenant>&name=x&scope=admin&days=1"),
    row("GET", "/tokens/{token}/revoke", "/tokens/<token>/revoke"),
    row("POST", "/tokens/{token}/revoke", "/tokens/<token>/revoke"),
    row("GET", "/audit", "/audit"),
    row("GET", "/account", "/account"),
    with("POST", "/account", "/account", "name=Ada&language=en"),
    with("POST", "/account/password", "/account/password", "current=a&password=b"),
    row("POST", "/account/sessions", "/account/sessions"),
    row("GET", "/account/notifications", "/account/notifications"),
    with("POST", "/account/notifications", "/account/notifications", "least_level=late&digest=weekly"),
    row("GET", "/forgot", "/forgot"),
    with("POST", "/forgot", "/forgot", "email=nobody@example.com"),
    row("GET", "/unsubscribe/{token}", "/unsubscribe/nonsense"),
    row("POST", "/unsubscribe/{token}", "/unsubscribe/nonsense"),
    // Pages of tenants.
    row("GET", "/branding", "/branding"),
    row("GET", "/tenants", "/tenants"),
    row("GET", "/tenants/new", "/tenants/new"),
    with(
        "POST",
        "/tenants",
        "/tenants",
        "name=<name>&upstream=10.0.0.5%3A8080&template=storefront&key_type=ecdsa_p256",
    ),
    row("GET", "/tenants/{tenant}", "/tenants/<tenant>"),
    with("POST", "/tenants/{tenant}", "/tenants/<tenant>", "template=redirect&key_type=rsa_2048&revision=1"),
    with("POST", "/tenants/{tenant}/branding", "/tenants/<tenant>/branding", "product_name=Nord&revision=1"),
    row("POST", "/tenants/{tenant}/logo", "/tenants/<tenant>/logo"),
    row("POST", "/tenants/{tenant}/suspend", "/tenants/<tenant to go>/suspend"),
    row("POST", "/tenants/{tenant}/resume", "/tenants/<tenant to go>/resume"),
    row("GET", "/tenants/{tenant}/delete", "/tenants/<tenant to go>/delete"),
    row("POST", "/tenants/{tenant}/delete", "/tenants/<tenant to go>/delete"),
    // Pages.
    row("GET", "/", "/"),
    row("GET", "/alerts", "/alerts"),
    row("GET", "/alerts/{alert}", "/alerts/<alert>"),
    row("GET", "/alerts/{alert}/domains.csv", "/alerts/<alert>/domains.csv"),
    with("POST", "/alerts/{alert}/mute", "/alerts/<alert>/mute", "hours=4&reason=known"),
    row("POST", "/alerts/{alert}/unmute", "/alerts/<alert>/unmute"),
    row("GET", "/certificates", "/certificates"),
    row("GET", "/orders", "/orders"),
    row("GET", "/domains/{name}", "/domains/<domain>"),
    row("GET", "/domains", "/domains"),
    row("GET", "/exports/{file}", "/exports/domains.csv"),
    row("GET", "/domains/new", "/domains/new"),
    with("POST", "/domains", "/domains", "name=<new-domain>&tenant=<tenant>"),
    row("GET", "/domains/{name}/change", "/domains/<domain>/change"),
    with("POST", "/domains/{name}/change", "/domains/<domain>/change", "external_id=1"),
    row("GET", "/domains/{name}/remove", "/domains/<domain>/remove"),
    row("POST", "/domains/{name}/remove", "/domains/<domain>/remove"),
    row("GET", "/domains/{name}/link", "/domains/<domain>/link"),
    with("POST", "/domains/{name}/link", "/domains/<domain>/link", "language=en"),
    row("POST", "/domains/{name}/check", "/domains/<domain>/check"),
];
