//! `Idempotency-Key`: a request with one is done once, however often it is sent. The first answer is kept for a day and sent
//! again; the same key on another request is refused; while the first is at work, the second is told to wait.
//!
//! The body is read before the work begins, to know the request again: into memory, or, of a form, into a file without a
//! name, so that a large import costs disk and no memory.
//!
//! What is kept is sealed: answers hold keys and passwords that are shown once. The seal is made of the caller's own token,
//! of which the database knows only a hash, so nothing in it opens the answers.

use crate::AdminState;
use crate::auth::Caller;
use crate::problem::{Answer, Code, Problem};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::idempotency::{self, Taken};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Largest answer that is kept, bytes.
const ANSWER: usize = 4 * 1024 * 1024;

/// Does the request once.
pub async fn once(state: &AdminState, caller: &Caller, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(KEY) else {
        return next.run(request).await;
    };
    let fits = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    if !fits {
        return Problem::new(Code::InvalidHeader)
            .field(
                "Idempotency-Key",
                "invalid",
                "1 to 255 printable ASCII characters",
            )
            .into_response();
    }
    let key: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let (parts, body) = request.into_parts();
    let (body, print) = match hold(state, &parts, body).await {
        Ok(held) => held,
        Err(problem) => return problem.into_response(),
    };
    let asked = idempotency::Request {
        credential: caller.credential(),
        key,
        print,
        run: state.run,
    };
    let seal = Seal::of(caller.token(), &key);
    match state
        .store
        .take_request(&caller.scope, &asked, state.now())
        .await
    {
        Err(error) => return Problem::from(error).into_response(),
        Ok(Taken::Ours) => {}
        Ok(Taken::Answered(sealed)) => {
            return match seal.open(&sealed).and_then(|plain| Kept::read(&plain)) {
                Some(kept) => kept.again(),
                None => Problem::internal("a kept answer cannot be opened").into_response(),
            };
        }
        Ok(Taken::InFlight) => {
            return Problem::new(Code::RequestInFlight)
                .retry_after(1)
                .into_response();
        }
        Ok(Taken::Unknown) => {
            return Problem::new(Code::OutcomeUnknown)
                .fix("look whether it is done; if it is not, send it with another Idempotency-Key")
                .into_response();
        }
        Ok(Taken::Other) => {
            return Problem::new(Code::KeyReused)
                .fix("give each request a key of its own")
                .into_response();
        }
    }
    let request = Request::from_parts(parts, body);
    let (state, scope) = (state.clone(), caller.scope.clone());
    // On its own task: a client that goes away must not leave the work half told.
    let work = tokio::spawn(async move {
        let response = next.run(request).await;
        finish(&state, &scope, &asked, &seal, response).await
    });
    match work.await {
        Ok(response) => response,
        Err(error) => Problem::internal(error).into_response(),
    }
}

async fn finish(
    state: &AdminState,
    scope: &store::Scope,
    asked: &idempotency::Request,
    seal: &Seal,
    response: Response,
) -> Response {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        state.store.forget_request(scope, asked).await.ok();
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER).await else {
        return Problem::internal("an answer is too large to keep").into_response();
    };
    let problem = parts.extensions.get::<Problem>().map(Problem::keep);
    let kept = Kept {
        problem,
        ..Kept::of(status, &parts.headers, &bytes)
    };
    let sealed = serde_json::to_vec(&kept)
        .ok()
        .and_then(|plain| seal.shut(&plain));
    // What is done is done: an answer that could not be kept is still the answer.
    if let Some(sealed) = sealed
        && let Err(error) = state.store.keep_answer(scope, asked, &sealed).await
    {
        tracing::warn!(%error, "the answer to an idempotent request was not kept");
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Reads a body to its end, to be read again, and takes the print of its request.
async fn hold(state: &AdminState, parts: &Parts, body: Body) -> Answer<(Body, [u8; 32])> {
    let mut print = Print::of(parts);
    let form = kind(&parts.headers).starts_with("multipart/");
    let most = state.config.most(form);
    if !form {
        let bytes = to_bytes(body, most)
            .await
            .map_err(|_| Problem::new(Code::TooLarge))?;
        print.add(&bytes);
        return Ok((Body::from(bytes), print.end()));
    }
    let folder = &state.config.imports;
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(Problem::internal)?;
    let file = tempfile::tempfile_in(folder).map_err(Problem::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = Limited::new(body, most);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::TooLarge))?;
        if let Ok(bytes) = frame.into_data() {
            print.add(&bytes);
            file.write_all(&bytes).await.map_err(Problem::internal)?;
        }
    }
    // Writes what is on its way, too.
    file.rewind().await.map_err(Problem::internal)?;
    Ok((Body::from_stream(ReaderStream::new(file)), print.end()))
}

