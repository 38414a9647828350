//! What goes wrong, as RFC 9457 problem documents. Each decision has one `Code`; the table here is the only place that
//! maps a code to a status and to words. The request id and the language are added on the way out (`render`), so that a
//! handler needs neither.

use crate::once::REPLAYED;
use crate::tongue::{Tongue, put};
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use tracing::field::Empty;
use utoipa::ToSchema;

macro_rules! codes {
    ($($name:ident $status:literal $code:literal $english:literal $simplified:literal $traditional:literal),+ $(,)?) => {
        /// Why a request was refused. The wire name is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($name),+ }

        impl Code {
            pub fn status(self) -> StatusCode {
                let number: u16 = match self { $(Code::$name => $status),+ };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code),+ }
            }
            fn from_code(code: &str) -> Option<Code> {
                match code { $($code => Some(Code::$name),)+ _ => None }
            }
            fn title(self, language: Tongue) -> &'static str {
                match (self, language) {
                    $((Code::$name, Tongue::English) => $english,
                      (Code::$name, Tongue::Simplified) => $simplified,
                      (Code::$name, Tongue::Traditional) => $traditional),+
                }
            }
        }
    };
}

codes! {
    MalformedJson 400 "malformed_json" "The body is not JSON" "请求体不是有效的 JSON" "請求內容不是有效的 JSON",
    MalformedRequest 400 "malformed_request" "The request cannot be read" "无法读取请求" "無法讀取請求",
    InvalidPath 400 "invalid_path" "The path holds an id that is none" "路径中的编号无效" "路徑中的編號無效",
    InvalidQuery 400 "invalid_query" "A query parameter is not understood" "查询参数无效" "查詢參數無效",
    InvalidCursor 400 "invalid_cursor" "The cursor is not one of ours" "分页游标无效" "分頁游標無效",
    InvalidHeader 400 "invalid_header" "A header is not understood" "请求头无效" "請求標頭無效",
    Unauthenticated 401 "unauthenticated" "Sign in first" "请先登录" "請先登入",
    WrongCredentials 401 "wrong_credentials" "Account or password is wrong" "账号或密码错误" "帳號或密碼錯誤",
    Forbidden 403 "forbidden" "Your role or key does not allow this" "没有权限" "沒有權限",
    CrossSite 403 "cross_site" "The request comes from another site" "拒绝跨站请求" "拒絕跨站請求",
    Banned 403 "tenant_banned" "The enterprise is banned" "企业已被禁止" "企業已被禁用",
    NotFound 404 "not_found" "There is no such thing" "不存在" "不存在",
    NoSuchRoute 404 "no_such_route" "There is no such address" "没有这个地址" "沒有這個位址",
    MethodNotAllowed 405 "method_not_allowed" "The address does not take this method" "不支持此方法" "不支援此方法",
    Balance 402 "balance_too_low" "The balance does not cover it" "余额不足" "餘額不足",
    Conflict 409 "conflict" "It clashes with what is there" "与现有数据冲突" "與現有資料衝突",
    AlreadyExists 409 "already_exists" "It exists already" "已存在" "已存在",
    InUse 409 "in_use" "It is in use" "正在使用中" "正在使用中",
    WrongState 409 "wrong_state" "Its state does not allow this" "当前状态不允许此操作" "目前狀態不允許此操作",
    TemplateIncomplete 409 "template_incomplete" "The template cannot be dialled yet" "模板尚不可拨打" "範本尚不可撥打",
    NotApproved 409 "number_not_approved" "The caller number is not approved" "主叫号码未通过审核" "主叫號碼未通過審核",
    RequestInFlight 409 "request_in_flight" "The same request is being worked on" "相同的请求正在处理" "相同的請求正在處理",
    OutcomeUnknown 409 "outcome_unknown" "The server stopped while it worked on this request" "处理此请求时服务曾中断,结果未知" "處理此請求時服務曾中斷,結果未知",
    SetupClosed 410 "setup_closed" "Set-up is over, or its link has expired" "初始化已完成或链接已过期" "初始化已完成或連結已過期",
    PreconditionFailed 412 "precondition_failed" "It changed since it was read" "数据已被修改,请刷新后重试" "資料已被修改,請重新整理後重試",
    TooLarge 413 "too_large" "The body is too large" "请求体过大" "請求內容過大",
    UnsupportedMediaType 415 "unsupported_media_type" "The body is of another kind than expected" "不支持的内容类型" "不支援的內容類型",
    RangeNotSatisfiable 416 "range_not_satisfiable" "The file has no such range" "请求的范围无效" "請求的範圍無效",
    Invalid 422 "invalid" "Some fields are not right" "部分字段无效" "部分欄位無效",
    UnreadableSheet 422 "unreadable_sheet" "The spreadsheet cannot be read" "无法读取表格文件" "無法讀取表格檔案",
    UnreadableAudio 422 "unreadable_audio" "The audio cannot be read" "无法读取音频文件" "無法讀取音訊檔案",
    KeyReused 422 "idempotency_key_reused" "The Idempotency-Key belongs to another request" "该 Idempotency-Key 已用于其他请求" "該 Idempotency-Key 已用於其他請求",
    TooManyAttempts 429 "too_many_attempts" "Too many attempts; wait a little" "尝试次数过多,请稍后再试" "嘗試次數過多,請稍後再試",
    Internal 500 "internal" "Something went wrong on our side" "服务器内部错误" "伺服器內部錯誤",
    Unavailable 503 "unavailable" "Not available at the moment" "服务暂不可用" "服務暫不可用",
}

