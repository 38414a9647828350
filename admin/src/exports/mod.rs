//! Any list as a file: `GET /calls` with `.csv` or `.xlsx` behind it. The list itself is asked, page after page, with the
//! caller's own request: the same filters, the same door, looked at again with every page. Nothing is held but the page
//! that is being written.
//!
//! A list becomes a file by its row in `columns`.

mod columns;
mod rows;

use crate::AdminState;
use crate::auth::Caller;
use crate::problem::{Code, Problem};
use crate::sheet::{self, Cell, Format};
use crate::tongue::Tongue;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use columns::{LISTS, List};
use rows::Rows;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::{ContentBuilder, OpenApi, RefOr, ResponseBuilder};

const BASE: &str = "/api/v1";
/// Rows asked for at a time: the most a page may have.
const PAGE: u32 = store::list::MOST;
/// Bytes of one page at most.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Files made at once.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

const FORMATS: [Format; 2] = [Format::Csv, Format::Xlsx];

/// Adds the files to the document: what their lists ask, but for pages.
pub fn describe(document: &mut OpenApi) {
    for list in LISTS {
        let item = document.paths.paths.get(&format!("{BASE}{}", list.path));
        let Some(of) = item.and_then(|item| item.get.clone()) else {
            continue;
        };
        for format in FORMATS {
            let path = format!("{BASE}{}.{}", list.path, format.ending());
            let mut item = PathItem::default();
            item.get = Some(operation(&of, format));
            document.paths.paths.insert(path, item);
        }
    }
}

fn operation(of: &Operation, format: Format) -> Operation {
    let mut made = of.clone();
    let summary = of.summary.as_deref().unwrap_or("A list");
    made.summary = Some(format!("{summary}, as .{}", format.ending()));
    made.description = Some(
        "The whole list under the same filters. Times are on the enterprise's clock; headings follow Accept-Language \
         (en, zh-Hans, zh-Hant)."
            .to_owned(),
    );
    if let Some(parameters) = &mut made.parameters {
        parameters.retain(|parameter| !is_paging(name(parameter)));
    }
    let response = ResponseBuilder::new()
        .description("The file")
        .content(format.media_type(), ContentBuilder::new().build())
        .build();
    made.responses.responses.clear();
    made.responses
        .responses
        .insert("200".to_owned(), RefOr::T(response));
    made
}

fn name(parameter: &RefOr<Parameter>) -> &str {
    match parameter {
        RefOr::T(parameter) => &parameter.name,
        RefOr::Ref(_) => "",
    }
}

fn is_paging(parameter: &str) -> bool {
    matches!(parameter, "limit" | "cursor")
}

/// One route.
struct Export {
    list: &'static List,
    format: Format,
    /// Whether the list comes in pages at all.
    paged: bool,
}

/// The routes of the files. `lists` answers the lists themselves, doors and all.
pub fn routes(state: &AdminState, document: &OpenApi, lists: Router) -> Router {
    let mut router = Router::new();
    for list in LISTS {
        let path = format!("{BASE}{}", list.path);
        let item = document.paths.paths.get(&path);
        let Some(operation) = item.and_then(|item| item.get.as_ref()) else {
            continue;
        };
        let paged = operation
            .parameters
            .iter()
            .flatten()
            .any(|parameter| name(parameter) == "cursor");
        for format in FORMATS {
            let export = Arc::new(Export {
                list,
                format,
                paged,
            });
            let (state, lists) = (state.clone(), lists.clone());
            let handler = move |request: Request| {
                let (state, lists, export) = (state.clone(), lists.clone(), export.clone());
                async move {
                    file(state, lists, export, request)
                        .await
                        .unwrap_or_else(|refusal| refusal)
                }
            };
            router = router.route(&format!("{path}.{}", format.ending()), get(handler));
        }
    }
    router
}

/// The pages of a list, one after another.
struct Pages {
    lists: Router,
    path: String,
    query: String,
    headers: HeaderMap,
    paged: bool,
    /// Where the next begins; `None` at the end.
    cursor: Option<String>,
}

impl Pages {
    /// The next page's rows, or the list's refusal.
    async fn next(&mut self) -> Result<Option<Vec<Value>>, Response> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut query = self.query.clone();
        if self.paged {
            let join = if query.is_empty() { "" } else { "&" };
            query.push_str(&format!("{join}limit={PAGE}"));
            if !cursor.is_empty() {
                query.push_str(&format!("&cursor={}", encoded(&cursor)));
            }
        }
        let uri: Uri = format!("{}?{query}", self.path)
            .parse()
            .map_err(|_| Problem::new(Code::InvalidQuery).into_response())?;
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let Ok(response) = self.lists.clone().oneshot(request).await;
        if response.status() != StatusCode::OK {
            return Err(response);
        }
        let broken = |error: String| Problem::internal(error).into_response();
        let bytes = axum::body::to_bytes(response.into_body(), PAGE_BYTES)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let mut page: Value =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if self.paged {
            self.cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        match page["data"].take() {
            Value::Array(rows) => Ok(Some(rows)),
            _ => Err(broken("a list without rows".to_owned())),
        }
    }
}

