//! The enterprise's money: what it has, and every posting that made it so.

use crate::AdminState;
use crate::auth::Caller;
use crate::page::{List, Listed, Page};
use crate::problem::Answer;
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::Listing;
use store::ledger::PostingRow;
use utoipa::ToSchema;
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
    /// The receipt of a recharge, the request of a refund.
    reference: Option<String>,
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
        reference: row.reference,
        note: row.note,
        actor: row.actor,
    }
}

pub struct Postings;

impl Listed for Postings {
    const LISTING: &'static Listing = &store::ledger::LEDGER;
}

/// List ledger postings
#[utoipa::path(get, path = "/ledger", tag = "money", security(("bearer" = ["billing:read"])), params(List<Postings>),
    responses((status = 200, body = Page<PostingView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Postings>,
) -> Answer<Json<Page<PostingView>>> {
    let page = state.store.postings(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}
