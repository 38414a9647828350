//! Leads from a file: a job that reads it, writes it, and accounts for every row.

use super::extensions::reference;
use crate::AdminState;
use crate::auth::Caller;
use crate::extract::At;
use crate::imports::{self, Job};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Code, Problem};
use crate::sheet::{self, Asked, Format};
use crate::tongue::{Tongue, put};
use crate::upload::Spooled;
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::CampaignId;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use store::imports::{Import, ImportState, NewImport, Reject};
use store::leads::Duplicates;
use store::{ImportId, Listing};
use utoipa::ToSchema;
use uuid::Uuid;

/// The form of an upload, for the document.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ImportForm {
    /// .xlsx, .xls, or text with columns (.csv): told by its content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// 批次, for rows whose own 批次 column is empty. When absent, new leads get one made from the time and leads that are
    /// there keep theirs.
    batch: Option<String>,
    /// Into this campaign's list.
    campaign_id: Option<String>,
    /// What to do with numbers that are there already: `update` (default), `reject`, or `reject_in_tenant` (also those of
    /// any other campaign).
    duplicates: Option<String>,
    /// `true`: say what would happen, write no lead.
    dry_run: Option<String>,
    /// Heading or letter of a column → `phone`, `name`, `batch`, `ignore`, or the custom column it is kept as.
    #[schema(example = "{\"B\": \"phone\", \"城市\": \"city\"}")]
    mapping: Option<String>,
    /// Name of the sheet to read; the first visible one with a phone column when absent.
    sheet: Option<String>,
    /// Row of the headings; 0 when there is none; found when absent.
    header_row: Option<String>,
    /// Of a text file, where it cannot be told: `gb18030`, `big5`, `utf-16le` …
    encoding: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ImportView {
    id: Uuid,
    /// `queued`, `reading`, `writing`, `done`, `failed`, `cancelled`, or `interrupted` (the process ended before it did).
    #[schema(value_type = String, example = "writing")]
    state: ImportState,
    file_name: String,
    batch: String,
    campaign_id: Option<Uuid>,
    /// `update`, `reject` or `reject_in_tenant`.
    #[schema(value_type = String, example = "update")]
    duplicates: Duplicates,
    /// No lead was or will be written.
    dry_run: bool,
    /// The sheet that was read, of a workbook.
    sheet: Option<String>,
    /// What each column was taken for: `letter`, `heading`, and what it `holds`. One without a heading is kept as its letter.
    #[schema(value_type = Vec<Object>)]
    columns: Value,
    /// Rows below the heading, without empty ones, once the file is read.
    total_rows: Option<u64>,
    /// Rows accounted for: always inserted + updated + rejected.
    rows: u64,
    inserted: u64,
    updated: u64,
    rejected: u64,
    /// 0 to 1.
    progress: f64,
    /// Why it failed: `code`, `detail`, and what would help (`fix`).
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// The rejected rows with the reason of each; also with .csv or .xlsx behind it.
    rejects_url: String,
    created_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
}

pub fn view(import: Import, language: Tongue) -> ImportView {
    let figures = import.figures;
    let error = import.error.map(|mut error| {
        for name in ["detail", "fix"] {
            if let Some(Value::String(text)) = error.get_mut(name) {
                *text = put(std::mem::take(text), language);
            }
        }
        error
    });
    let progress = match (import.state, import.total) {
        (ImportState::Done, _) => 1.0,
        (_, Some(total)) if total > 0 => figures.rows as f64 / total as f64,
        _ => 0.0,
    };
    ImportView {
        id: import.id.0,
        state: import.state,
        file_name: import.file_name,
        batch: import.batch,
        campaign_id: import.campaign.map(|id| id.0),
        duplicates: import.duplicates,
        dry_run: import.dry_run,
        sheet: import.sheet,
        columns: import.columns,
        total_rows: import.total,
        rows: figures.rows,
        inserted: figures.inserted,
        updated: figures.updated,
        rejected: figures.rejected,
        progress,
        error,
        rejects_url: format!("/api/v1/leads/imports/{}/rejects", import.id),
        created_at: import.created_at.into(),
        started_at: moment(import.started_at),
        finished_at: moment(import.finished_at),
    }
}

