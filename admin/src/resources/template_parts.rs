//! The parts of a template that people edit one at a time: its flow, its questions, its corrections. Each change is a new
//! version of the whole.

use super::templates::{load, save};
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged};
use crate::extract::{At, Body};
use crate::problem::Answer;
use axum::extract::State;
use axum::response::Response;
use bots::{Correction, Node, Question, Template};
use model::TemplateId;
use serde::Serialize;

async fn show<T: Serialize>(
    state: &AdminState,
    caller: &Caller,
    id: TemplateId,
    part: impl FnOnce(Template) -> Vec<T>,
) -> Answer<Response> {
    let (head, template) = load(state, caller, id).await?;
    Ok(tagged(part(template), head.version.into()))
}

async fn replace(
    state: &AdminState,
    caller: &Caller,
    id: TemplateId,
    known: &IfMatch,
    change: impl FnOnce(&mut Template),
) -> Answer<()> {
    let (head, mut template) = load(state, caller, id).await?;
    known.check(head.version.into())?;
    change(&mut template);
    save(state, caller, known, &head, &template).await
}

/// A template's flow
#[utoipa::path(get, path = "/templates/{id}/nodes", tag = "templates", security(("bearer" = ["templates:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = Vec<Object>)))]
pub async fn nodes(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Response> {
    show(&state, &caller, id, |template| template.nodes).await
}

/// Replace a template's flow
#[utoipa::path(put, path = "/templates/{id}/nodes", tag = "templates", security(("bearer" = ["templates:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body(content = Vec<Object>),
    responses((status = 200, body = Vec<Object>)))]
pub async fn put_nodes(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    known: IfMatch,
    Body(nodes): Body<Vec<Node>>,
) -> Answer<Response> {
    replace(&state, &caller, id, &known, |template| {
        template.nodes = nodes
    })
    .await?;
    show(&state, &caller, id, |template| template.nodes).await
}

/// A template's questions
#[utoipa::path(get, path = "/templates/{id}/questions", tag = "templates", security(("bearer" = ["templates:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = Vec<Object>)))]
pub async fn questions(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Response> {
    show(&state, &caller, id, |template| template.questions).await
}

/// Replace a template's questions
#[utoipa::path(put, path = "/templates/{id}/questions", tag = "templates", security(("bearer" = ["templates:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body(content = Vec<Object>),
    responses((status = 200, body = Vec<Object>)))]
pub async fn put_questions(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    known: IfMatch,
    Body(questions): Body<Vec<Question>>,
) -> Answer<Response> {
    replace(&state, &caller, id, &known, |template| {
        template.questions = questions
    })
    .await?;
    show(&state, &caller, id, |template| template.questions).await
}

/// A template's corrections of recognised words
#[utoipa::path(get, path = "/templates/{id}/corrections", tag = "templates",
    security(("bearer" = ["templates:read"])), params(("id" = Uuid, Path)),
    responses((status = 200, body = Vec<Object>)))]
pub async fn corrections(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
) -> Answer<Response> {
    show(&state, &caller, id, |template| template.corrections).await
}

/// Replace a template's corrections
#[utoipa::path(put, path = "/templates/{id}/corrections", tag = "templates",
    security(("bearer" = ["templates:write"])), params(("id" = Uuid, Path), IfMatch),
    request_body(content = Vec<Object>), responses((status = 200, body = Vec<Object>)))]
pub async fn put_corrections(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TemplateId>,
    known: IfMatch,
    Body(corrections): Body<Vec<Correction>>,
) -> Answer<Response> {
    replace(&state, &caller, id, &known, |template| {
        template.corrections = corrections
    })
    .await?;
    show(&state, &caller, id, |template| template.corrections).await
}
