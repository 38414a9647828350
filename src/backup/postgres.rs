//! PostgreSQL is copied and filled by its own tools: one consistent state out (`pg_dump`), one transaction in (`pg_restore`).

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The state of the database at `address` that is held under this name, as `pg_dump` writes it, while others use it.
pub fn dump(address: &str, held: &str, to: &Path) -> Result<()> {
    let to = to.display().to_string();
    let options = [
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--snapshot",
        held,
        "--file",
        &to,
    ];
    run("pg_dump", Some(address), &options)
}

/// Whether `pg_restore` can read a dump.
pub fn look(from: &Path) -> Result<()> {
    let from = from.display().to_string();
    run("pg_restore", None, &["--list", &from]).context("its database cannot be read")
}

/// Fills the empty database at `address`, wholly or not at all.
pub fn fill(address: &str, from: &Path) -> Result<()> {
    let from = from.display().to_string();
    let options = [
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        &from,
    ];
    run("pg_restore", Some(address), &options)
}

fn run(tool: &str, address: Option<&str>, options: &[&str]) -> Result<()> {
    let mut command = Command::new(tool);
    command.args(options);
    if let Some(address) = address {
        let (address, password) = split(address)?;
        command.args(["--dbname", &address]);
        // Arguments are for everybody to see, the environment is not.
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
    }
    let done = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "{tool} is not installed. FIX: apt-get install postgresql-client, of the server's release or newer"
        ),
        done => done.with_context(|| format!("cannot run {tool}"))?,
    };
    if !done.status.success() {
        bail!("{tool}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// The address without its password, and the password.
fn split(address: &str) -> Result<(String, Option<String>)> {
    let mut url = reqwest::Url::parse(address).context("the database address is no URL")?;
    let password = url.password().map(|text| unescaped(text.as_bytes()));
    url.set_password(None).ok();
    Ok((url.to_string(), password.transpose()?))
}

fn unescaped(text: &[u8]) -> Result<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, more @ ..] = rest {
        match (first, more) {
            (b'%', [a, b, after @ ..]) => {
                plain
                    .extend(hex::decode([*a, *b]).context("the password in the database address")?);
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(plain).context("the password in the database address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out_of_the_address() {
        let (address, password) =
            split("postgres://huying:s%3Acret@db:5432/calls?sslmode=require").unwrap();
        assert_eq!(address, "postgres://huying@db:5432/calls?sslmode=require");
        assert_eq!(password.as_deref(), Some("s:cret"));
        assert_eq!(split("postgres://db/calls").unwrap().1, None);
    }
}
