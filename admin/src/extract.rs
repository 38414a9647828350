//! Body, path and query as values; whatever cannot be read becomes a problem that names the place.

use crate::problem::{Code, Problem};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|text| {
                text.split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_ascii_lowercase()
            });
        let json = kind.as_deref().is_some_and(|kind| {
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        });
        if !json {
            return Err(Problem::new(Code::UnsupportedMediaType)
                .fix("send the body with Content-Type: application/json"));
        }
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|e| match e {
                BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                    Problem::new(Code::TooLarge)
                }
                _ => Problem::new(Code::MalformedRequest).detail("the body did not arrive whole"),
            })?;
        from_json(&bytes).map(Body)
    }
}

/// Syntax errors are 400, a wrong shape is 422 with the pointer to it.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().clone();
        let inner = error.into_inner();
        if inner.is_data() {
            shape(&path, &inner.to_string())
        } else {
            Problem::new(Code::MalformedJson).detail(inner.to_string())
        }
    })?;
    reader
        .end()
        .map_err(|error| Problem::new(Code::MalformedJson).detail(error.to_string()))?;
    Ok(value)
}

fn shape(path: &serde_path_to_error::Path, text: &str) -> Problem {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    // serde's texts are fixed: `unknown field `x`, expected …`, `missing field `x``.
    let named = text.split('`').nth(1);
    let (code, pointer) = match named {
        Some(_) if text.starts_with("unknown field") => ("unknown_field", pointer),
        Some(name) if text.starts_with("missing field") => {
            ("required", format!("{pointer}/{name}"))
        }
        _ if text.starts_with("unknown variant") => ("unknown_value", pointer),
        _ => ("invalid", pointer),
    };
    let detail = text.split(" at line ").next().unwrap_or(text).to_owned();
    Problem::new(Code::Invalid).field(&pointer, code, detail)
}

/// Path parameters, usually one typed id.
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(At(value)),
            Err(_) => Err(Problem::new(Code::InvalidPath)),
        }
    }
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Query(value)),
            Err(rejection) => {
                use std::error::Error;
                let text = rejection
                    .source()
                    .map_or_else(|| rejection.to_string(), |e| e.to_string());
                Err(Problem::new(Code::InvalidQuery).detail(text))
            }
        }
    }
}
