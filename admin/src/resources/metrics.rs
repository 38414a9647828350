//! `/metrics` for Prometheus, on an address of its own (README), so that a proxy before the API does not serve it to the world.

use crate::AdminState;
use crate::resources::health;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meter::{Histogram, Page, Part, Ranges};
use model::Wall;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::metrics::States;

const ANSWER_MS: &[u32] = &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];
/// How old the numbers of campaigns and leads may get.
const FRESH: Duration = Duration::from_secs(60);

/// What the API counts.
#[derive(Debug, Default)]
pub struct Counts {
    routes: Mutex<BTreeMap<(String, &'static str), Answers>>,
    states: Mutex<Option<(Wall, States)>>,
}

#[derive(Debug)]
struct Answers {
    by_status: BTreeMap<u16, u64>,
    took: Histogram,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked here left counts behind, nothing else.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is served on the metrics' own address.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(state)
}

async fn scrape(State(state): State<AdminState>) -> impl IntoResponse {
    let (words, database) = tokio::join!(state.engine.words(), health::database(&state));
    let parts: Vec<Box<dyn Part>> = vec![
        Box::new(About {
            database,
            readers: state.ring.readers(),
        }),
        Box::new(words),
        Box::new(state.store.counted()),
        Box::new(states(&state).await),
        Box::new(state.counts.routes()),
        Box::new(engine::Process),
    ];
    let (kind, text) = meter::page(parts);
    ([(header::CONTENT_TYPE, kind)], text)
}

/// As they were a minute ago at most: counting a million leads is not for each scrape, nor for a scrape to wait for.
async fn states(state: &AdminState) -> States {
    let known = lock(&state.counts.states).clone();
    let now = state.now();
    match known {
        Some((at, states)) if now.since(at) < FRESH && at <= now => states,
        Some((_, states)) => {
            // One look at a time: the next scrape finds this moment, and the old numbers until there are new ones.
            *lock(&state.counts.states) = Some((now, states.clone()));
            let state = state.clone();
            tokio::spawn(async move { look(&state).await });
            states
        }
        None => look(state).await,
    }
}

async fn look(state: &AdminState) -> States {
    let states = state
        .store
        .states(&state.platform)
        .await
        .unwrap_or_default();
    *lock(&state.counts.states) = Some((state.now(), states.clone()));
    states
}

/// Layer around every route: counts its answers by the route's template, never by what was asked.
pub async fn count(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let method = method(request.method().as_str());
    let clock = engine::clock::Clock::start();
    let response = next.run(request).await;
    let took = clock.mono().since(model::Mono::ZERO);
    counts.add(route, method, response.status().as_u16(), took);
    response
}

fn method(name: &str) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("other")
}

impl Counts {
    fn add(&self, route: String, method: &'static str, status: u16, took: Duration) {
        let mut routes = lock(&self.routes);
        let answers = routes.entry((route, method)).or_insert_with(|| Answers {
            by_status: BTreeMap::new(),
            took: Histogram::new(ANSWER_MS),
        });
        *answers.by_status.entry(status).or_default() += 1;
        answers.took.add(took);
    }

    fn routes(&self) -> Routes {
        let routes = lock(&self.routes);
        let mut told = Routes::default();
        for ((route, method), answers) in routes.iter() {
            let of = [route.clone(), (*method).to_owned()];
            for (status, n) in &answers.by_status {
                let [route, method] = of.clone();
                told.answers
                    .push(([route, method, status.to_string()], *n as f64));
            }
            told.took.push((of, answers.took.get()));
        }
        told
    }
}

#[derive(Debug, Default)]
struct Routes {
    answers: Vec<([String; 3], f64)>,
    took: Vec<([String; 2], Ranges)>,
}

impl Part for Routes {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counters(
            "huying_http_requests",
            "Answered requests by route template",
            ["route", "method", "status"],
            self.answers.clone(),
        )?;
        page.histograms(
            "huying_http_request_seconds",
            "From a request to the head of its answer",
            ["route", "method"],
            self.took.clone(),
        )
    }
}

#[derive(Debug)]
struct About {
    database: bool,
    readers: usize,
}

impl Part for About {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let version = [([env!("CARGO_PKG_VERSION").to_owned()], 1.0)];
        let readers = self.readers as f64;
        page.gauge("huying_event_stream_readers", "Open event streams", readers)?;
        page.gauges("huying_build", "The release", ["version"], version)?;
        page.gauge(
            "huying_database_up",
            "1: the database answers",
            u32::from(self.database),
        )
    }
}
