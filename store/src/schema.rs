//! The short lists. What is not on them belongs to one tenant; tests read the schema and the sources and compare.

/// Tables without a tenant column.
pub const WITHOUT_TENANT: &[&str] = &[
    // Its id is the tenant.
    "tenants",
    // The database's own id.
    "installation",
    // Before there is a tenant.
    "setup_tokens",
    // Binds every tenant.
    "platform_suppressed",
    // The migrations' own.
    "_sqlx_migrations",
];

/// Functions of `Store` that take `&Platform`: they look across tenants, find the evidence a `Scope` is minted from, or set
/// what only the platform may set.
pub const PLATFORM_FUNCTIONS: &[&str] = &[
    // Evidence: credentials in, scope out.
    "login",
    "open_session",
    "session",
    "api_key_holder",
    "is_set_up",
    "add_setup_token",
    "setup_token_is_good",
    "create_first_admin",
    // The platform's administrator.
    "tenants",
    "create_tenant",
    "set_tenant_terms",
    "caller_numbers_to_decide",
    "decide_caller_number",
    "suppress_on_platform",
    "post",
    // The metrics: sums without names.
    "states",
    // The engine, at start.
    "directory",
    "running_campaigns",
    "bindings",
    "prune_bindings",
    "installation",
    "recover",
    "interrupt_imports",
    "prune_imports",
    "accounts_of_other_realms",
];

/// Functions whose first argument is itself the evidence: whoever holds the link may use it, once.
pub const EVIDENCE_FUNCTIONS: &[&str] = &["use_setup_token"];
