//! A multipart form with one file in it: in memory (`Upload`), or in a folder of its own (`Spooled`).

use crate::AdminState;
use crate::problem::{Checks, Code, Problem};
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

/// Beside the file: `resources::prompts::PromptForm`.
const PROMPT: &[&str] = &["name", "key"];
/// Beside the file: `resources::imports::ImportForm`.
const IMPORT: &[&str] = &[
    "batch",
    "campaign_id",
    "duplicates",
    "dry_run",
    "mapping",
    "sheet",
    "header_row",
    "encoding",
];
const FIELD_BYTES: usize = 4096;
/// Wrong fields that one refusal names.
const TOLD: usize = 20;

impl Upload {
    /// A field that may be absent or empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }
}

impl FromRequest<AdminState> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AdminState) -> Result<Self, Problem> {
        let mut form = Multipart::from_request(request, state)
            .await
            .map_err(|_| no_form())?;
        let limit = state.config.upload_limit;
        let broken = |error| broken(&error, limit);
        let (mut file, mut file_name) = (None, None);
        let mut fields = Fields::new(PROMPT, limit);
        while let Some(part) = form.next_field().await.map_err(broken)? {
            let Some(part) = fields.keep(part).await? else {
                continue;
            };
            file_name = part.file_name().map(str::to_owned);
            file = Some(part.bytes().await.map_err(broken)?);
        }
        let fields = fields.done()?;
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
        let limit = state.config.import_limit;
        let broken = |error| broken(&error, limit);
        let (mut file_name, mut found) = (None, false);
        let mut fields = Fields::new(IMPORT, limit);
        while let Some(part) = form.next_field().await.map_err(broken)? {
            let Some(mut part) = fields.keep(part).await? else {
                continue;
            };
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
        let fields = fields.done()?;
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

/// The fields of a form, each known and there once. The form is read to its end before it is refused: a sender that still
/// sends may not hear an earlier answer.
struct Fields {
    known: &'static [&'static str],
    /// Of the file, bytes.
    limit: usize,
    file: bool,
    texts: HashMap<String, String>,
    wrong: Vec<(String, &'static str, String)>,
}

impl Fields {
    fn new(known: &'static [&'static str], limit: usize) -> Fields {
        Fields {
            known,
            limit,
            file: false,
            texts: HashMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Keeps a text; gives the file back.
    async fn keep<'f>(&mut self, mut part: Field<'f>) -> Result<Option<Field<'f>>, Problem> {
        let name = part.name().unwrap_or_default().to_owned();
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let is_file = name == "file";
        if !is_file && !self.known.contains(&name.as_str()) {
            let known = format!("one of file, {}", self.known.join(", "));
            self.wrong(pointer, "unknown_field", known);
            return Ok(None);
        }
        if (is_file && self.file) || self.texts.contains_key(&name) {
            self.wrong(pointer, "repeated_field", "is given twice".to_owned());
            return Ok(None);
        }
        if is_file {
            self.file = true;
            return Ok(Some(part));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = part
            .chunk()
            .await
            .map_err(|error| broken(&error, self.limit))?
        {
            bytes.extend(chunk);
            if bytes.len() > FIELD_BYTES {
                return Err(Problem::new(Code::TooLarge)
                    .detail("a form field is too large")
                    .field(&pointer, "too_long", format!("at most {FIELD_BYTES} bytes")));
            }
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                self.wrong(pointer, "invalid", "is not UTF-8".to_owned());
                String::new()
            }
        };
        self.texts.insert(name, text);
        Ok(None)
    }

    fn wrong(&mut self, pointer: String, code: &'static str, detail: String) {
        if self.wrong.len() < TOLD {
            self.wrong.push((pointer, code, detail));
        }
    }

    fn done(self) -> Result<HashMap<String, String>, Problem> {
        let mut checks = Checks::new();
        for (pointer, code, detail) in self.wrong {
            checks.fail(&pointer, code, detail);
        }
        checks.done()?;
        Ok(self.texts)
    }
}

fn no_form() -> Problem {
    Problem::new(Code::UnsupportedMediaType)
        .fix("send a multipart/form-data body with the file in the field `file`")
}

fn no_file() -> Problem {
    Problem::invalid("/file", "required", "the form has no field `file`")
}

fn broken(error: &MultipartError, limit: usize) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let limit = size(limit);
            Problem::new(Code::TooLarge)
                .detail(format!("the file is larger than {limit}"))
                .field("/file", "too_large", format!("at most {limit}"))
        }
        _ => Problem::new(Code::MalformedRequest).detail("the form did not arrive whole"),
    }
}

fn size(bytes: usize) -> String {
    const MB: usize = 1024 * 1024;
    if bytes >= MB {
        format!("{} MB", bytes / MB)
    } else {
        format!("{bytes} bytes")
    }
}
