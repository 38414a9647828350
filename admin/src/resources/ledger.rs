//! The enterprise's money: what it has, and every posting that made it so.

use crate::AdminState;
use crate::auth::Caller;
use crate::extract::Query;
use crate::page::{Page, limit};
use crate::problem::{Answer, Code, Problem};
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use billing::Kind;
use model::CallId;
use serde::{Deserialize, Serialize};
use store::ledger::{PostingFilter, PostingRow};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
pub struct BalanceView {
    currency: String,
    available_minor: i64,
    /// Set aside for calls that are up.
    reserved_minor: i64,
}

/// What the enterprise has
#[utoipa::path(get, path = "/balance", tag = "money", security(("bearer" = ["billing:read"])),
    responses((status = 200, body = BalanceView)))]
pub async fn balance(State(state): State<AdminState>, caller: Caller) -> Answer<Json<BalanceView>> {
    let balance = state.store.balance(&caller.scope).await?;
    let currency = state.store.tenant(&caller.scope).await?.currency;
    Ok(Json(BalanceView {
        currency,
        available_minor: balance.available.minor(),
        reserved_minor: balance.reserved.minor(),
    }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Posting)]
pub struct PostingView {
    id: Uuid,
    /// `reserve`, `settle`, `release`, `recharge`, `refund` or `credit`.
    #[schema(example = "settle")]
    kind: &'static str,
    call_id: Option<Uuid>,
    at: Moment,
    note: String,
    actor: String,
    /// What the enterprise may spend more (or less) by it.
    available_minor: i64,
    /// Debits and credits; their sum is zero.
    entries: Vec<EntryView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Entry)]
pub struct EntryView {
    #[schema(example = "available")]
    account: &'static str,
    amount_minor: i64,
}

fn view(row: PostingRow) -> PostingView {
    PostingView {
        id: row.id.0,
        kind: row.kind.code(),
        call_id: row.call.map(|call| call.0),
        at: row.at.into(),
        available_minor: row.available().minor(),
        entries: row
            .entries
            .iter()
            .map(|entry| EntryView {
                account: entry.account.code(),
                amount_minor: entry.amount.minor(),
            })
            .collect(),
        note: row.note,
        actor: row.actor,
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LedgerQuery {
    /// One or more kinds with commas, `recharge,refund`.
    kind: Option<String>,
    call_id: Option<Uuid>,
    /// From this moment on.
    #[serde(rename = "at[gte]")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment.
    #[serde(rename = "at[lt]")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// List ledger postings, newest first
#[utoipa::path(get, path = "/ledger", tag = "money", security(("bearer" = ["billing:read"])), params(LedgerQuery),
    responses((status = 200, body = Page<PostingView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    Query(asked): Query<LedgerQuery>,
) -> Answer<Json<Page<PostingView>>> {
    let kinds = asked
        .kind
        .iter()
        .flat_map(|text| text.split(','))
        .map(|code| {
            Kind::from_code(code.trim()).ok_or_else(|| {
                Problem::new(Code::InvalidQuery).field(
                    "?kind",
                    "unknown_value",
                    format!("`{code}` is no kind"),
                )
            })
        })
        .collect::<Answer<Vec<_>>>()?;
    let filter = PostingFilter {
        kinds,
        call: asked.call_id.map(CallId),
        from: asked.from.map(|at| at.0),
        to: asked.to.map(|at| at.0),
    };
    let page = state
        .store
        .postings(
            &caller.scope,
            &filter,
            limit(asked.limit)?,
            asked.cursor.as_deref(),
        )
        .await?;
    Ok(Json(Page::of(page, view)))
}
