//! Templates of robot calls: the whole value, and what is wrong with it.

use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Problem};
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bots::{Finding, Severity, Template};
use model::TemplateId;
use serde::Serialize;
use store::Listing;
use store::templates::TemplateHead;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = TemplateHead)]
pub struct TemplateHeadView {
    pub id: Uuid,
    pub name: String,
    /// Rises with every change; a running campaign stays on the one it started with.
    pub version: u32,
    pub created_at: Moment,
    pub updated_at: Moment,
}

pub fn head_view(head: TemplateHead) -> TemplateHeadView {
    TemplateHeadView {
        id: head.id.0,
        name: head.name,
        version: head.version,
        created_at: head.created_at.into(),
        updated_at: head.updated_at.into(),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
pub struct TemplateView {
    #[serde(flatten)]
    pub head: TemplateHeadView,
    /// Whether a campaign may start with it.
    pub diallable: bool,
    pub findings: Vec<FindingView>,
    /// The flow, its questions, corrections and words.
    #[schema(value_type = Object)]
    pub template: Template,
}

/// One thing wrong, or odd.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// `error` (cannot be dialled with) or `warning`.
    #[schema(value_type = String, example = "error")]
    severity: Severity,
    /// The node's key, or `question.<id>`.
    node: Option<String>,
    #[schema(example = "no_terminating_node")]
    code: &'static str,
    #[schema(example = "此模板缺少结束流程")]
    message: String,
    fix: String,
}

fn finding_view(finding: Finding) -> FindingView {
    FindingView {
        severity: finding.severity,
        node: finding.node,
        code: finding.code.as_str(),
        message: finding.message,
        fix: finding.fix,
    }
}

#[derive(Serialize, ToSchema)]
pub struct Findings {
    diallable: bool,
    findings: Vec<FindingView>,
}

fn judged(template: &Template) -> Findings {
    let findings = template.check();
    let diallable = findings
        .iter()
        .all(|finding| finding.severity != Severity::Error);
    Findings {
        diallable,
        findings: findings.into_iter().map(finding_view).collect(),
    }
}

/// A stored template as the robot reads it.
pub async fn load(
    state: &AdminState,
    caller: &Caller,
    id: TemplateId,
) -> Answer<(TemplateHead, Template)> {
    let (head, body) = state.store.template(&caller.scope, id).await?;
    let template = serde_json::from_value(body).map_err(Problem::internal)?;
    Ok((head, template))
}

/// Keeps a changed template as its next version.
pub async fn save(
    state: &AdminState,
    caller: &Caller,
    known: &IfMatch,
    head: &TemplateHead,
    template: &Template,
) -> Answer<()> {
    check_limits(template)?;
    check_prompts(state, caller, Some(head.id), template).await?;
    let body = serde_json::to_value(template).map_err(Problem::internal)?;
    let name = template.name.trim();
    state
        .store
        .save_template(
            &caller.scope,
            head.id,
            head.version,
            name,
            &body,
            state.now(),
        )
        .await
        .map_err(|error| known.lost(error))?;
    Ok(())
}

/// What no template may exceed, whatever its findings say.
fn check_limits(template: &Template) -> Answer<()> {
    let mut checks = Checks::new();
    checks.text(&template.name, "/name", 100);
    checks.that(
        template.version <= bots::template::VERSION,
        "/version",
        "newer_version",
        "made by a newer release",
    );
    for (n, pointer, most) in [
        (template.nodes.len(), "/nodes", 500),
        (template.questions.len(), "/questions", 1000),
        (template.corrections.len(), "/corrections", 2000),
        (template.positive_words.len(), "/positive_words", 2000),
        (template.negative_words.len(), "/negative_words", 2000),
    ] {
        checks.that(n <= most, pointer, "too_long", &format!("at most {most}"));
    }
    for (n, node) in template.nodes.iter().enumerate() {
        checks.text(&node.key, &format!("/nodes/{n}/key"), 64);
        checks.optional_text(&node.text, &format!("/nodes/{n}/text"), 4000);
    }
    checks.done()
}

/// A text's audio must be a prompt of this very template: another's, or another enterprise's, is not there.
async fn check_prompts(
    state: &AdminState,
    caller: &Caller,
    id: Option<TemplateId>,
    template: &Template,
) -> Answer<()> {
    let own = match id {
        Some(id) => state.store.prompts(&caller.scope, id).await?,
        None => Vec::new(),
    };
    for spoken in template.spoken() {
        if let Some(prompt) = spoken.prompt
            && !own.iter().any(|known| known.id == prompt)
        {
            let detail = format!(
                "`{}` names a prompt this template does not have",
                spoken.key
            );
            return Err(Problem::not_found().field("/prompt", "not_found", detail));
        }
    }
    Ok(())
}

pub struct Templates;

impl Listed for Templates {
    const LISTING: &'static Listing = &store::templates::TEMPLATES;
}

/// List templates
#[utoipa::path(get, path = "/templates", tag = "templates", security(("bearer" = ["templates:read"])),
    params(List<Templates>), responses((status = 200, body = Page<TemplateHeadView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Templates>,
) -> Answer<Json<Page<TemplateHeadView>>> {
    let templates = state.store.templates(&caller.scope, &asked).await?;
    Ok(Json(Page::of(templates, head_view)))
}

/// Add a template
#[utoipa::path(post, path = "/templates", tag = "templates", security(("bearer" = ["templates:write"])),
    request_body(content = Object, description = "name, nodes, questions, corrections, prompts, words, limits"),
    responses((status = 201, body = TemplateView)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(template): Body<Template>,
) -> Answer<(StatusCode, Response)> {
    check_limits(&template)?;
    check_prompts(&state, &caller, None, &template).await?;
    let body = serde_json::to_value(&template).map_err(Problem::internal)?;
    let id = state
        .store
        .create_template(&caller.scope, template.name.trim(), &body, state.now())
        .await?;
    Ok((StatusCode::CREATED, show(&state, &caller, id).await?))
}

async fn show(state: &AdminState, caller: &Caller, id: TemplateId) -> Answer<Response> {
    let (head, template) = load(state, caller, id).await?;
    let version = head.version;
    let Findings {
        diallable,
        findings,
    } = judged(&template);
    let view = TemplateView {
        head: head_view(head),
        diallable,
        findings,
        template,
    };
    Ok(tagged(view, version.into()))
}

/// One template, with what is wrong with it
#[utoipa::path(get, path = "/templates/{id}", tag = "templates", security(("bearer" = ["templates:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = TemplateView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Response> {
    show(&state, &caller, id).await
}

/// Replace a template
#[utoipa::path(put, path = "/templates/{id}", tag = "templates", security(("bearer" = ["templates:write"])),
    params(("id" = Uuid, Path), IfMatch),
    request_body(content = Object), responses((status = 200, body = TemplateView)))]
