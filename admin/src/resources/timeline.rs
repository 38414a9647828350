//! Everything that is known of one call on one clock: the gate's word, the ladder, who said what, money, the recording.

use super::decisions::{self, DecisionView};
use crate::AdminState;
use crate::auth::Caller;
use crate::extract::At;
use crate::problem::Answer;
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use bots::{GradeRecord, TurnRecord};
use model::{CallId, Wall};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use store::calls::CallPage;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelineView {
    call_id: Uuid,
    started_at: Moment,
    /// Where the audio begins: turns' offsets count from here.
    answered_at: Option<Moment>,
    ended_at: Moment,
    /// Oldest first.
    entries: Vec<Entry>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct Entry {
    at: Moment,
    /// Milliseconds since the call began; below zero for what came before it.
    offset_ms: i64,
    #[serde(flatten)]
    what: What,
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[schema(as = TimelineWhat)]
enum What {
    /// The gate was asked.
    Decision { decision: DecisionView },
    /// A step of the call: `created`, `ringing`, `answered` …
    Ladder {
        seq: u64,
        #[serde(rename = "type")]
        step: String,
        #[schema(value_type = Object)]
        data: Value,
    },
    /// Somebody spoke; the offsets in it are those of the recording.
    Turn {
        #[schema(value_type = Object)]
        turn: TurnRecord,
    },
    /// The call was graded under a version of the rules.
    Grade {
        #[schema(value_type = Object)]
        grading: GradeRecord,
    },
    /// Money was set aside, charged or let go.
    Money {
        posting_id: Uuid,
        #[schema(example = "settle")]
        posting: &'static str,
        available_minor: i64,
    },
    /// The recording, which begins here.
    Recording { url: String, duration_ms: u64 },
}

impl What {
    /// Of things at the same moment: what comes first.
    fn order(&self) -> u8 {
        match self {
            What::Decision { .. } => 0,
            What::Money {
                posting: "reserve", ..
            } => 1,
            What::Ladder { .. } => 2,
            What::Recording { .. } => 3,
            What::Turn { .. } => 4,
            What::Grade { .. } => 5,
            What::Money { .. } => 6,
        }
    }
}

fn entries(page: CallPage) -> Vec<Entry> {
    let cdr = page.call.cdr;
    let start = cdr.started_at;
    let spoken = cdr.answered_at.unwrap_or(start);
    let mut all: Vec<(Wall, What)> = Vec::new();
    for decision in page.decisions {
        let at = decision.at;
        let decision = decisions::view(decision);
        all.push((at, What::Decision { decision }));
    }
    for event in page.events {
        let (seq, step, data) = (event.seq, event.kind, event.data);
        all.push((event.at, What::Ladder { seq, step, data }));
    }
    for turn in page.turns {
        let at = spoken + Duration::from_millis(turn.from_ms);
        all.push((at, What::Turn { turn }));
    }
    for graded in page.grades {
        let grading = graded.record;
        all.push((graded.at, What::Grade { grading }));
    }
    for posting in page.postings {
        let what = What::Money {
            posting_id: posting.id.0,
            posting: posting.kind.code(),
            available_minor: posting.available().minor(),
        };
        all.push((posting.at, what));
    }
    if cdr.recording.is_some() {
        let what = What::Recording {
            url: format!("/api/v1/calls/{}/recording", cdr.id),
            duration_ms: cdr.talk_ms,
        };
        all.push((spoken, what));
    }
    // Stable: what is of one kind stays in its own order.
    all.sort_by_key(|(at, what)| (*at, what.order()));
    all.into_iter()
        .map(|(at, what)| Entry {
            at: at.into(),
            offset_ms: at.as_millis() - start.as_millis(),
            what,
        })
        .collect()
}

/// A call on one timeline
#[utoipa::path(get, path = "/calls/{id}/timeline", tag = "calls", security(("bearer" = ["calls:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = TimelineView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallId>,
) -> Answer<Json<TimelineView>> {
    let page = state.store.call(&caller.scope, id).await?;
    let cdr = &page.call.cdr;
    Ok(Json(TimelineView {
        call_id: cdr.id.0,
        started_at: cdr.started_at.into(),
        answered_at: moment(cdr.answered_at),
        ended_at: cdr.ended_at.into(),
        entries: entries(page),
    }))
}
