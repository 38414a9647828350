//! What is installed: database, speech model, TLS.

use super::finding::Finding;
use crate::config::Config;
use crate::database::fix;
use speech::models::{self, Presence};
use std::io::Read;
use std::path::Path;
use store::Db;
use store::db::shown;

pub async fn check(config: &Config) -> Vec<Finding> {
    vec![database(config).await, model(config), tls(config)]
}

/// Looks only: opening it for good would migrate it.
async fn database(config: &Config) -> Finding {
    const SUBJECT: &str = "database";
    let address = config.database_address();
    let found = match (Db::schema(&address).await, Db::sqlite_path(&address)) {
        (Ok(found @ (Some(_), _)), Ok(path)) => {
            let whole = store::backup::is_whole(Path::new(path)).await;
            whole.map(|()| found)
        }
        (found, _) => found,
    };
    match found {
        Ok((found, known)) => schema(&shown(&address), found, known),
        Err(error) => {
            let text = format!("{}: {error}", shown(&address));
            Finding::failed(SUBJECT, text, fix(&address, &error))
        }
    }
}

fn schema(address: &str, found: Option<i64>, known: i64) -> Finding {
    const SUBJECT: &str = "database";
    match found {
        None => Finding::ok(
            SUBJECT,
            format!("{address} will be made at the first start, with schema {known}"),
        ),
        Some(found) if found > known => Finding::failed(
            SUBJECT,
            format!("{address} has schema {found}, this release knows {known} and refuses it"),
            "run the newer release, or restore the backup taken before it",
        ),
        Some(found) if found < known => Finding::ok(
            SUBJECT,
            format!("{address}, schema {found}; the next start brings it to {known}"),
        ),
        Some(found) => Finding::ok(SUBJECT, format!("{address}, schema {found}")),
    }
}

fn model(config: &Config) -> Finding {
    const SUBJECT: &str = "speech model";
    let path = config.model_path();
    let name = &config.model;
    let Some(known) = models::find(name) else {
        return own_model(&path);
    };
    let pull = format!("huying models pull {}", known.name);
    match known.presence(&config.models()) {
        Presence::Present => {
            let text = format!(
                "{name}, {} MB as it should have; `huying models check` reads it all and compares its hash",
                known.bytes / 1_000_000
            );
            Finding::ok(SUBJECT, text)
        }
        Presence::Absent => Finding::failed(
            SUBJECT,
            format!(
                "{name} is not in {}: robots cannot hear",
                config.models().display()
            ),
            pull,
        ),
        Presence::Partial { bytes } => {
            let share = bytes * 100 / known.bytes.max(1);
            Finding::failed(
                SUBJECT,
                format!("{name} is here to {share} %: robots cannot hear"),
                format!("{pull} goes on where it stopped"),
            )
        }
        Presence::Damaged { bytes } => {
            let text = format!("{} has {bytes} bytes, not {}", path.display(), known.bytes);
            Finding::failed(SUBJECT, text, format!("delete it, then {pull}"))
        }
    }
}

/// A file of one's own: nobody knows its hash, but ggml weights say so at their beginning.
fn own_model(path: &Path) -> Finding {
    const SUBJECT: &str = "speech model";
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if &magic == b"lmgg" => Finding::ok(
            SUBJECT,
            format!(
                "{} (of your own: its hash is known to nobody here)",
                path.display()
            ),
        ),
        Ok(()) => Finding::failed(
            SUBJECT,
            format!("{} holds no ggml weights", path.display()),
            "--model with a name of `huying models list`",
        ),
        Err(error) => Finding::failed(
            SUBJECT,
            format!("{}: {error}: robots cannot hear", path.display()),
            "--model with a name of `huying models list`, or a file that is there",
        ),
    }
}

fn tls(config: &Config) -> Finding {
    const SUBJECT: &str = "TLS";
    if config.http.ip().is_loopback() {
        return Finding::ok(
            SUBJECT,
            "off; the API is served to this machine alone, where nothing needs it",
        );
    }
    let text = "off: passwords and keys reach the API in the clear, and browsers give a microphone only on https or localhost";
    let fix = format!(
        "--http 127.0.0.1:{} and a TLS proxy before it, with --public-url naming the proxy",
        config.http.port()
    );
    Finding::warn(SUBJECT, text, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[tokio::test]
    async fn a_torn_database_is_found_before_it_is_served_from() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().into(),
            ..Config::default()
        };
        let address = config.database_address();
        Db::open(&address).await.unwrap().close().await;
        assert_eq!(database(&config).await.state, State::Ok);
        let path = Db::sqlite_path(&address).unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        // The first page has the schema's root; what comes after it is rubbish now.
        bytes[8192..65_536].fill(0xa5);
        std::fs::write(path, bytes).unwrap();
        let found = database(&config).await;
        assert_eq!(found.state, State::Failed);
        assert!(found.fix.contains("restore"), "{found}");
    }

    #[test]
    fn a_missing_a_half_and_a_wrong_model_each_say_what_to_pull() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().into(),
            ..Config::default()
        };
        let missing = model(&config);
        assert_eq!(missing.state, State::Failed);
        assert_eq!(
            missing.fix,
            format!("huying models pull {}", models::DEFAULT)
        );
        std::fs::create_dir_all(config.models()).unwrap();
        std::fs::write(config.model_path(), b"short").unwrap();
        assert!(model(&config).fix.starts_with("delete it"));
        let own = folder.path().join("own.bin");
        std::fs::write(&own, b"lmgg and so on").unwrap();
        assert_eq!(own_model(&own).state, State::Ok);
    }

    #[test]
    fn a_newer_schema_is_refused_and_an_older_one_will_be_brought_up() {
        let newer = schema("sqlite:huying.db", Some(7), 5);
        assert_eq!(newer.state, State::Failed);
        assert!(newer.fix.starts_with("run the newer release"));
        assert!(
            schema("sqlite:huying.db", Some(4), 5)
                .text
                .contains("brings it to 5")
        );
    }

    #[tokio::test]
    async fn a_database_is_looked_at_without_being_made_and_a_broken_one_fails() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().into(),
            ..Config::default()
        };
        assert!(database(&config).await.text.contains("will be made"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let (store, _) = store::Store::open(&config.database_address())
            .await
            .unwrap();
        store.close().await;
        assert_eq!(database(&config).await.state, State::Ok);
        std::fs::write(
            folder.path().join("huying.db"),
            b"no database at all, but long enough to be looked at",
        )
        .unwrap();
        assert_eq!(database(&config).await.state, State::Failed);
    }
}
