//! A backup as a folder or as one .zip: written once, read and verified any number of times.

use super::manifest::{Entry, Manifest, NAME};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Whether this names a .zip.
pub fn is_zip(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// Being written, beside its place; `finish` puts it there.
pub struct Packing {
    to: PathBuf,
    partial: PathBuf,
    /// Of the partial one: nobody else writes it.
    _lock: Lock,
    sink: Sink,
    files: Vec<Entry>,
}

/// Let go when dropped, whoever else has the file open: a program that is just being started has.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

enum Sink {
    Folder,
    Zip(Box<ZipWriter<BufWriter<File>>>),
}

impl Packing {
    pub fn begin(to: &Path) -> Result<Packing> {
        ensure!(
            !to.exists() || (!is_zip(to) && is_empty(to)?),
            "{} is there already. FIX: name another, or remove it",
            to.display()
        );
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let lock = match is_zip(to) {
            true => open(&partial)?,
            false => {
                fs::create_dir_all(&partial)
                    .with_context(|| format!("cannot create {}", partial.display()))?;
                File::open(&partial)?
            }
        };
        lock.try_lock().ok().with_context(|| {
            let to = to.display();
            format!("another backup is being written to {to}. FIX: wait for it, or name another")
        })?;
        // What one that was killed has left.
        let sink = if is_zip(to) {
            lock.set_len(0)?;
            Sink::Zip(Box::new(ZipWriter::new(BufWriter::new(lock.try_clone()?))))
        } else {
            for entry in fs::read_dir(&partial)? {
                let path = entry?.path();
                match path.is_dir() {
                    true => fs::remove_dir_all(path)?,
                    false => fs::remove_file(path)?,
                }
            }
            Sink::Folder
        };
        let files = Vec::new();
        Ok(Packing {
            to: to.to_owned(),
            partial,
            _lock: Lock(lock),
            sink,
            files,
        })
    }

    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Copies a file in. One that is gone meanwhile is left out.
    pub fn add(&mut self, name: &str, from: &Path) -> Result<()> {
        let mut source = match File::open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| from.display().to_string()),
        };
        let copied = match &mut self.sink {
            Sink::Folder => {
                let mut file = create(&self.partial.join(name))?;
                let copied = copy(&mut source, &mut file);
                file.sync_all()?;
                copied
            }
            Sink::Zip(zip) => {
                // Audio hardly gets smaller, and takes longest.
                let method = match name.ends_with(".wav") {
                    true => CompressionMethod::Stored,
                    false => CompressionMethod::Deflated,
                };
                let options = SimpleFileOptions::default().compression_method(method);
                zip.start_file(name, options.large_file(true).unix_permissions(0o600))?;
                copy(&mut source, zip)
            }
        };
        let (bytes, sha256) = copied.with_context(|| format!("copying {}", from.display()))?;
        self.files.push(Entry {
            path: name.to_owned(),
            bytes,
            sha256,
        });
        Ok(())
    }

    /// Every file below a folder, under `name`; a folder that is not there holds none.
    pub fn add_all(&mut self, name: &str, folder: &Path) -> Result<()> {
        for path in below(folder)? {
            let inside = path.strip_prefix(folder)?.to_str();
            let inside = inside.with_context(|| format!("{} is no text", path.display()))?;
            self.add(&format!("{name}/{inside}"), &path)?;
        }
        Ok(())
    }

    /// Writes the manifest, makes everything durable and puts it in its place.
    pub fn finish(mut self, describe: impl FnOnce(Vec<Entry>) -> Manifest) -> Result<Manifest> {
        let manifest = describe(std::mem::take(&mut self.files));
        let text = serde_json::to_vec_pretty(&manifest)?;
        match self.sink {
            Sink::Folder => {
                let mut file = create(&self.partial.join(NAME))?;
                file.write_all(&text)?;
                file.sync_all()?;
            }
            Sink::Zip(mut zip) => {
                zip.start_file(NAME, SimpleFileOptions::default().unix_permissions(0o600))?;
                zip.write_all(&text)?;
                zip.finish()?.into_inner()?.sync_all()?;
            }
        }
        fs::rename(&self.partial, &self.to)
            .with_context(|| format!("cannot put the backup at {}", self.to.display()))?;
        sync_folder(self.to.parent());
        Ok(manifest)
    }

    /// Removes what was begun.
    pub fn give_up(self) {
        match self.sink {
            Sink::Folder => fs::remove_dir_all(&self.partial).ok(),
            Sink::Zip(_) => fs::remove_file(&self.partial).ok(),
        };
    }
}

