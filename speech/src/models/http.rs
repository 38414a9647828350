//! A resumable download: what came before a break is kept in the `.part` file and asked for no more.

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, StatusCode};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Without the internet this many seconds are lost per source, no more.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{0}")]
    Transport(String),
    #[error("answered {0}")]
    Status(u16),
    #[error(transparent)]
    File(#[from] io::Error),
}

impl From<reqwest::Error> for HttpError {
    /// One line for people: the innermost cause says it best (`Connection refused`).
    fn from(error: reqwest::Error) -> HttpError {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let innermost = cause.to_string();
        HttpError::Transport(match () {
            () if error.is_timeout() && error.is_connect() => "no connection within 4 s".into(),
            () if error.is_timeout() => "no data for 20 s".into(),
            () => innermost,
        })
    }
}

/// Loads `url` into `part`, going on from its end. `progress` is told the bytes there and, when known, of how many.
pub async fn download(
    url: &str,
    part: &Path,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<(), HttpError> {
    // Several rustls providers in one program panic unless one is named; main has done so, tests have not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()?;
    let had = fs::metadata(part).map_or(0, |meta| meta.len());
    let mut request = client.get(url);
    if had > 0 {
        request = request.header(RANGE, format!("bytes={had}-"));
    }
    let mut response = request.send().await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // Longer than the original, or already whole: the hash of what begins anew will tell.
        fs::remove_file(part)?;
        response = client.get(url).send().await?;
    }
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
        && response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|range| range.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {had}-")));
    if !response.status().is_success() || (response.status().as_u16() == 206 && !goes_on) {
        return Err(HttpError::Status(response.status().as_u16()));
    }
    let mut done = if goes_on { had } else { 0 };
    let total = response.content_length().map(|rest| done + rest);
    let mut file: File = OpenOptions::new()
        .create(true)
        .write(true)
        .append(goes_on)
        .truncate(!goes_on)
        .open(part)?;
    progress(done, total);
    while let Some(chunk) = response.chunk().await? {
        file.write_all(&chunk)?;
        done += chunk.len() as u64;
        progress(done, total);
    }
    file.sync_all()?;
    Ok(())
}
