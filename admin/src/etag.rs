//! Versions of what may be changed: `ETag` out, `If-Match` and `If-None-Match` in (RFC 9110 §8.8.3, §13).
//!
//! A tag is `"7"`, or `"7.1f0c…"` where the answer shows more than what people change (registrations, where a lead stands):
//! the part before the dot is the version a change is made from, the rest tells answers apart.

use crate::problem::{Answer, Code, Problem};
use axum::Json;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

/// The version a change says it is made from, where it says so.
pub struct IfMatch(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(IfMatch(None));
        };
        let text = value.to_str().map_err(|_| stale())?.trim();
        Ok(IfMatch((text != "*").then(|| text.to_owned())))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = json!({
            "name": "If-Match", "in": "header", "required": false, "schema": { "type": "string" },
            "description": "The ETag the change is made from: 412 when it is another by now.",
        });
        serde_json::from_value(parameter).into_iter().collect()
    }
}

impl IfMatch {
    /// Of a change that names no version.
    pub fn none() -> IfMatch {
        IfMatch(None)
    }
    /// 412 unless the version is (one of) those named. What it returns the store compares once more, in the transaction.
    pub fn check(&self, version: u64) -> Answer<Option<u64>> {
        let Some(text) = &self.0 else {
            return Ok(None);
        };
        let named = text.split(',').any(|tag| {
            let tag = tag
                .trim()
                .strip_prefix('"')
                .and_then(|tag| tag.strip_suffix('"'));
            tag.and_then(|tag| tag.split('.').next())
                .is_some_and(|tag| tag == version.to_string())
        });
        if named {
            Ok(Some(version))
        } else {
            Err(stale())
        }
    }

    /// What a lost race is called: whoever named a version hears that it is gone.
    pub fn lost(&self, error: store::StoreError) -> Problem {
        match error {
            store::StoreError::Stale if self.0.is_some() => stale(),
            error => error.into(),
        }
    }
}

fn stale() -> Problem {
    Problem::new(Code::PreconditionFailed).fix("read it again and repeat the change")
}

/// An answer that shows nothing but what its version stands for.
pub fn tagged<T: Serialize>(body: T, version: u64) -> Response {
    with(Json(body).into_response(), &format!("\"{version}\""))
}

/// An answer that shows more.
pub fn tagged_live<T: Serialize>(body: T, version: u64) -> Response {
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    let print = hex::encode(&Sha256::digest(&bytes)[..8]);
    with(
        Json(body).into_response(),
        &format!("\"{version}.{print}\""),
    )
}

fn with(mut response: Response, tag: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// Layer: a reader that has this very answer gets 304 instead of it.
pub async fn unchanged(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let (true, Some(known), StatusCode::OK) = (reads, known, response.status()) else {
        return response;
    };
    let Some(tag) = response.headers().get(header::ETAG) else {
        return response;
    };
    if !names(&known, tag) {
        return response;
    }
    let mut headers = HeaderMap::new();
    for name in [header::ETAG, header::CACHE_CONTROL] {
        if let Some(value) = response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

/// Weak comparison, RFC 9110 §13.1.2.
fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else {
        return false;
    };
    known.trim() == "*"
        || known
            .split(',')
            .any(|known| known.trim().trim_start_matches("W/") == tag)
}