/// A backup that is there.
pub enum Packet {
    Folder(PathBuf),
    Zip(Box<ZipArchive<File>>),
}

impl Packet {
    pub fn open(from: &Path) -> Result<Packet> {
        ensure!(from.exists(), "there is no {}", from.display());
        if from.is_dir() {
            return Ok(Packet::Folder(from.to_owned()));
        }
        let archive = ZipArchive::new(File::open(from)?);
        Ok(Packet::Zip(Box::new(archive.with_context(|| {
            format!("{} is no backup: no .zip, or cut off", from.display())
        })?)))
    }

    pub fn manifest(&mut self) -> Result<Manifest> {
        let mut text = Vec::new();
        let whole = "it is no backup, or an unfinished one: it has no manifest";
        self.read(NAME, |source| {
            Ok(source.take(64 << 20).read_to_end(&mut text)?)
        })
        .context(whole)?;
        Manifest::read(&text).context("its manifest cannot be used")
    }

    /// Reads an entry whole and compares; writes it to `to` as well when one is named.
    pub fn verify(&mut self, entry: &Entry, to: Option<&Path>) -> Result<()> {
        let mut out: Box<dyn Write> = match to {
            Some(path) => Box::new(create(path)?),
            None => Box::new(std::io::sink()),
        };
        let (bytes, sha256) = self.read(&entry.path, |source| {
            // No further than it should be long: a bomb stops here.
            copy(&mut source.take(entry.bytes + 1), &mut out)
        })?;
        drop(out);
        if bytes != entry.bytes || sha256 != entry.sha256 {
            bail!(
                "{} is damaged: its content is not what was backed up",
                entry.path
            );
        }
        if let Some(path) = to {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }

    fn read<T>(&mut self, name: &str, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let missing = || format!("{name} is missing");
        match self {
            Packet::Folder(folder) => {
                let path = folder.join(name);
                ensure!(
                    fs::symlink_metadata(&path).is_ok_and(|file| file.is_file()),
                    missing()
                );
                read(&mut File::open(path)?)
            }
            Packet::Zip(archive) => read(&mut archive.by_name(name).with_context(missing)?),
        }
    }
}

/// How much, and its hash.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        hash.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
        bytes += length as u64;
    }
    Ok((bytes, hex::encode(hash.finalize())))
}

/// Readable by us alone: it holds what the database holds.
fn create(path: &Path) -> Result<File> {
    let file = open(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// For its owner alone; what is in it stays.
fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        };
        for entry in entries {
            let entry = entry?;
            // Links are not followed: they lead out of the data folder.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

pub fn is_empty(folder: &Path) -> Result<bool> {
    Ok(folder.is_dir() && fs::read_dir(folder)?.next().is_none())
}

/// Names in a folder are durable once the folder is.
pub fn sync_folder(folder: Option<&Path>) {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        folder.sync_all().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_written_by_one_at_a_time_and_starts_afresh() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["backup.zip", "backup"] {
            let to = folder.path().join(name);
            let left = folder.path().join("left");
            fs::write(&left, "of a backup that was killed").unwrap();
            let mut first = Packing::begin(&to).unwrap();
            first.add("left", &left).unwrap();
            let second = Packing::begin(&to).err().unwrap().to_string();
            assert!(second.contains("FIX"), "{second}");
            drop(first);
            let third = Packing::begin(&to).unwrap();
            third
                .finish(|files| {
                    assert!(files.is_empty());
                    Manifest {
                        format: 1,
                        version: String::new(),
                        taken_at: String::new(),
                        schema: 1,
                        realm: String::new(),
                        recordings: false,
                        rows: Default::default(),
                        files,
                    }
                })
                .unwrap();
            assert!(to.exists());
        }
    }
}
