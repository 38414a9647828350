//! Recorded prompts. Whatever is uploaded is decoded once and kept as our own 8 kHz WAV under a name of ours, so that a
//! broken file is refused here and never met by a call.

use super::templates::{load, save};
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::IfMatch;
use crate::extract::At;
use crate::page::Page;
use crate::problem::{Answer, Checks, Code, Problem};
use crate::ranges;
use crate::upload::Upload;
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::{PromptId, TemplateId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::Cursor;
use std::path::Path;
use store::prompts::Prompt;
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Prompt)]
pub struct PromptView {
    id: Uuid,
    name: String,
    duration_ms: u32,
    /// The texts spoken with it: node keys, `<key>.reask`, `question.<id>`, `silence`, `unmatched`, `fallback`, `cut`.
    used_by: Vec<String>,
    created_at: Moment,
}

/// The form of an upload, for the document.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct PromptForm {
    /// wav, mp3, ogg or flac.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// For people; the file's name when absent.
    name: Option<String>,
    /// The text it is the audio of: a node's key, `question.<id>`, `silence` …
    key: Option<String>,
}

fn view(prompt: Prompt, template: &bots::Template) -> PromptView {
    let used_by = template
        .spoken()
        .into_iter()
        .filter(|spoken| spoken.prompt == Some(prompt.id))
        .map(|spoken| spoken.key)
        .collect();
    PromptView {
        id: prompt.id.0,
        name: prompt.name,
        duration_ms: prompt.duration_ms,
        used_by,
        created_at: prompt.created_at.into(),
    }
}

/// List a template's prompts
#[utoipa::path(get, path = "/templates/{id}/prompts", tag = "templates", security(("bearer" = ["templates:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = Page<PromptView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Json<Page<PromptView>>> {
    let (_, template) = load(&state, &caller, id).await?;
    let prompts = state.store.prompts(&caller.scope, id).await?;
    Ok(Json(Page::whole(
        prompts
            .into_iter()
            .map(|prompt| view(prompt, &template))
            .collect(),
    )))
}

/// Upload a prompt
///
/// With `key`, it becomes the audio of that text at once.
#[utoipa::path(post, path = "/templates/{id}/prompts", tag = "templates",
    security(("bearer" = ["templates:write"])), params(("id" = Uuid, Path)),
    request_body(content = PromptForm, content_type = "multipart/form-data"),
    responses((status = 201, body = PromptView)))]
pub async fn upload(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    form: Upload,
) -> Answer<(StatusCode, Json<PromptView>)> {
    let (_, mut template) = load(&state, &caller, id).await?;
    // `greeting.wav` is the audio of `greeting`, unless the form says otherwise.
    let stem = form
        .file_name
        .as_deref()
        .and_then(|name| name.rsplit_once('.'));
    let of_file = stem
        .map(|(stem, _)| stem.to_owned())
        .filter(|stem| template.spoken().iter().any(|spoken| spoken.key == *stem));
    let key = form.field("key").map(str::to_owned).or(of_file);
    if let Some(key) = &key
        && !template.spoken().iter().any(|spoken| spoken.key == *key)
    {
        return Err(Problem::invalid(
            "/key",
            "unknown_value",
            "the template has no such text",
        ));
    }
    let name = form
        .field("name")
        .or(form.file_name.as_deref())
        .unwrap_or("prompt")
        .to_owned();
    let mut checks = Checks::new();
    checks.text(&name, "/name", 200);
    checks.done()?;
    let (bytes, hint) = (form.file, form.file_name);
    let (wav, duration_ms) = tokio::task::spawn_blocking(move || ours(&bytes, hint.as_deref()))
        .await
        // A decoder that panics has met a broken file.
        .map_err(|_| Problem::new(Code::UnreadableAudio))??;
    let prompt_id: PromptId = store::fresh();
    let prompt = Prompt {
        id: prompt_id,
        template: id,
        name,
        file: format!("{}/{prompt_id}.wav", caller.tenant()),
        sha256: Sha256::digest(&wav).into(),
        duration_ms,
        created_at: state.now(),
    };
    keep(&state.config.prompts, &prompt.file, &wav)
        .await
        .map_err(Problem::internal)?;
    if let Err(error) = state.store.add_prompt(&caller.scope, &prompt).await {
        // Nobody knows the file: it goes again.
        tokio::fs::remove_file(state.config.prompts.join(&prompt.file))
            .await
            .ok();
        return Err(error.into());
    }
    if let Some(key) = key {
        template = assign(&state, &caller, id, &key, prompt_id).await?;
    }
    Ok((StatusCode::CREATED, Json(view(prompt, &template))))
}

/// Several prompts of a template are uploaded at once: whoever comes second reads it again.
async fn assign(
    state: &AdminState,
    caller: &Caller,
    id: TemplateId,
    key: &str,
    prompt: PromptId,
) -> Answer<bots::Template> {
    let mut tries = 0;
    loop {
        let (head, mut template) = load(state, caller, id).await?;
        template.set_prompt(key, Some(prompt));
        match save(state, caller, &IfMatch::none(), &head, &template).await {
            Err(problem) if problem.is(Code::Conflict) && tries < 20 => tries += 1,
            Err(problem) => return Err(problem),
            Ok(()) => return Ok(template),
        }
    }
}

/// Decodes a stranger's file into our own WAV and its length.
fn ours(bytes: &[u8], hint: Option<&str>) -> Answer<(Vec<u8>, u32)> {
    let pcm = media::prompt::decode(bytes, hint)
        .map_err(|error| Problem::new(Code::UnreadableAudio).detail(error.to_string()))?;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut out = Cursor::new(Vec::with_capacity(pcm.len() * 2 + 44));
    let mut writer = hound::WavWriter::new(&mut out, spec).map_err(Problem::internal)?;
    for sample in &pcm {
        writer.write_sample(*sample).map_err(Problem::internal)?;
    }
    writer.finalize().map_err(Problem::internal)?;
    Ok((
        out.into_inner(),
        u32::try_from(pcm.len() / 8).unwrap_or(u32::MAX),
    ))
}

/// Whole or not at all: written aside, synced, then renamed.
async fn keep(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let aside = path.with_extension("part");
    let mut file = tokio::fs::File::create(&aside).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&aside, &path).await
}

/// Download a prompt
#[utoipa::path(get, path = "/templates/{id}/prompts/{prompt}", tag = "templates",
    security(("bearer" = ["templates:read"])), params(("id" = Uuid, Path), ("prompt" = Uuid, Path)),
    responses((status = 200, content_type = "audio/wav"), (status = 206, content_type = "audio/wav")))]
pub async fn download(
    State(state): State<AdminState>,
    caller: Caller,
    At((id, prompt)): At<(TemplateId, PromptId)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let prompt = state.store.prompt(&caller.scope, id, prompt).await?;
    ranges::wav(
        &state.config.prompts,
        &prompt.file,
        &prompt.id.to_string(),
        &headers,
    )
    .await
}
