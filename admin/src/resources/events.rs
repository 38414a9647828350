//! Events as they happen, by server-sent events: `{id, type, seq, occurred_at, data}`, of the caller's enterprise alone.

use crate::AdminState;
use crate::auth::Caller;
use crate::extract::Query;
use crate::problem::{Answer, Checks};
use crate::wire::Moment;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use engine::Notice;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

/// How often the credential behind a stream is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Events a slow reader may be behind before the stream ends; it comes back and asks for the state.
const BACKLOG: usize = 256;

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
/// A reader that falls far behind, or whose credential is revoked, is disconnected.
#[utoipa::path(get, path = "/events", tag = "events", security(("bearer" = ["events:read"])), params(EventQuery),
    responses((status = 200, body = EventView, content_type = "text/event-stream")))]
pub async fn stream(
    State(state): State<AdminState>,
    caller: Caller,
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
    let notices = state.engine.events();
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tokio::spawn(pump(state, caller, Wanted(types), notices, sender));
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
    mut notices: broadcast::Receiver<std::sync::Arc<Notice>>,
    sender: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut look = tokio::time::interval(LOOK_AGAIN);
    look.tick().await;
    let mut looked = state.now();
    // Told at once, so that a reader knows from when on it misses nothing.
    if sender
        .send(Ok(Event::default().comment("listening")))
        .await
        .is_err()
    {
        return;
    }
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
            notice = notices.recv() => {
                let notice = match notice {
                    Ok(notice) => notice,
                    Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
                };
                if notice.tenant != caller.tenant() || !wanted.has(notice.kind) {
                    continue;
                }
                // A busy stream keeps no timer waiting, a quiet one has the timer.
                if state.now().since(looked) >= LOOK_AGAIN {
                    looked = state.now();
                    if !caller.still(&state, "events:read").await {
                        return;
                    }
                }
                if sender.try_send(Ok(event(&notice))).is_err()
                {
                    return;
                }
            }
        }
    }
}

fn event(notice: &Notice) -> Event {
    let view = EventView {
        id: notice.seq.to_string(),
        kind: notice.kind,
        seq: notice.seq,
        occurred_at: notice.occurred_at.into(),
        data: &notice.data,
    };
    let text = serde_json::to_string(&view).unwrap_or_default();
    Event::default().id(view.id).event(notice.kind).data(text)
}