/// One field that is not right.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the body (`/phone`), `?name` for a query parameter, or the name of a header.
    pub pointer: String,
    /// Stable: `required`, `too_long`, `unknown_field`, `not_a_number` …
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    errors: Vec<FieldError>,
    fix: Option<String>,
    retry_after: Option<u32>,
}

/// A refusal as it is kept, in no language yet.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    code: String,
    detail: Option<String>,
    errors: Vec<FieldError>,
    fix: Option<String>,
}

impl Kept {
    pub fn again(self) -> Option<Problem> {
        Some(Problem {
            code: Code::from_code(&self.code)?,
            detail: self.detail,
            errors: self.errors,
            fix: self.fix,
            retry_after: None,
        })
    }
}

/// The document as it is sent (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// A URI reference naming the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// Stable and meant for programs.
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(code: Code) -> Problem {
        Problem {
            code,
            detail: None,
            errors: Vec::new(),
            fix: None,
            retry_after: None,
        }
    }
    pub fn detail(mut self, text: impl Into<String>) -> Problem {
        self.detail = Some(text.into());
        self
    }
    pub fn fix(mut self, text: impl Into<String>) -> Problem {
        self.fix = Some(text.into());
        self
    }
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after = Some(seconds);
        self
    }
    pub fn field(mut self, pointer: &str, code: &str, detail: impl Into<String>) -> Problem {
        let (pointer, code) = (pointer.to_owned(), code.to_owned());
        self.errors.push(FieldError {
            pointer,
            code,
            detail: Some(detail.into()),
        });
        self
    }
    pub fn is(&self, code: Code) -> bool {
        self.code == code
    }
    pub fn not_found() -> Problem {
        Problem::new(Code::NotFound)
    }
    /// One field is not right.
    pub fn invalid(pointer: &str, code: &str, detail: impl Into<String>) -> Problem {
        Problem::new(Code::Invalid).field(pointer, code, detail)
    }
    /// To say it again later.
    pub fn keep(&self) -> Kept {
        Kept {
            code: self.code.as_str().to_owned(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            fix: self.fix.clone(),
        }
    }
    /// The cause goes to the log, never to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!(%cause, "request failed");
        Problem::new(Code::Internal)
    }

    fn document(self, language: Tongue, request_id: Option<String>) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:huying:problem:{}", self.code.as_str()),
            title: self.code.title(language).to_owned(),
            status: self.code.status().as_u16(),
            code: self.code.as_str().to_owned(),
            detail: self.detail.map(|text| put(text, language)),
            errors: self
                .errors
                .into_iter()
                .map(|error| FieldError {
                    detail: error.detail.map(|text| put(text, language)),
                    ..error
                })
                .collect(),
            fix: self.fix.map(|text| put(text, language)),
            request_id,
        }
    }

    fn into_response_with(self, language: Tongue, request_id: Option<String>) -> Response {
        let status = self.code.status();
        let retry_after = self.retry_after;
        let document = self.document(language, request_id);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::CONTENT_LANGUAGE,
            HeaderValue::from_static(language.tag()),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.clone().into_response_with(Tongue::English, None);
        // `render` finds it there and writes it again with the request id and in the client's language.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Problem {
        use store::StoreError as E;
        match error {
            E::NotFound => Problem::not_found(),
            E::Conflict { field } => Problem::new(Code::AlreadyExists).field(
                &format!("/{field}"),
                "taken",
                "is taken already",
            ),
            E::Stale => Problem::new(Code::Conflict)
                .detail("it changed in the meantime")
                .fix("read it again and repeat the change"),
            E::WrongState { state } => {
                Problem::new(Code::WrongState).detail(format!("not possible while {state}"))
            }
            E::Reference => Problem::new(Code::InUse).detail("something still refers to it"),
            E::Invalid { field: "cursor" } => Problem::new(Code::InvalidCursor).field(
                "?cursor",
                "invalid_cursor",
                "take next_cursor from an answer to the same sort and filters",
            ),
            E::Invalid { field } => {
                Problem::invalid(&format!("/{field}"), "invalid", "is not acceptable")
            }
            E::Balance => Problem::new(Code::Balance),
            E::Forbidden => Problem::new(Code::Forbidden),
            E::Overloaded | E::Unavailable(_) => Problem::new(Code::Unavailable).retry_after(5),
            error => Problem::internal(error),
        }
    }
}

