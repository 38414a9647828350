//! Events as they happen, by server-sent events: `{id, type, seq, occurred_at, data}`, of the caller's enterprise alone.

use crate::AdminState;
use crate::auth::Caller;
use crate::extract::Query;
use crate::problem::{Answer, Checks};
use crate::ring::{Heard, Lost};
use crate::wire::Moment;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use engine::Notice;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

/// How often the credential behind a stream is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Events a slow reader may be behind before the stream ends; it comes back with the id of its last event.
const BACKLOG: usize = 256;
const LAST: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView<'a> {
    /// Opaque; for `Last-Event-ID`.
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "call.ended")]
    kind: &'a str,
    /// Rises by one with each event of the process, whoever's it is.
    seq: u64,
    occurred_at: Moment,
    #[schema(value_type = Object)]
    data: &'a Value,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Only these types, with commas; `call.*` is all that begin so.
    types: Option<String>,
}

/// Which types a reader wants.
struct Wanted(Vec<String>);

impl Wanted {
    fn has(&self, kind: &str) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(beginning) => kind.starts_with(beginning),
                None => kind == wanted,
            })
    }
}

/// Events as they happen
///
/// A stream of `text/event-stream`; each event's data is the object shown here. Types: `call.created`, `call.ringing`,
/// `call.answered`, `call.refused`, `call.ended`, `call.graded`, `call.robot.turn`, `call.transcript.final`,
/// `recording.ready`, `recording.failed`, `campaign.started`, `campaign.paused`, `campaign.progress`, `campaign.finished`,
/// `import.progress`, `import.finished`, `lead.skipped` (with its rule), `extension.registered`, `extension.expired`, `extension.rejected` (with its reason),
/// `trunk.up`, `trunk.down`; further ones may come. A reader that comes back with `Last-Event-ID` is told what it
/// missed. When that cannot be told any more (`too_old`, or an id of an `other_run` of the server), the first event is
/// `stream.reset` with the `reason`: read the state again, then go on from there. A reader that falls far behind, or whose
/// credential is revoked, is disconnected.
#[utoipa::path(get, path = "/events", tag = "events", security(("bearer" = ["events:read"])),
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was read")),
    responses((status = 200, body = EventView, content_type = "text/event-stream")))]
pub async fn stream(
    State(state): State<AdminState>,
    caller: Caller,
    asked_headers: HeaderMap,
    Query(asked): Query<EventQuery>,
) -> Answer<impl IntoResponse> {
    let types: Vec<String> = asked
        .types
        .iter()
        .flat_map(|text| text.split(','))
        .map(|word| word.trim().to_owned())
        .collect();
    let mut checks = Checks::new();
    checks.that(types.len() <= 50, "?types", "too_long", "at most 50 types");
    checks.done()?;
    // An id that is no text is of another run, like any other that is not ours.
    let last = asked_headers
        .get(LAST)
        .map(|value| value.to_str().unwrap_or("?"));
    let heard = state.ring.listen(last);
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tokio::spawn(pump(state, caller, Wanted(types), heard, sender));
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok((
        headers,
        Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()),
    ))
}

async fn pump(
    state: AdminState,
    caller: Caller,
    wanted: Wanted,
    heard: Heard,
    sender: mpsc::Sender<Result<Event, Infallible>>,
) {
    let Heard {
        missed,
        lost,
        newest,
        mut live,
    } = heard;
    let own = |notice: &Notice| notice.tenant == caller.tenant() && wanted.has(notice.kind);
    let mut look = tokio::time::interval(LOOK_AGAIN);
    look.tick().await;
    let mut looked = state.now();
    // Told at once, so that a reader knows from when on it misses nothing.
    let listening = Event::default().comment("listening");
    let reset = lost.map(|lost| reset(&state, lost, newest));
    let missed = missed.iter().filter(|notice| own(notice));
    let first = std::iter::once(listening)
        .chain(reset)
        .chain(missed.map(|notice| event(&state, notice)));
    for event in first {
        // A reader takes what it missed at its own pace.
        if sender.send(Ok(event)).await.is_err() {
            return;
        }
    }
    let mut told = newest;
    loop {
        tokio::select! {
            () = state.closing.cancelled() => return,
            () = sender.closed() => return,
            _ = look.tick() => {
                looked = state.now();
                if !caller.still(&state, "events:read").await {
                    return;
                }
            }
            notice = live.recv() => {
                let notice = match notice {
                    Ok(notice) => notice,
                    Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
                };
                // A gap: the reader comes back and hears what can be told.
                if told > 0 && notice.seq != told + 1 {
                    return;
                }
                told = notice.seq;
                if !own(&notice) {
                    continue;
                }
                // A busy stream keeps no timer waiting, a quiet one has the timer.
                if state.now().since(looked) >= LOOK_AGAIN {
                    looked = state.now();
                    if !caller.still(&state, "events:read").await {
                        return;
                    }
                }
                if sender.try_send(Ok(event(&state, &notice))).is_err() {
                    return;
                }
            }
        }
    }
}

fn event(state: &AdminState, notice: &Notice) -> Event {
    shown(EventView {
        id: state.ring.id(notice.seq),
        kind: notice.kind,
        seq: notice.seq,
        occurred_at: notice.occurred_at.into(),
        data: &notice.data,
    })
}

fn reset(state: &AdminState, lost: Lost, newest: u64) -> Event {
    shown(EventView {
        id: state.ring.id(newest),
        kind: "stream.reset",
        seq: newest,
        occurred_at: state.now().into(),
        data: &json!({ "reason": lost.code() }),
    })
}

fn shown(view: EventView<'_>) -> Event {
    let text = serde_json::to_string(&view).unwrap_or_default();
    Event::default().id(view.id).event(view.kind).data(text)
}