fn kind(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Method, address, kind and body. A form's boundary is chosen anew by each sender: it does not count.
struct Print {
    hash: Sha256,
    /// The boundary as it stands in the body; empty when there is none.
    mark: Vec<u8>,
    /// May be the beginning of a mark.
    tail: Vec<u8>,
}

/// Of a boundary, RFC 2046 §5.1.1.
const MARK: usize = 70;

impl Print {
    fn of(parts: &Parts) -> Print {
        let kind = kind(&parts.headers);
        let mark = kind
            .split(';')
            .find_map(|part| part.trim().strip_prefix("boundary="))
            .map(|mark| mark.trim_matches('"'))
            .filter(|mark| (1..=MARK).contains(&mark.len()))
            .map_or_else(Vec::new, |mark| format!("--{mark}").into_bytes());
        let mut hash = Sha256::new();
        for text in [
            parts.method.as_str(),
            &parts.uri.to_string(),
            kind.split(';').next().unwrap_or_default(),
        ] {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        let tail = Vec::new();
        Print { hash, mark, tail }
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.mark.is_empty() {
            return self.hash.update(bytes);
        }
        self.tail.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(at) = find(&self.tail[done..], &self.mark) {
            self.hash.update(&self.tail[done..done + at]);
            done += at + self.mark.len();
        }
        let kept = (self.tail.len() - done).min(self.mark.len() - 1);
        let end = self.tail.len() - kept;
        self.hash.update(&self.tail[done..end]);
        self.tail.drain(..end);
    }

    fn end(mut self) -> [u8; 32] {
        self.hash.update(&self.tail);
        self.hash.finalize().into()
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == mark[0]) {
        if bytes[from + at..].starts_with(mark) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    /// Hexadecimal.
    body: String,
    /// A refusal is written again, in the language of whoever asks again.
    problem: Option<crate::problem::Kept>,
}

impl Kept {
    fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Kept {
        let told = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
        let headers = told.iter().filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.to_string(), value.to_owned()))
        });
        Kept {
            status: status.as_u16(),
            headers: headers.collect(),
            body: hex::encode(body),
            problem: None,
        }
    }
    fn read(plain: &[u8]) -> Option<Kept> {
        serde_json::from_slice(plain).ok()
    }
    fn again(self) -> Response {
        if let Some(problem) = self.problem.and_then(|problem| problem.again()) {
            let mut response = problem.into_response();
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            return response;
        }
        let body = hex::decode(&self.body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// SHA-256 over (key, nonce, counter) as a stream: inputs of one fixed length under a secret of 256 bits.
struct Seal([u8; 32]);

const NONCE: usize = 16;

impl Seal {
    fn of(token: &str, key: &[u8; 32]) -> Seal {
        let mut hash = Sha256::new();
        hash.update(b"huying idempotency");
        hash.update(key);
        hash.update(token.as_bytes());
        Seal(hash.finalize().into())
    }
    fn shut(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).ok()?;
        let mut sealed = nonce.to_vec();
        sealed.extend(self.stream(&nonce, plain));
        Some(sealed)
    }
    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        Some(self.stream(nonce, rest))
    }
    fn stream(&self, nonce: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for (n, part) in (0u64..).zip(bytes.chunks(32)) {
            let mut hash = Sha256::new();
            hash.update(self.0);
            hash.update(nonce);
            hash.update(n.to_be_bytes());
            let pad = hash.finalize();
            out.extend(part.iter().zip(pad).map(|(byte, pad)| byte ^ pad));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_and_key_open_an_answer() {
        let (key, other) = ([1; 32], [2; 32]);
        let plain = b"{\"key\":\"hyk_0123\"}".repeat(9);
        let sealed = Seal::of("hys_a", &key).shut(&plain).unwrap();
        assert!(find(&sealed, b"hyk_").is_none());
        assert_eq!(Seal::of("hys_a", &key).open(&sealed).unwrap(), plain);
        assert_ne!(Seal::of("hys_b", &key).open(&sealed).unwrap(), plain);
        assert_ne!(Seal::of("hys_a", &other).open(&sealed).unwrap(), plain);
        assert!(Seal::of("hys_a", &key).open(&sealed[..5]).is_none());
    }

    #[test]
    fn a_form_is_the_same_whatever_its_boundary() {
        let form = |mark: &str, text: &str, piece: usize| {
            let kind = format!("multipart/form-data; boundary={mark}");
            let request = Request::post("/leads/imports").header(header::CONTENT_TYPE, kind);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let body = format!("--{mark}\r\n{text}\r\n--{mark}--\r\n");
            let mut print = Print::of(&parts);
            for bytes in body.as_bytes().chunks(piece) {
                print.add(bytes);
            }
            print.end()
        };
        let whole = form("aaa", "x", 99);
        for piece in 1..9 {
            assert_eq!(form("aaa", "x", piece), whole);
            assert_eq!(form("b-b", "x", piece), whole);
            assert_ne!(form("aaa", "y", piece), whole);
        }
    }
}
