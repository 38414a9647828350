//! The document, the router that is made with it, and the layers around both.

use crate::AdminState;
use crate::auth;
use crate::describe;
use crate::doors::{self, Doors};
use crate::etag;
use crate::exports;
use crate::problem::{self, Code, Problem, ProblemDocument};
use crate::resources::*;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, Ref, ResponseBuilder};
use utoipa::openapi::{ContactBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

const SPEC: &str = "/api/v1/openapi.json";

/// Room for a form's fields and boundaries beside the file.
pub const FORM: usize = 64 * 1024;

fn described(upload_limit: usize, import_limit: usize) -> OpenApiRouter<AdminState> {
    let uploads = OpenApiRouter::new()
        .routes(routes!(prompts::list, prompts::upload))
        .layer(DefaultBodyLimit::max(upload_limit + FORM));
    let sheets = OpenApiRouter::new()
        .routes(routes!(imports::list, imports::create))
        .layer(DefaultBodyLimit::max(import_limit + FORM));
    let api = OpenApiRouter::new()
        .routes(routes!(setup::state, setup::create))
        .routes(routes!(sessions::create))
        .routes(routes!(sessions::delete))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::password))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::change))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(extensions::list, extensions::create))
        .routes(routes!(
            extensions::get,
            extensions::change,
            extensions::delete
        ))
        .routes(routes!(trunks::list, trunks::create))
        .routes(routes!(trunks::get, trunks::change, trunks::delete))
        .routes(routes!(caller_numbers::list, caller_numbers::create))
        .routes(routes!(caller_numbers::get, caller_numbers::delete))
        .routes(routes!(leads::list, leads::create))
        .routes(routes!(leads::enqueue))
        .routes(routes!(imports::template_xlsx))
        .routes(routes!(imports::template_csv))
        .routes(routes!(imports::get))
        .routes(routes!(imports::cancel))
        .routes(routes!(imports::rejects))
        .routes(routes!(leads::get, leads::change, leads::delete))
        .routes(routes!(leads::take_back))
        .routes(routes!(leads::why))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::validate))
        .routes(routes!(templates::get, templates::put, templates::delete))
        .routes(routes!(templates::findings))
        .routes(routes!(template_parts::nodes, template_parts::put_nodes))
        .routes(routes!(
            template_parts::questions,
            template_parts::put_questions
        ))
        .routes(routes!(
            template_parts::corrections,
            template_parts::put_corrections
        ))
        .routes(routes!(prompts::download))
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::get, campaigns::put))
        .routes(routes!(campaigns::start))
        .routes(routes!(campaigns::pause))
        .routes(routes!(campaigns::progress))
        .routes(routes!(grading::campaign))
        .routes(routes!(grading::list, grading::create))
        .routes(routes!(decisions::list))
        .routes(routes!(audit::list))
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
        .routes(routes!(timeline::get))
        .routes(routes!(grading::call))
        .routes(routes!(calls::recording))
        .routes(routes!(calls::live))
        .routes(routes!(calls::hang_up))
        .routes(routes!(ledger::balance))
        .routes(routes!(ledger::list))
        .routes(routes!(do_not_call::list, do_not_call::create))
        .routes(routes!(do_not_call::delete))
        .routes(routes!(events::stream))
        .routes(routes!(settings::get, settings::put))
        .routes(routes!(platform::tenants, platform::create_tenant))
        .routes(routes!(platform::set_terms))
        .routes(routes!(platform::recharge))
        .routes(routes!(platform::caller_numbers))
        .routes(routes!(platform::decide))
        .merge(uploads)
        .merge(sheets);
    OpenApiRouter::with_openapi(base())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .nest("/api/v1", api)
}

fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A session's token or an API key. Browsers send the session's cookie instead.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schema(ProblemDocument::name(), ProblemDocument::schema())
        .schema(problem::FieldError::name(), problem::FieldError::schema())
        .response(
            "Problem",
            ResponseBuilder::new()
                .description("A refusal (RFC 9457)")
                .content(
                    "application/problem+json",
                    ContentBuilder::new()
                        .schema(Some(RefOr::Ref(Ref::from_schema_name(
                            ProblemDocument::name(),
                        ))))
                        .build(),
                )
                .build(),
        )
        .build();
    let info = InfoBuilder::new()
        .title("Huying")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Lists take filters, `sort`, `limit` and `cursor` and answer `{data, next_cursor}`. Refusals are problem documents \
             (RFC 9457) with a stable `code`, pointers to what is wrong and the `request_id`, in English or Chinese by \
             `Accept-Language`. `Idempotency-Key` on a POST: it is done once, however often it is sent. `ETag` on what may \
             be changed; `If-Match` refuses a change made from another version. Money is in the currency's smallest unit. \
             Moments are RFC 3339.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("Huying")).build()))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// The OpenAPI document, as it is served and checked in.
pub fn document() -> OpenApi {
    let (_, mut document) = described(0, 0).split_for_parts();
    describe::finish(&mut document);
    document
}

/// Routes that declare no door; there must be none.
pub fn undeclared_routes() -> Vec<String> {
    doors::undeclared(&document())
}

/// Everything the API serves.
pub fn router(state: AdminState) -> Router {
    let config = &state.config;
    let (routes, mut document) =
        described(config.upload_limit, config.import_limit).split_for_parts();
    describe::finish(&mut document);
    let guard = (state.clone(), Arc::new(Doors::of(&document)));
    let api = routes
        .route_layer(from_fn_with_state(guard.clone(), auth::guard))
        .with_state(state.clone());
    let files = exports::routes(&state, &document, api.clone())
        .route_layer(from_fn_with_state(guard, auth::guard));
    Router::new()
        .merge(api)
        .merge(files)
        .merge(SwaggerUi::new("/docs").url(SPEC, document))
        .route("/", get(async || Redirect::temporary("/docs")))
        .route("/setup", get(setup_page))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(state.config.body_limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(etag::unchanged))
        .layer(from_fn(hardened))
        .layer(from_fn(problem::render))
        .layer(from_fn_with_state(state.counts.clone(), metrics::count))
}

async fn nowhere() -> Problem {
    Problem::new(Code::NoSuchRoute)
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::internal("a handler panicked").into_response()
}

/// Until the console has its own page for it: a form that posts to `/api/v1/setup`.
async fn setup_page() -> Html<&'static str> {
    Html(include_str!("setup.html"))
}

async fn hardened(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