/// Import leads from a file
///
/// Answers at once with the job; `GET` its Location, or listen for `import.progress` and `import.finished`. Known headings
/// (电话, 手机, 姓名, 批次, phone, name …) are found by themselves; every other column is kept with the lead, one without a
/// heading as its letter. The same file again changes what is there and makes nothing new. A number that is there
/// (`duplicates`: `update`) takes what the file says: columns the file does not have, and cells that are empty, change
/// nothing. A file of `GET /leads.csv` or `.xlsx` comes back the same way: its columns of state and times are ignored.
#[utoipa::path(post, path = "/leads/imports", tag = "leads", security(("bearer" = ["leads:write"])),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 202, body = ImportView, headers(("Location" = String, description = "The job")))))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    form: Spooled,
) -> Answer<Response> {
    let now = state.now();
    let named = form.field("batch").map(str::to_owned);
    let batch = named
        .clone()
        .unwrap_or_else(|| now.utc().format("%Y%m%d-%H%M%S").to_string());
    let mut checks = Checks::new();
    checks.optional_text(&batch, "/batch", 64);
    let duplicates = match form.field("duplicates") {
        None | Some("update") => Duplicates::Update,
        Some("reject") => Duplicates::Reject,
        Some("reject_in_tenant") => Duplicates::RejectInTenant,
        Some(_) => {
            let detail = "update, reject or reject_in_tenant";
            checks.fail("/duplicates", "unknown_value", detail);
            Duplicates::Update
        }
    };
    let dry_run = match form.field("dry_run") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            checks.fail("/dry_run", "unknown_value", "true or false");
            false
        }
    };
    let mapping = match form.field("mapping").map(sheet::mapping) {
        None => BTreeMap::new(),
        Some(Ok(mapping)) => mapping,
        Some(Err(why)) => {
            checks.fail("/mapping", "invalid", why);
            BTreeMap::new()
        }
    };
    let header_row = form.field("header_row").map(str::parse::<u32>);
    checks.that(
        !matches!(header_row, Some(Err(_))),
        "/header_row",
        "invalid",
        "the number of a row, or 0",
    );
    let campaign = form.field("campaign_id").map(str::parse::<CampaignId>);
    checks.that(
        !matches!(campaign, Some(Err(_))),
        "/campaign_id",
        "invalid",
        "is no id",
    );
    checks.done()?;
    let campaign = campaign.and_then(Result::ok);
    if let Some(id) = campaign {
        reference(
            state.store.campaign(&caller.scope, id).await,
            "/campaign_id",
        )?;
    }
    form.recognise().await?;
    state.imports.room(caller.tenant())?;
    let asked = Asked {
        country: state.store.tenant(&caller.scope).await?.country,
        mapping,
        sheet: form.field("sheet").map(str::to_owned),
        header_row: header_row.and_then(Result::ok),
        encoding: form.field("encoding").map(str::to_owned),
        batch: named,
        most_rows: state.config.import_rows,
        keep_cells: duplicates != Duplicates::Update,
    };
    let new = NewImport {
        file_name: form.shown_name(),
        campaign,
        batch,
        duplicates,
        dry_run,
    };
    let id = state.store.add_import(&caller.scope, &new, now).await?;
    let import = state.store.import(&caller.scope, id).await?;
    let job = Job {
        id,
        scope: caller.scope.clone(),
        asked,
        dry_run,
        folder: form.folder,
    };
    imports::submit(&state, job);
    let location = [(header::LOCATION, format!("/api/v1/leads/imports/{id}"))];
    let view = view(import, Tongue::English);
    Ok((StatusCode::ACCEPTED, location, Json(view)).into_response())
}

pub struct Imports;

impl Listed for Imports {
    const LISTING: &'static Listing = &store::imports::IMPORTS;
}

/// List imports
///
/// Those that are over are kept for 30 days, with their rejected rows.
#[utoipa::path(get, path = "/leads/imports", tag = "leads", security(("bearer" = ["leads:read"])), params(List<Imports>),
    responses((status = 200, body = Page<ImportView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    language: Tongue,
    List(asked, ..): List<Imports>,
) -> Answer<Json<Page<ImportView>>> {
    let page = state.store.imports(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, |import| view(import, language))))
}

/// How an import stands
#[utoipa::path(get, path = "/leads/imports/{id}", tag = "leads", security(("bearer" = ["leads:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = ImportView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    language: Tongue,
    At(id): At<Uuid>,
) -> Answer<Json<ImportView>> {
    let import = state.store.import(&caller.scope, ImportId(id)).await?;
    Ok(Json(view(import, language)))
}

