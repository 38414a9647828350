//! Reads a stranger's file in a process of its own: this program again, started by a hidden verb, with little memory and
//! time and nothing of ours in its environment.
//!
//! Why a process: calamine reserves what a workbook *declares* (`uniqueCount` of the shared strings, the dimensions of a
//! BIFF sheet, the corner cells of its range), so a file of one kilobyte asks for gigabytes, and an allocation that fails
//! aborts the process it fails in. Measuring beforehand cannot cover every such field; a limit on the process does.

#[cfg(fuzzing)]
use super::archive::Archive;
use super::kind::{Kind, recognise};
use super::spool::{ASKED, MOST, Spool, UPLOAD, VERDICT};
use super::table::Table;
use super::{Asked, Found, SheetError, text, xls, xlsx};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// The verb, and how the folder is told. (A test binary takes the verb for the name of its test of that name.)
const VERB: &str = "read_sheet";
const FOLDER: &str = "HUYING_READ_SHEET";

/// What reading may take beyond what the process has when it begins, bytes.
const MEMORY: u64 = 192 * 1024 * 1024;
/// Of processor time, seconds.
const SECONDS: u64 = 4;
/// Of anybody's time: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why nothing was read.
#[derive(Debug)]
pub enum ReadError {
    /// It was asked to stop.
    Stopped,
    /// The file's fault.
    Sheet(SheetError),
    /// Ours: the reader could not be started, or its files not be read.
    Io(std::io::Error),
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// Reads `folder/upload` into `folder/rows`.
pub async fn read(
    folder: &Path,
    asked: &Asked,
    stop: &CancellationToken,
) -> Result<Found, ReadError> {
    // The reader works in that folder, so a relative path would mean another.
    let folder = &std::path::absolute(folder)?;
    let asked = serde_json::to_vec(asked).map_err(std::io::Error::from)?;
    tokio::fs::write(folder.join(ASKED), asked).await?;
    let mut child = Command::new(program()?)
        .arg(VERB)
        .env_clear()
        .env(FOLDER, folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let ended = tokio::select! {
        ended = tokio::time::timeout(PATIENCE, child.wait()) => ended,
        () = stop.cancelled() => return Err(ReadError::Stopped),
    };
    let Ok(status) = ended else {
        return Err(ReadError::Sheet(SheetError::TooSlow));
    };
    match tokio::fs::read(folder.join(VERDICT)).await {
        Ok(verdict) => serde_json::from_slice::<Result<Found, SheetError>>(&verdict)
            .map_err(std::io::Error::from)?
            .map_err(ReadError::Sheet),
        Err(_) => Err(ReadError::Sheet(silent(status?))),
    }
}

/// This program, even when its file was replaced since it started.
fn program() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return Ok(own.to_owned());
    }
    std::env::current_exe()
}

/// What a reader that ended without a verdict died of.
fn silent(status: ExitStatus) -> SheetError {
    const ABORT: i32 = 6;
    const KILL: i32 = 9;
    const PROCESSOR_TIME: i32 = 24;
    const FILE_SIZE: i32 = 25;
    match status.signal() {
        // An allocation that fails aborts; so does a stack that ends.
        Some(ABORT) => SheetError::TooMuchMemory,
        Some(KILL | PROCESSOR_TIME) => SheetError::TooSlow,
        Some(FILE_SIZE) => SheetError::TooBig {
            limit: MOST / (1024 * 1024),
        },
        _ => SheetError::Damaged("it cannot be read to its end".to_owned()),
    }
}

/// The other side: when this process was started to read a sheet, does that and says `true`. Called before anything else.
pub fn read_sheet() -> bool {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return false;
    };
    let folder = Path::new(&folder);
    let verdict = match confine() {
        Ok(()) => read_here(folder),
        Err(error) => Err(SheetError::Damaged(error.to_string())),
    };
    if let Ok(bytes) = serde_json::to_vec(&verdict) {
        // Without it the parent goes by how we ended.
        std::fs::write(folder.join(VERDICT), bytes).ok();
    }
    true
}

fn confine() -> std::io::Result<()> {
    let limit = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, SECONDS)?;
    limit(Resource::Fsize, MOST + 16 * 1024 * 1024)?;
    if let Some(now) = address_space() {
        limit(Resource::As, now + MEMORY)?;
    }
    Ok(())
}

/// Of this process, bytes.
fn address_space() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn read_here(folder: &Path) -> Result<Found, SheetError> {
    let failed = |error: std::io::Error| SheetError::Damaged(error.to_string());
    let asked = std::fs::read(folder.join(ASKED)).map_err(failed)?;
    let asked: Asked = serde_json::from_slice(&asked).map_err(|error| failed(error.into()))?;
    let path = folder.join(UPLOAD);
    let kind = recognise(BufReader::new(File::open(&path).map_err(failed)?))?;
    let bytes = std::fs::read(&path).map_err(failed)?;
    let mut spool = Spool::create(folder).map_err(failed)?;
    let found = read_kind(kind, &bytes, &asked, &mut spool)?;
    spool.finish().map_err(failed)?;
    Ok(found)
}

fn read_kind(
    kind: Kind,
    bytes: &[u8],
    asked: &Asked,
    spool: &mut Spool<impl Write>,
) -> Result<Found, SheetError> {
    match kind {
        Kind::Xlsx => xlsx::read(bytes, asked, spool),
        Kind::Xls => xls::read(bytes, asked, spool),
        Kind::Text => {
            let mut table = Table::new(asked, spool);
            text::read(bytes, asked.encoding.as_deref(), &mut table)?;
            table.finish()
        }
    }
}

/// All of the reading that is ours, in this process, for fuzzing. What calamine does with a workbook is held by the limits
/// above: it is known to reserve what a file claims, and to walk in circles.
#[cfg(fuzzing)]
pub fn read_ours(bytes: &[u8]) {
    let asked = Asked {
        country: "86".to_owned(),
        most_rows: 10_000,
        keep_cells: true,
        ..Asked::default()
    };
    match recognise(std::io::Cursor::new(bytes)) {
        Ok(Kind::Text) => {
            if let Ok((found, rows)) = read_tame(bytes, &asked) {
                assert_eq!(found.rows, rows.len() as u64);
            }
        }
        Ok(Kind::Xlsx) => {
            let archive = Archive::open(std::io::Cursor::new(bytes));
            archive.and_then(Archive::measure).ok();
        }
        Ok(Kind::Xls) | Err(_) => {}
    }
}

/// Reads bytes in this process: files that are known to be tame, or text.
#[cfg(any(test, fuzzing))]
pub fn read_tame(
    bytes: &[u8],
    asked: &Asked,
) -> Result<(Found, Vec<store::imports::SheetRow>), SheetError> {
    let kind = recognise(std::io::Cursor::new(bytes))?;
    let mut spool = Spool::new(Vec::new());
    let found = read_kind(kind, bytes, asked, &mut spool)?;
    let lines = spool.finish().unwrap();
    let rows = lines
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap());
    Ok((found, rows.collect()))
}
