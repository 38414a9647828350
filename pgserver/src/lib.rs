//! A PostgreSQL server of one's own, from Debian's binaries, for tests and benches: in a folder that is thrown away, on a socket
//! in that folder and a loopback port, and gone with the process that started it, however that ends (`keeper.sh`).
//!
//! It runs with the settings it ships with: what is committed is synced to the disk, as in production.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const KEEPER: &str = include_str!("keeper.sh");
/// Where Debian keeps the servers, one folder for each version.
const BINARIES: &str = "/usr/lib/postgresql";

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "PostgreSQL's server is not installed. FIX: apt-get install postgresql (`make test` does, without starting a service)"
    )]
    NotInstalled,
    #[error("no PostgreSQL server of our own: {0}")]
    NotStarted(String),
    #[error("{text}: {said}")]
    Sql { text: String, said: String },
}

pub struct Server {
    binaries: PathBuf,
    port: u16,
    /// With the socket in it.
    folder: PathBuf,
    keeper: Mutex<Keeper>,
}

struct Keeper {
    child: Child,
    /// Taken at the end: its end is the server's.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Makes a cluster (about a second) and starts its server.
    pub fn start() -> Result<Server, ServerError> {
        let binaries = binaries().ok_or(ServerError::NotInstalled)?;
        // It cannot say which port the system gave it, so it is told one; another program may be faster.
        let mut failed = String::new();
        for _ in 0..3 {
            let port = free_port().map_err(|error| ServerError::NotStarted(error.to_string()))?;
            let mut keeper = Keeper::start(&binaries, port)?;
            match keeper.answer() {
                Ok(folder) => {
                    return Ok(Server {
                        binaries,
                        port,
                        folder: folder.into(),
                        keeper: Mutex::new(keeper),
                    });
                }
                Err(ServerError::NotStarted(said)) => failed = said,
                Err(other) => return Err(other),
            }
        }
        Err(ServerError::NotStarted(failed))
    }

    /// Where a database of it is, for its superuser, without a password.
    pub fn address(&self, database: &str) -> String {
        let socket = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://huying@{socket}:{}/{database}", self.port)
    }

    /// The same over TCP, for a user with a password (`CREATE ROLE … LOGIN PASSWORD …`).
    pub fn loopback(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Runs one statement by `psql`, as superuser; what it returns, a row to a line.
    pub fn sql(&self, database: &str, text: &str) -> Result<String, ServerError> {
        let failed = |said: String| ServerError::Sql {
            text: text.to_owned(),
            said,
        };
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "huying",
        ])
        .arg("-h")
        .arg(&self.folder)
        .args(["-p", &self.port.to_string(), "-d", database, "-c", text])
        .stdin(Stdio::null());
        let output = psql.output().map_err(|error| failed(error.to_string()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )),
        }
    }

    /// Stops all its processes where they stand; connections stay open and unanswered.
    pub fn freeze(&self) -> Result<(), ServerError> {
        self.order("freeze").map(drop)
    }

    pub fn thaw(&self) -> Result<(), ServerError> {
        self.order("thaw").map(drop)
    }

    /// Kills it without a word (SIGKILL, all of it); what it had synced is on the disk.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.order("kill").map(drop)
    }

    /// Starts it again after `kill`, on what is on the disk.
    pub fn revive(&self) -> Result<(), ServerError> {
        self.order("up").map(drop)
    }

    fn order(&self, word: &str) -> Result<String, ServerError> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let told = keeper
            .orders
            .as_mut()
            .map(|orders| writeln!(orders, "{word}"));
        match told {
            Some(Ok(())) => keeper.answer(),
            _ => Err(ServerError::NotStarted("its keeper is gone".into())),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        keeper.orders = None;
        keeper.child.wait().ok();
    }
}

impl Keeper {
    fn start(binaries: &Path, port: u16) -> Result<Keeper, ServerError> {
        let mut command = as_anybody();
        command
            .args(["sh", "-c", KEEPER, "keeper.sh"])
            .arg(binaries)
            .arg(port.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| ServerError::NotStarted(error.to_string()))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ServerError::NotStarted("its keeper has no pipes".into()));
        };
        Ok(Keeper {
            child,
            orders: Some(orders),
            answers: BufReader::new(answers),
        })
    }

    /// What stands behind the first word of its next line.
    fn answer(&mut self) -> Result<String, ServerError> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok();
        let (word, rest) = line
            .trim_end()
            .split_once(' ')
            .unwrap_or((line.trim_end(), ""));
        match word {
            "up" | "frozen" | "thawed" | "killed" => Ok(rest.to_owned()),
            _ => Err(ServerError::NotStarted(rest.to_owned())),
        }
    }
}

/// The server refuses to run as root: then it runs as the user the package made.
fn as_anybody() -> Command {
    let root = Command::new("id").arg("-u").output();
    if root.is_ok_and(|output| output.stdout == b"0\n") {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command
    } else {
        Command::new("env")
    }
}

/// Of the newest version that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir(BINARIES).ok()?;
    let found = versions.filter_map(|version| {
        let path = version.ok()?.path();
        let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let binaries = path.join("bin");
        binaries
            .join("postgres")
            .exists()
            .then_some((number, binaries))
    });
    found.max().map(|(_, binaries)| binaries)
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
