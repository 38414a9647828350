//! Where a database is: a file for SQLite, a server for PostgreSQL. What is shown of an address never holds a password.

use crate::error::StoreError;
use sqlx::postgres::PgConnectOptions;

/// An address that was understood.
pub(super) enum Address<'a> {
    /// The file's path.
    Sqlite(&'a str),
    Postgres(Box<PgConnectOptions>),
}

impl Address<'_> {
    /// `sqlite:PATH`, a path, or `postgres://user:password@host:port/database`.
    pub fn parse(text: &str) -> Result<Address<'_>, StoreError> {
        match text.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                known_parameters(rest)?;
                let options = text.parse().map_err(|_| StoreError::Address)?;
                Ok(Address::Postgres(Box::new(options)))
            }
            Some(("postgres" | "postgresql", _)) => Err(StoreError::Address),
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(Address::Sqlite(path.trim_start_matches("//")))
            }
            // Another database's scheme is no file name.
            Some((_, rest)) if rest.starts_with("//") => Err(StoreError::Address),
            _ if text.is_empty() || text == "sqlite:" => Err(StoreError::Address),
            _ => Ok(Address::Sqlite(text)),
        }
    }
}

/// What may stand behind the `?`. The driver would write any other into the log, whatever it holds.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

fn known_parameters(rest: &str) -> Result<(), StoreError> {
    let (_, query) = rest.split_once('?').unwrap_or_default();
    let known = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default();
        PARAMETERS.contains(&key)
    };
    match query.split('&').all(|pair| pair.is_empty() || known(pair)) {
        true => Ok(()),
        false => Err(StoreError::Address),
    }
}

/// An address as people may see it: without its password and without what stands behind a `?`. Of one that cannot be taken
/// apart with certainty, nothing but its kind.
pub fn shown(address: &str) -> String {
    let Some((scheme @ ("postgres" | "postgresql"), rest)) = address.split_once(':') else {
        return address.to_owned();
    };
    let opaque = format!("{scheme}://…");
    let Some(rest) = rest.strip_prefix("//") else {
        return opaque;
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // A `/`, `?` or `@` inside a password: where it ends is anybody's guess.
    if rest[authority.len()..].contains('@') || Address::parse(address).is_err() {
        return opaque;
    }
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        None => format!("{scheme}://{place}"),
        Some(at) => {
            let user = authority[..at].split(':').next().unwrap_or_default();
            format!("{scheme}://{user}{}", &place[at..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_or_a_server_and_nothing_else() {
        let sqlite = |text| matches!(Address::parse(text), Ok(Address::Sqlite("a/b.db")));
        assert!(sqlite("sqlite:a/b.db") && sqlite("sqlite://a/b.db") && sqlite("a/b.db"));
        for server in [
            "postgres://u:p@h/d",
            "postgresql:///d?host=/run/postgresql&user=u",
            "postgres://u@%2Frun%2Fpostgresql:5433/d?sslmode=disable",
        ] {
            assert!(matches!(Address::parse(server), Ok(Address::Postgres(_))));
        }
        for nothing in [
            "",
            "sqlite:",
            "postgres:d",
            "postgres://u:p@h:port/d",
            "postgres://u:p@h/d?secret=x",
            "postgres://u:p@h/d?sslmode=perhaps",
            "mysql://u:p@h/d",
        ] {
            assert!(
                matches!(Address::parse(nothing), Err(StoreError::Address)),
                "{nothing}"
            );
        }
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        for (address, seen) in [
            ("sqlite:data/huying.db", "sqlite:data/huying.db"),
            ("postgres://u:s3cret@h:5433/d", "postgres://u@h:5433/d"),
            ("postgres://u:s3c%40ret@h/d", "postgres://u@h/d"),
            ("postgres://u:s3@cret@h/d", "postgres://u@h/d"),
            (
                "postgresql://h/d?password=s3cret&user=u",
                "postgresql://h/d",
            ),
            ("postgres://u:s3/cret@h/d", "postgres://…"),
            ("postgres://u:12/s3cret@h/d", "postgres://…"),
            ("postgres://u:12?s3cret@h/d", "postgres://…"),
            ("postgres://u:12#s3cret@h/d", "postgres://…"),
            ("postgres:u:s3cret@h/d", "postgres://…"),
            ("postgres://u:s3cret", "postgres://…"),
        ] {
            assert_eq!(shown(address), seen);
        }
    }
}
