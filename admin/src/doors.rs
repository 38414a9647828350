//! What each route asks of its caller. The declaration stands once, in the `security(...)` of the handler's
//! `#[utoipa::path]`: the document shows it and this module enforces it. A route without one is closed to everybody,
//! and a test refuses it.
//!
//! Permissions are words `subject:deed`. A role is a fixed set of them; an API key carries a list of its own and never
//! reaches beyond the role of the user who made it.

use std::collections::HashMap;
use store::Role;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};

/// Every permission there is, with who has it by role.
const PERMISSIONS: &[(&str, Least)] = &[
    ("account:own", Least::Agent),
    ("calls:read", Least::Agent),
    ("recordings:read", Least::Supervisor),
    ("calls:monitor", Least::Supervisor),
    ("calls:end", Least::Supervisor),
    ("leads:read", Least::Agent),
    ("leads:write", Least::Supervisor),
    ("campaigns:read", Least::Agent),
    ("campaigns:write", Least::Supervisor),
    ("templates:read", Least::Agent),
    ("templates:write", Least::Admin),
    ("devices:read", Least::Supervisor),
    ("devices:write", Least::Admin),
    ("numbers:read", Least::Supervisor),
    ("numbers:write", Least::Admin),
    ("suppression:read", Least::Agent),
    ("suppression:write", Least::Supervisor),
    ("billing:read", Least::Admin),
    ("settings:read", Least::Supervisor),
    ("settings:write", Least::Admin),
    ("users:read", Least::Admin),
    ("users:write", Least::Admin),
    ("keys:read", Least::Admin),
    ("keys:write", Least::Admin),
    ("audit:read", Least::Admin),
    ("events:read", Least::Supervisor),
    ("platform:read", Least::Platform),
    ("platform:write", Least::Platform),
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Agent,
    Supervisor,
    Admin,
    Platform,
}

fn rank(role: Role, platform_admin: bool) -> Least {
    match role {
        _ if platform_admin => Least::Platform,
        Role::Agent => Least::Agent,
        Role::Supervisor => Least::Supervisor,
        // The engine's own role never comes in through this door.
        Role::Admin | Role::System => Least::Admin,
    }
}

/// Whether a role may do this.
pub fn role_may(role: Role, platform_admin: bool, permission: &str) -> bool {
    let rank = rank(role, platform_admin);
    PERMISSIONS
        .iter()
        .any(|(name, least)| *name == permission && rank >= *least)
}

/// All permissions of a role, for `me`.
pub fn permissions_of(role: Role, platform_admin: bool) -> Vec<&'static str> {
    let rank = rank(role, platform_admin);
    PERMISSIONS
        .iter()
        .filter(|(_, least)| rank >= *least)
        .map(|(name, _)| *name)
        .collect()
}

/// Whether a granted word covers a permission: itself, `campaigns:*`, or `*`.
pub fn covers(granted: &str, permission: &str) -> bool {
    granted == "*"
        || granted == permission
        || granted
            .strip_suffix(":*")
            .is_some_and(|subject| permission.split(':').next() == Some(subject))
}

/// Whether a word may stand on an API key: it covers something, and nothing about the person.
pub fn is_scope(word: &str) -> bool {
    PERMISSIONS
        .iter()
        .any(|(name, _)| *name != "account:own" && covers(word, name))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// No credential asked: set-up, sign-in, health.
    Public,
    Needs(&'static str),
}

/// (method, route) → door, read once from the generated document.
#[derive(Debug)]
pub struct Doors(HashMap<(&'static str, String), Option<Door>>);

impl Doors {
    pub fn of(document: &OpenApi) -> Doors {
        let mut doors = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                doors.insert((name(&method), path.clone()), declared(operation));
            }
        }
        Doors(doors)
    }

    /// The door of a route, where it declares one.
    pub fn find(&self, method: &str, route: &str) -> Option<Door> {
        self.0
            .get(&(served_as(method)?, route.to_owned()))
            .copied()
            .flatten()
    }

    /// Whether the route takes this method at all.
    pub fn knows(&self, method: &str, route: &str) -> bool {
        served_as(method).is_some_and(|method| self.0.contains_key(&(method, route.to_owned())))
    }
}

/// axum answers HEAD with the GET handler.
fn served_as(method: &str) -> Option<&'static str> {
    let known = METHODS.iter().find(|known| **known == method)?;
    Some(if *known == "HEAD" { "GET" } else { known })
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

fn name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Delete => "DELETE",
        _ => "OTHER",
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (HttpMethod, &Operation)> {
    [
        (HttpMethod::Get, &item.get),
        (HttpMethod::Post, &item.post),
        (HttpMethod::Put, &item.put),
        (HttpMethod::Patch, &item.patch),
        (HttpMethod::Delete, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn declared(operation: &Operation) -> Option<Door> {
    let requirement = operation.security.as_ref()?.first()?;
    // The value type is opaque; its serialised shape is the specification's.
    let value = serde_json::to_value(requirement).ok()?;
    let schemes = value.as_object()?;
    if schemes.is_empty() {
        return Some(Door::Public);
    }
    let word = schemes.get("bearer")?.as_array()?.first()?.as_str()?;
    PERMISSIONS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(name, _)| Door::Needs(name))
}

/// Routes of the document that declare nothing (or an unknown permission), as `METHOD path`.
pub fn undeclared(document: &OpenApi) -> Vec<String> {
    let doors = Doors::of(document);
    document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| {
            operations(item).map(move |(method, _)| (name(&method), path.clone()))
        })
        .filter(|(method, path)| doors.find(method, path).is_none())
        .map(|(method, path)| format!("{method} {path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_its_subject_and_no_other() {
        assert!(covers("campaigns:*", "campaigns:write"));
        assert!(!covers("campaigns:*", "calls:read"));
        assert!(!covers("campaign:*", "campaigns:read"));
        assert!(covers("*", "platform:write"));
        assert!(is_scope("calls:read") && is_scope("calls:*") && is_scope("*"));
        assert!(!is_scope("calls:fly") && !is_scope("account:own") && !is_scope(""));
    }

    #[test]
    fn each_role_has_all_the_lesser_one_has() {
        let roles = [
            (Role::Agent, false),
            (Role::Supervisor, false),
            (Role::Admin, false),
            (Role::Admin, true),
        ];
        for pair in roles.windows(2) {
            let (less, more) = (
                permissions_of(pair[0].0, pair[0].1),
                permissions_of(pair[1].0, pair[1].1),
            );
            assert!(less.iter().all(|p| more.contains(p)) && more.len() > less.len());
        }
        assert!(!role_may(Role::Admin, false, "platform:read"));
        assert!(!role_may(Role::Agent, false, "leads:write"));
    }
}
