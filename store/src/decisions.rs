//! Verdicts of the gate as a list: why numbers were, or were not, dialled.

use crate::attempts::{DecisionRow, read_decision};
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::Scope;
use crate::store::{Page, Store};
use model::{CallId, LeadId};

/// A verdict with what it was about.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub decision: DecisionRow,
    pub lead: Option<LeadId>,
    pub number: String,
}

pub static DECISIONS: Listing = Listing {
    fields: &[
        Field::new("at", "at", Kind::Moment).sorted_by_id(),
        Field::new("allowed", "allowed", Kind::Flag),
        Field::new("rule", "rule", Kind::Text),
        Field::new("campaign_id", "campaign_id", Kind::Id),
        Field::new("lead_id", "lead_id", Kind::Id),
        Field::new("call_id", "call_id", Kind::Id),
    ],
    order: "-at",
    id: "id",
    search: &[Search::Number("number")],
};

impl Store {
    pub async fn decisions(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<Verdict>, StoreError> {
        let list = sql("SELECT * FROM decisions WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// Those that speak of a call, oldest first.
    pub(crate) async fn decisions_of_call(
        &self,
        scope: &Scope,
        call: CallId,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let rows =
            sql("SELECT * FROM decisions WHERE tenant_id = $1 AND call_id = $2 ORDER BY at, id")
                .bind(scope.tenant())
                .bind(call)
                .all(&self.db)
                .await?;
        rows.iter().map(read_decision).collect()
    }
}

fn read(row: &Row) -> Result<Verdict, StoreError> {
    Ok(Verdict {
        decision: read_decision(row)?,
        lead: row.get("lead_id")?,
        number: row.get("number")?,
    })
}