async fn file(
    state: AdminState,
    lists: Router,
    export: Arc<Export>,
    request: Request,
) -> Result<Response, Response> {
    let (mut parts, _) = request.into_parts();
    let refused = |problem: Problem| problem.into_response();
    let caller = Caller::from_request_parts(&mut parts, &())
        .await
        .map_err(refused)?;
    let query = parts.uri.query().unwrap_or_default();
    let paging = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .find(|name| is_paging(name));
    if let Some(name) = paging {
        let problem = Problem::new(Code::InvalidQuery).field(
            &format!("?{name}"),
            "unknown_parameter",
            "a file holds the whole list",
        );
        return Err(refused(problem));
    }
    let ending = format!(".{}", export.format.ending());
    let path = parts.uri.path();
    let mut headers = parts.headers.clone();
    for name in [
        header::IF_NONE_MATCH,
        header::RANGE,
        header::ACCEPT_ENCODING,
    ] {
        headers.remove(name);
    }
    let mut pages = Pages {
        lists,
        path: path.strip_suffix(&ending).unwrap_or(path).to_owned(),
        query: query.to_owned(),
        headers,
        paged: export.paged,
        cursor: Some(String::new()),
    };
    // The first page tells whether there is a file at all.
    let first = pages.next().await?.unwrap_or_default();
    let tenant = state.store.tenant(&caller.scope).await;
    let zone = tenant.map_err(Problem::from).map_err(refused)?.zone;
    let tongue = Tongue::asked(parts.headers.get(header::ACCEPT_LANGUAGE));
    let rows = Rows::new(export.list, zone, tongue, &first);
    let told = json!({ "list": pages.path, "query": query, "format": export.format.ending() });
    let (scope, now) = (&caller.scope, state.now());
    let body = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        let noted = state
            .store
            .note_deed(scope, "list.exported", None, &told, now);
        noted.await.map_err(Problem::from).map_err(refused)?;
        let body = stream(&state, export.format, rows, first, pages).await;
        body.map_err(Problem::internal).map_err(refused)?
    };
    let stamp = now.utc().with_timezone(&zone).format("%Y%m%d-%H%M");
    let name = format!("{}-{stamp}{ending}", export.list.name);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(export.format.media_type()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Pages → cells → bytes: one task asks, one thread writes, and neither is more than a page ahead of the client.
async fn stream(
    state: &AdminState,
    format: Format,
    mut rows: Rows,
    first: Vec<Value>,
    mut pages: Pages,
) -> io::Result<Body> {
    let turn = AT_ONCE.acquire().await.map_err(io::Error::other)?;
    let scratch = state.config.exports.clone();
    tokio::fs::create_dir_all(&scratch).await?;
    let (cells_in, mut cells) = mpsc::channel::<io::Result<Vec<Vec<Cell>>>>(1);
    let (bytes_in, bytes) = mpsc::channel::<io::Result<Bytes>>(4);
    let heading = rows.heading();
    tokio::spawn(async move {
        let mut page = first;
        loop {
            let part = page.iter().map(|row| rows.cells(row)).collect();
            if cells_in.send(Ok(part)).await.is_err() {
                return;
            }
            page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return,
                Err(refusal) => {
                    // The status is out already: the connection is cut, so that nobody takes a part for the whole.
                    let why = format!("the list ended with {}", refusal.status());
                    cells_in.send(Err(io::Error::other(why))).await.ok();
                    return;
                }
            };
        }
    });
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut out = Chunks {
            to: bytes_in,
            full: Vec::with_capacity(CHUNK),
            runtime: tokio::runtime::Handle::current(),
        };
        let parts = std::iter::from_fn(|| cells.blocking_recv());
        let wrote = sheet::write(format, &heading, parts, &scratch, &mut out);
        if let Err(error) = wrote.and_then(|()| out.flush()) {
            out.fail(error);
        }
    });
    Ok(Body::from_stream(ReceiverStream::new(bytes)))
}

const CHUNK: usize = 64 * 1024;

/// How long a client may take nothing before it is given up: it holds a place others wait for.
const STALLED: Duration = Duration::from_secs(60);

/// Bytes on their way to the client, in pieces of some size. Fails when the client has gone.
struct Chunks {
    to: mpsc::Sender<io::Result<Bytes>>,
    full: Vec<u8>,
    runtime: tokio::runtime::Handle,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.full.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.full, Vec::with_capacity(CHUNK));
        self.runtime
            .block_on(self.to.send_timeout(Ok(full.into()), STALLED))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn fail(&self, error: io::Error) {
        self.runtime
            .block_on(self.to.send_timeout(Err(error), STALLED))
            .ok();
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full.extend_from_slice(bytes);
        if self.full.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// For a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
