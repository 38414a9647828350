//! A multipart form with one file in it.

use crate::problem::{Code, Problem};
use axum::body::Bytes;
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use std::collections::HashMap;

pub struct Upload {
    pub file: Bytes,
    /// What the sender calls it: a hint, never a path.
    pub file_name: Option<String>,
    fields: HashMap<String, String>,
}

const FIELDS: usize = 20;
const FIELD_BYTES: usize = 4096;

impl Upload {
    /// A field that may be absent or empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut form = Multipart::from_request(request, state).await.map_err(|_| {
            Problem::new(Code::UnsupportedMediaType)
                .fix("send a multipart/form-data body with the file in the field `file`")
        })?;
        let (mut file, mut file_name, mut fields) = (None, None, HashMap::new());
        while let Some(part) = form.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            if name == "file" {
                file_name = part.file_name().map(str::to_owned);
                file = Some(part.bytes().await.map_err(broken)?);
                continue;
            }
            let bytes = part.bytes().await.map_err(broken)?;
            if fields.len() >= FIELDS || bytes.len() > FIELD_BYTES {
                return Err(Problem::new(Code::TooLarge).detail("a form field is too large"));
            }
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| Problem::invalid(&format!("/{name}"), "invalid", "is not UTF-8"))?;
            fields.insert(name, text);
        }
        let file = file
            .ok_or_else(|| Problem::invalid("/file", "required", "the form has no field `file`"))?;
        Ok(Upload {
            file,
            file_name,
            fields,
        })
    }
}

fn broken(error: MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge),
        _ => Problem::new(Code::MalformedRequest).detail("the form did not arrive whole"),
    }
}