pub async fn put(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    known: IfMatch,
    Body(template): Body<Template>,
) -> Answer<Response> {
    let (head, _) = state.store.template(&caller.scope, id).await?;
    known.check(head.version.into())?;
    save(&state, &caller, &known, &head, &template).await?;
    show(&state, &caller, id).await
}

/// Delete a template
#[utoipa::path(delete, path = "/templates/{id}", tag = "templates", security(("bearer" = ["templates:write"])),
    params(("id" = Uuid, Path), IfMatch), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    known: IfMatch,
) -> Answer<StatusCode> {
    let (head, _) = state.store.template(&caller.scope, id).await?;
    known.check(head.version.into())?;
    state
        .store
        .delete_template(&caller.scope, id, state.now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is wrong with a stored template
#[utoipa::path(get, path = "/templates/{id}/findings", tag = "templates", security(("bearer" = ["templates:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = Findings)))]
pub async fn findings(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Json<Findings>> {
    let (_, template) = load(&state, &caller, id).await?;
    Ok(Json(judged(&template)))
}

/// What would be wrong with a template, without keeping it
#[utoipa::path(post, path = "/templates/validate", tag = "templates", security(("bearer" = ["templates:read"])),
    request_body(content = Object), responses((status = 200, body = Findings)))]
pub async fn validate(_: Caller, Body(template): Body<Template>) -> Answer<Json<Findings>> {
    check_limits(&template)?;
    Ok(Json(judged(&template)))
}
