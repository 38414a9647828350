//! Leads from a spreadsheet: inserted + updated + rejected = rows, with the reason for each rejected row.

use super::extensions::reference;
use crate::AdminState;
use crate::auth::Caller;
use crate::problem::{Answer, Checks, Code, Problem};
use crate::sheet;
use crate::upload::Upload;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::CampaignId;
use serde::Serialize;
use std::collections::BTreeMap;
use store::leads::{Duplicates, NewLead};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Sheets read at a time: each may take a good part of 256 MB.
static READING: Semaphore = Semaphore::const_new(1);

/// Reasons listed in a report; the count is always whole.
const LISTED: usize = 1000;

/// The form of an upload, for the document.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ImportForm {
    /// .xlsx
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// 批次, for rows whose own 批次 column is empty; made from the time when absent.
    batch: Option<String>,
    /// Into this campaign's list.
    campaign_id: Option<String>,
    /// What to do with numbers that are there already: `update` (default) or `reject`.
    duplicates: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ImportReport {
    batch: String,
    /// Rows of the sheet below its heading, without empty ones.
    rows: u64,
    inserted: u64,
    updated: u64,
    rejected: u64,
    /// Why, for the first thousand rejected rows.
    rejections: Vec<Rejection>,
}

#[derive(Serialize, ToSchema)]
pub struct Rejection {
    /// As the spreadsheet program numbers it.
    row: u32,
    column: String,
    /// `required`, `not_a_number`, `wrong_length`, `short_number`, `formula_without_value`, `formula_error`, `too_long`,
    /// `duplicate`.
    #[schema(example = "not_a_number")]
    code: &'static str,
    detail: String,
}

/// Import leads from a spreadsheet
///
/// The first row names the columns: 电话, 手机 or phone, and 姓名 or name; every other column is kept with the lead.
#[utoipa::path(post, path = "/leads/import", tag = "leads", security(("bearer" = ["leads:write"])),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 200, body = ImportReport)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    form: Upload,
) -> Answer<Json<ImportReport>> {
    let now = state.now();
    let batch = form.field("batch").map_or_else(
        || now.utc().format("%Y%m%d-%H%M%S").to_string(),
        str::to_owned,
    );
    let mut checks = Checks::new();
    checks.optional_text(&batch, "/batch", 64);
    let duplicates = match form.field("duplicates") {
        None | Some("update") => Duplicates::Update,
        Some("reject") => Duplicates::Reject,
        Some(_) => {
            checks.fail("/duplicates", "unknown_value", "update or reject");
            Duplicates::Update
        }
    };
    let campaign: Option<Result<CampaignId, _>> = form.field("campaign_id").map(str::parse);
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
    let country = state.store.tenant(&caller.scope).await?.country;
    let most_rows = state.config.import_rows;
    let bytes = form.file;
    let turn = READING.acquire().await.map_err(Problem::internal)?;
    let rows = tokio::task::spawn_blocking(move || sheet::read(&bytes, &country, most_rows))
        .await
        // A reader that panics has met a damaged file.
        .map_err(|_| Problem::new(Code::UnreadableSheet).detail("the workbook is damaged"))?
        .map_err(|error| {
            Problem::new(Code::UnreadableSheet)
                .detail(error.to_string())
                .fix(error.fix())
        })?;
    drop(turn);
    let sheet::Rows { good, bad } = rows;
    let mut rejections: Vec<Rejection> = bad
        .into_iter()
        .map(|bad| Rejection {
            row: bad.row,
            column: bad.column,
            code: bad.code,
            detail: bad.detail,
        })
        .collect();
    let total = (good.len() + rejections.len()) as u64;
    // One batch for the whole sheet, or the batch each row names.
    let mut batches: BTreeMap<String, (Vec<u32>, Vec<NewLead>)> = BTreeMap::new();
    for row in good {
        let of = row
            .batch
            .filter(|own| !own.is_empty())
            .unwrap_or_else(|| batch.clone());
        let (numbers, leads) = batches.entry(of).or_default();
        numbers.push(row.row);
        leads.push(NewLead {
            number: row.number,
            name: row.name,
            custom: row.custom,
        });
    }
    let (mut inserted, mut updated) = (0, 0);
    for (batch, (numbers, leads)) in &batches {
        let imported = state
            .store
            .import_leads(&caller.scope, campaign, batch, leads, duplicates, now)
            .await?;
        inserted += imported.inserted;
        updated += imported.updated;
        for position in imported.duplicates {
            let row = numbers.get(position).copied().unwrap_or_default();
            let detail = "the number is there already".to_owned();
            rejections.push(Rejection {
                row,
                column: "phone".into(),
                code: "duplicate",
                detail,
            });
        }
    }
    rejections.sort_by_key(|rejection| rejection.row);
    let rejected = rejections.len() as u64;
    rejections.truncate(LISTED);
    Ok(Json(ImportReport {
        batch,
        rows: total,
        inserted,
        updated,
        rejected,
        rejections,
    }))
}

/// The spreadsheet to start from
#[utoipa::path(get, path = "/leads/import-template", tag = "leads", security(("bearer" = ["leads:read"])),
    responses((status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))]
pub async fn template() -> Answer<Response> {
    let bytes = sheet::template().map_err(Problem::internal)?;
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"huying-leads.xlsx\"",
        ),
    ];
    Ok((headers, bytes).into_response())
}
