//! Our own files as downloads: whole or one byte range (RFC 9110 §14). The name always comes from a record of ours.

use crate::problem::{Answer, Code, Problem};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::path::{Component, Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// The file a record names below our folder. Anything that would lead out of it, symbolic links included, is not there.
async fn inside(folder: &Path, name: &str) -> Answer<PathBuf> {
    let relative = Path::new(name);
    let plain = !name.is_empty()
        && !name.contains('\\')
        && relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(Problem::not_found());
    }
    let root = tokio::fs::canonicalize(folder)
        .await
        .map_err(|_| Problem::not_found())?;
    let path = tokio::fs::canonicalize(root.join(relative))
        .await
        .map_err(|_| Problem::not_found())?;
    if path.starts_with(&root) {
        Ok(path)
    } else {
        Err(Problem::not_found())
    }
}

/// Sends a WAV file of ours, `shown_as` being the name the browser saves it under (ASCII, ours).
pub async fn wav(folder: &Path, name: &str, shown_as: &str, asked: &HeaderMap) -> Answer<Response> {
    let path = inside(folder, name).await?;
    let mut file = tokio::fs::File::open(path)
        .await
        .map_err(|_| Problem::not_found())?;
    let metadata = file.metadata().await.map_err(|_| Problem::not_found())?;
    if !metadata.is_file() {
        return Err(Problem::not_found());
    }
    let size = metadata.len();
    let etag = format!("\"{shown_as}-{size}\"");
    let fresh = asked
        .get(header::IF_RANGE)
        .is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let wanted = asked
        .get(header::RANGE)
        .filter(|_| fresh)
        .and_then(|v| v.to_str().ok());
    let (status, start, length) = match wanted.map_or(Asked::Whole, |text| asked_range(text, size))
    {
        Asked::Whole => (StatusCode::OK, 0, size),
        Asked::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end - start + 1),
        Asked::Outside => {
            let mut response = Problem::new(Code::RangeNotSatisfiable).into_response();
            set(
                response.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    if start > 0 {
        file.seek(std::io::SeekFrom::Start(start))
            .await
            .map_err(Problem::internal)?;
    }
    let mut response = Response::new(Body::from_stream(ReaderStream::new(file.take(length))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "audio/wav");
    set(headers, header::CONTENT_LENGTH, &length.to_string());
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::ETAG, &etag);
    set(headers, header::CACHE_CONTROL, "private, no-cache");
    set(
        headers,
        header::CONTENT_DISPOSITION,
        &format!("inline; filename=\"{shown_as}.wav\""),
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let last = start + length - 1;
        set(
            headers,
            header::CONTENT_RANGE,
            &format!("bytes {start}-{last}/{size}"),
        );
    }
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Outside,
}

/// RFC 9110 §14.2: a Range that is not understood (other unit, several ranges) is ignored, one beyond the end is 416.
fn asked_range(text: &str, size: u64) -> Asked {
    let Some(spec) = text
        .strip_prefix("bytes=")
        .filter(|spec| !spec.contains(','))
    else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Asked::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (first, last) {
        ("", suffix) if digits(suffix) => match suffix.parse::<u64>() {
            Ok(0) => Asked::Outside,
            _ if size == 0 => Asked::Outside,
            Ok(n) => Asked::Part(size.saturating_sub(n), size - 1),
            Err(_) => Asked::Part(0, size - 1),
        },
        (first, last) if digits(first) && (last.is_empty() || digits(last)) => {
            let Ok(first) = first.parse::<u64>() else {
                return Asked::Outside;
            };
            let last = if last.is_empty() {
                u64::MAX
            } else {
                last.parse().unwrap_or(u64::MAX)
            };
            if last < first {
                Asked::Whole
            } else if first >= size {
                Asked::Outside
            } else {
                Asked::Part(first, last.min(size - 1))
            }
        }
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_rfc_reads_them() {
        assert_eq!(asked_range("bytes=0-99", 1000), Asked::Part(0, 99));
        assert_eq!(asked_range("bytes=900-", 1000), Asked::Part(900, 999));
        assert_eq!(asked_range("bytes=-100", 1000), Asked::Part(900, 999));
        assert_eq!(asked_range("bytes=-5000", 1000), Asked::Part(0, 999));
        assert_eq!(asked_range("bytes=990-5000", 1000), Asked::Part(990, 999));
        assert_eq!(asked_range("bytes=1000-", 1000), Asked::Outside);
        assert_eq!(asked_range("bytes=-0", 1000), Asked::Outside);
        assert_eq!(asked_range("bytes=0-", 0), Asked::Outside);
        assert_eq!(asked_range("bytes=5-2", 1000), Asked::Whole);
        assert_eq!(asked_range("bytes=0-1,5-6", 1000), Asked::Whole);
        assert_eq!(asked_range("lines=1-2", 1000), Asked::Whole);
        assert_eq!(asked_range("bytes=+1-2", 1000), Asked::Whole);
        assert_eq!(
            asked_range("bytes=99999999999999999999-", 1000),
            Asked::Outside
        );
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_a_file_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("recordings");
        std::fs::create_dir_all(inner.join("a")).unwrap();
        std::fs::write(folder.path().join("secret.wav"), b"x").unwrap();
        std::fs::write(inner.join("a/one.wav"), b"x").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret.wav"), inner.join("link.wav"))
            .unwrap();
        assert!(inside(&inner, "a/one.wav").await.is_ok());
        let absolute = folder.path().join("secret.wav");
        for name in [
            "../secret.wav",
            "a/../../secret.wav",
            "link.wav",
            "",
            ".",
            "a\\one.wav",
            "gone.wav",
        ] {
            assert!(inside(&inner, name).await.is_err(), "{name}");
        }
        assert!(inside(&inner, absolute.to_str().unwrap()).await.is_err());
    }
}
