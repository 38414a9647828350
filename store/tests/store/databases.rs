//! Every story is told on both databases: each has a database of its own, on PostgreSQL out of one server for all of this
//! program, made from a template that is migrated once.

use crate::house::House;
use pgserver::Server;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use store::Store;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// `on_both!(story)` makes the tests `story::sqlite` and `story::postgres` out of `async fn story(house: House)`; with
/// `threads = n` what it spawns runs on as many threads.
macro_rules! on_both {
    ($story:ident) => {
        on_both!($story, threads = 0);
    };
    ($story:ident, threads = $threads:literal) => {
        mod $story {
            use crate::databases::{Database, tell};

            #[test]
            fn sqlite() {
                tell(Database::Sqlite, $threads, super::$story);
            }
            #[test]
            fn postgres() {
                tell(Database::Postgres, $threads, super::$story);
            }
        }
    };
}
pub(crate) use on_both;

pub fn tell<F: Future<Output = ()>>(
    database: Database,
    threads: usize,
    story: impl FnOnce(House) -> F,
) {
    let place = Place::fresh(database);
    runtime(threads).block_on(async {
        story(House::at(place).await).await;
    });
}

pub fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let builder = builder.worker_threads(threads.max(1)).enable_all();
    builder.build().unwrap()
}

/// A database nobody else uses.
pub struct Place {
    pub database: Database,
    pub address: String,
    /// Of this story; on SQLite the database is in it.
    folder: TempDir,
}

impl Place {
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The same database by another way.
    pub fn by(self, address: String) -> Place {
        Place { address, ..self }
    }

    pub fn fresh(database: Database) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let address = match database {
            Database::Sqlite => format!("sqlite:{}", folder.path().join("huying.db").display()),
            Database::Postgres => from_template(server()),
        };
        Place {
            database,
            address,
            folder,
        }
    }
}

/// A database of a server that a story has to itself. Migrated when it is opened.
pub fn database_on(server: &Server) -> Place {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("own_{}", MADE.fetch_add(1, Ordering::Relaxed));
    server
        .sql("postgres", &format!("CREATE DATABASE {name}"))
        .unwrap();
    Place {
        database: Database::Postgres,
        address: server.address(&name),
        folder: tempfile::tempdir().unwrap(),
    }
}

/// Of all stories of this program. It ends with the program, by whatever end that comes to.
pub fn server() -> &'static Server {
    static SERVER: LazyLock<Result<Server, String>> =
        LazyLock::new(|| with_template().map_err(|error| error.to_string()));
    SERVER.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

fn with_template() -> Result<Server, Box<dyn std::error::Error>> {
    let server = Server::start()?;
    server.sql("postgres", "CREATE DATABASE template")?;
    let address = server.address("template");
    // On a thread of its own: the first who asks may be in a runtime.
    let migrate = move || {
        runtime(0).block_on(async {
            let (store, _) = Store::open(&address).await?;
            store.close().await;
            Ok::<_, store::StoreError>(())
        })
    };
    std::thread::spawn(migrate)
        .join()
        .map_err(|_| "the template cannot be migrated")??;
    Ok(server)
}

fn from_template(server: &Server) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("story_{}", MADE.fetch_add(1, Ordering::Relaxed));
    let text = format!("CREATE DATABASE {name} TEMPLATE template");
    server.sql("postgres", &text).unwrap();
    server.address(&name)
}