/// Several fields checked before one refusal names them all.
#[derive(Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    pub fn new() -> Checks {
        Checks::default()
    }
    pub fn fail(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        let (pointer, code) = (pointer.to_owned(), code.to_owned());
        self.0.push(FieldError {
            pointer,
            code,
            detail: Some(detail.into()),
        });
    }
    pub fn that(&mut self, holds: bool, pointer: &str, code: &str, detail: &str) {
        if !holds {
            self.fail(pointer, code, detail);
        }
    }
    /// Neither empty nor longer than `most` characters, and without control characters.
    pub fn text(&mut self, value: &str, pointer: &str, most: usize) {
        if value.trim().is_empty() {
            self.fail(pointer, "required", "must not be empty");
        } else {
            self.optional_text(value, pointer, most);
        }
    }
    pub fn optional_text(&mut self, value: &str, pointer: &str, most: usize) {
        if value.chars().count() > most {
            self.fail(pointer, "too_long", format!("at most {most} characters"));
        } else if value
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            self.fail(
                pointer,
                "control_character",
                "control characters are not allowed",
            );
        }
    }
    pub fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut problem = Problem::new(Code::Invalid);
        problem.errors = self.0;
        Err(problem)
    }
}

/// Outermost layer: gives the request its id, writes problems with it, and turns whatever bare error a layer or the
/// router itself produced into a problem document.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(|text| {
            (8..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
        .map_or_else(crate::secret::request_id, str::to_owned);
    let language = Tongue::asked(request.headers().get(header::ACCEPT_LANGUAGE));
    let method = request.method().clone();
    // The template, not what was asked: a path may hold whatever a stranger writes.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    // What is logged while it is answered says for whom.
    let span = tracing::error_span!("request", request_id = %id, tenant = Empty);
    let mut response = next.run(request).instrument(span).await;
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = problem.or_else(|| bare(&method, &response)) {
        let mut rendered = problem.into_response_with(language, Some(id.clone()));
        for name in [
            header::ALLOW,
            header::CONTENT_RANGE,
            header::SET_COOKIE,
            REPLAYED,
        ] {
            if let Some(value) = response.headers().get(&name) {
                rendered.headers_mut().insert(name, value.clone());
            }
        }
        response = rendered;
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    tracing::debug!(request_id = %id, %method, route, status = status.as_u16(), "api");
    response
}

fn bare(method: &Method, response: &Response) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    // A handler that says in words of its own why (`/readyz`).
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == "application/json") {
        return None;
    }
    Some(Problem::new(match status {
        StatusCode::NOT_FOUND => Code::NoSuchRoute,
        StatusCode::METHOD_NOT_ALLOWED => {
            return Some(
                Problem::new(Code::MethodNotAllowed)
                    .detail(format!("{method} is not offered here")),
            );
        }
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::RANGE_NOT_SATISFIABLE => Code::RangeNotSatisfiable,
        status if status.is_client_error() => Code::MalformedRequest,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }))
}

pub type Answer<T> = Result<T, Problem>;