/// Cancel an import
///
/// Rows that are written stay; its figures say how many.
#[utoipa::path(post, path = "/leads/imports/{id}/cancel", tag = "leads", security(("bearer" = ["leads:write"])),
    params(("id" = Uuid, Path)), responses((status = 202, body = ImportView)))]
pub async fn cancel(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<Uuid>,
) -> Answer<(StatusCode, Json<ImportView>)> {
    let id = ImportId(id);
    let import = state.store.import(&caller.scope, id).await?;
    if import.state.is_over() || !imports::cancel(&state, &caller.scope, id).await? {
        return Err(Problem::new(Code::WrongState).detail("it is over already"));
    }
    let (scope, now) = (&caller.scope, state.now());
    state
        .store
        .note_deed(scope, "import.cancelled", Some(id.0), &Value::Null, now)
        .await?;
    let import = state.store.import(scope, id).await?;
    Ok((StatusCode::ACCEPTED, Json(view(import, Tongue::English))))
}

#[derive(Serialize, ToSchema)]
#[schema(as = RejectedRow)]
pub struct RejectView {
    /// As the spreadsheet program numbers it.
    row: u32,
    /// Heading of the column that is wrong.
    column: String,
    /// `required`, `not_a_number`, `wrong_length`, `short_number`, `shortened_number`, `formula_without_value`,
    /// `formula_error`, `too_long`, `duplicate`.
    #[schema(example = "not_a_number")]
    code: String,
    detail: String,
    cells: Vec<RejectedCell>,
}

#[derive(Serialize, ToSchema)]
pub struct RejectedCell {
    heading: String,
    text: String,
}

pub struct Rejects;

impl Listed for Rejects {
    const LISTING: &'static Listing = &store::imports::REJECTS;
}

/// Rows that did not become leads
///
/// As .csv or .xlsx they have the columns of the sheet with the reason behind them: mend them and upload that file.
#[utoipa::path(get, path = "/leads/imports/{id}/rejects", tag = "leads", security(("bearer" = ["leads:read"])),
    params(("id" = Uuid, Path), List<Rejects>), responses((status = 200, body = Page<RejectView>)))]
pub async fn rejects(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<Uuid>,
    language: Tongue,
    List(asked, ..): List<Rejects>,
) -> Answer<Json<Page<RejectView>>> {
    let id = ImportId(id);
    let import = state.store.import(&caller.scope, id).await?;
    let columns: Vec<sheet::ColumnUse> =
        serde_json::from_value(import.columns).map_err(Problem::internal)?;
    let page = state
        .store
        .import_rejects(&caller.scope, id, &asked)
        .await?;
    Ok(Json(Page::of(page, |reject| {
        reject_view(reject, &columns, language)
    })))
}

fn reject_view(reject: Reject, columns: &[sheet::ColumnUse], language: Tongue) -> RejectView {
    let cell = |column: &sheet::ColumnUse| RejectedCell {
        heading: if column.heading.is_empty() {
            column.letter.clone()
        } else {
            column.heading.clone()
        },
        text: column
            .place()
            .and_then(|place| reject.cells.get(place).cloned())
            .unwrap_or_default(),
    };
    RejectView {
        row: reject.row,
        cells: columns.iter().map(cell).collect(),
        column: reject.fault.column,
        code: reject.fault.code,
        detail: put(reject.fault.detail, language),
    }
}

/// The workbook to start from, with the custom columns in use
#[utoipa::path(get, path = "/leads/import-template.xlsx", tag = "leads", security(("bearer" = ["leads:read"])),
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))]
pub async fn template_xlsx(State(state): State<AdminState>, caller: Caller) -> Answer<Response> {
    template(&state, &caller, Format::Xlsx).await
}

/// The same as text
#[utoipa::path(get, path = "/leads/import-template.csv", tag = "leads", security(("bearer" = ["leads:read"])),
    responses((status = 200, content_type = "text/csv")))]
pub async fn template_csv(State(state): State<AdminState>, caller: Caller) -> Answer<Response> {
    template(&state, &caller, Format::Csv).await
}

async fn template(state: &AdminState, caller: &Caller, format: Format) -> Answer<Response> {
    /// More would not be read back.
    const COLUMNS: usize = 90;
    let mut custom = state.store.custom_columns(&caller.scope).await?;
    custom.truncate(COLUMNS);
    let bytes = sheet::template(format, custom).map_err(Problem::internal)?;
    let name = format!("attachment; filename=\"huying-leads.{}\"", format.ending());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, bytes).into_response())
}
