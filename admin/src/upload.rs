//! A multipart form with one file in it: in memory (`Upload`), or in a folder of its own (`Spooled`).

use crate::AdminState;
use crate::problem::{Code, Problem};
use crate::sheet::{self, UPLOAD};
use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use std::collections::HashMap;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

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
        let mut form = Multipart::from_request(request, state)
            .await
            .map_err(|_| no_form())?;
        let (mut file, mut file_name, mut fields) = (None, None, HashMap::new());
        while let Some(part) = form.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            if name == "file" {
                file_name = part.file_name().map(str::to_owned);
                file = Some(part.bytes().await.map_err(broken)?);
                continue;
            }
            keep_field(&mut fields, name, part).await?;
        }
        let file = file.ok_or_else(no_file)?;
        Ok(Upload {
            file,
            file_name,
            fields,
        })
    }
}

/// The file as `folder/upload`; the folder goes when this does.
pub struct Spooled {
    pub folder: TempDir,
    file_name: Option<String>,
    fields: HashMap<String, String>,
}

impl Spooled {
    /// A field that may be absent or empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// What the sender calls the file, to show.
    pub fn shown_name(&self) -> String {
        let name = self.file_name.as_deref().unwrap_or_default();
        let shown = name.chars().filter(|c| !c.is_control()).take(200);
        shown.collect()
    }

    /// Refuses at once what is no sheet of any kind.
    pub async fn recognise(&self) -> Result<(), Problem> {
        let path = self.folder.path().join(UPLOAD);
        let told = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(path).map_err(Problem::internal)?;
            sheet::recognise(std::io::BufReader::new(file)).map_err(|error| {
                Problem::new(Code::UnreadableSheet)
                    .detail(error.to_string())
                    .fix(error.fix())
            })
        });
        // A reader that panics has met a damaged file.
        let damaged = |_| Problem::new(Code::UnreadableSheet).detail("the file is damaged");
        told.await.map_err(damaged)?.map(drop)
    }
}

impl FromRequest<AdminState> for Spooled {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AdminState) -> Result<Self, Problem> {
        let mut form = Multipart::from_request(request, state)
            .await
            .map_err(|_| no_form())?;
        let imports = &state.config.imports;
        tokio::fs::create_dir_all(imports)
            .await
            .map_err(Problem::internal)?;
        let folder = TempDir::new_in(imports).map_err(Problem::internal)?;
        let (mut file_name, mut found, mut fields) = (None, false, HashMap::new());
        while let Some(mut part) = form.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            if name != "file" {
                keep_field(&mut fields, name, part).await?;
                continue;
            }
            file_name = part.file_name().map(str::to_owned);
            found = true;
            let path = folder.path().join(UPLOAD);
            let mut file = tokio::fs::File::create(path)
                .await
                .map_err(Problem::internal)?;
            while let Some(chunk) = part.chunk().await.map_err(broken)? {
                file.write_all(&chunk).await.map_err(Problem::internal)?;
            }
            file.flush().await.map_err(Problem::internal)?;
        }
        if !found {
            return Err(no_file());
        }
        Ok(Spooled {
            folder,
            file_name,
            fields,
        })
    }
}

async fn keep_field(
    fields: &mut HashMap<String, String>,
    name: String,
    part: Field<'_>,
) -> Result<(), Problem> {
    let bytes = part.bytes().await.map_err(broken)?;
    if fields.len() >= FIELDS || bytes.len() > FIELD_BYTES {
        return Err(Problem::new(Code::TooLarge).detail("a form field is too large"));
    }
    let text = String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::invalid(&format!("/{name}"), "invalid", "is not UTF-8"))?;
    fields.insert(name, text);
    Ok(())
}

fn no_form() -> Problem {
    Problem::new(Code::UnsupportedMediaType)
        .fix("send a multipart/form-data body with the file in the field `file`")
}

fn no_file() -> Problem {
    Problem::invalid("/file", "required", "the form has no field `file`")
}

fn broken(error: MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TooLarge),
        _ => Problem::new(Code::MalformedRequest).detail("the form did not arrive whole"),
    }
}
