//! The folder of segments: files of a fixed size whose room is taken beforehand, so that a full disk is met when a segment
//! is prepared and not when a call ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the keeper needs of a disk. Tests put one in that fills up or fails.
pub(super) trait Disk: Send {
    /// A new segment with room for so many bytes.
    fn create(&self, number: u64, size: u64) -> io::Result<Box<dyn Segment>>;
    fn remove(&self, number: u64) -> io::Result<()>;
    /// A record with its head, as it was written.
    fn read(&self, place: &Place) -> io::Result<Vec<u8>>;
}

pub(super) trait Segment: Send {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// What was written outlives the machine.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
pub(super) struct Folder(pub PathBuf);

impl Disk for Folder {
    fn create(&self, number: u64, size: u64) -> io::Result<Box<dyn Segment>> {
        let path = path(&self.0, number);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let ready = reserve(&file, size)
            .and_then(|()| file.sync_all())
            // Its name, too.
            .and_then(|()| File::open(&self.0)?.sync_all());
        if let Err(error) = ready {
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        match std::fs::remove_file(path(&self.0, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&self, place: &Place) -> io::Result<Vec<u8>> {
        place.read(&self.0)
    }
}

impl Segment for File {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        // A file system that cannot reserve: zeros take the room.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = [0; 1 << 16];
            let mut at = 0;
            while at < size {
                let part = (size - at).min(zeros.len() as u64);
                file.write_all_at(&zeros[..part as usize], at)?;
                at += part;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.journal"))
}

/// The numbers of the segments in a folder, oldest first.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".journal"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A whole segment; nothing when it was removed in the meantime.
pub(super) fn read(folder: &Path, number: u64) -> io::Result<Vec<u8>> {
    match std::fs::read(path(folder, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub segment: u64,
    pub at: u64,
    pub length: u32,
}

impl Place {
    /// The record with its head, as it was written.
    pub fn read(&self, folder: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path(folder, self.segment))?;
        let mut bytes = vec![0; self.length as usize];
        file.read_exact_at(&mut bytes, self.at)?;
        Ok(bytes)
    }
}
