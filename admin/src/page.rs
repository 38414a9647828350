//! Lists: filters, a sort and a page in, `{data, next_cursor}` out. What a list takes is declared where its table is
//! (`store::Listing`); here a query is read against that declaration, and the document shows it.

use crate::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};
use std::marker::PhantomData;
use store::list::{BadParameter, Field, Kind, MOST, USUAL};
use store::{Asked, Listing};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

/// A list of the API.
pub trait Listed {
    const LISTING: &'static Listing;
}

/// A list as a request asks for it.
pub struct List<L>(pub Asked, pub PhantomData<L>);

impl<L: Listed, S: Send + Sync> FromRequestParts<S> for List<L> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::new(Code::InvalidQuery).detail("the query cannot be read"))?;
        Asked::read(L::LISTING, query.0)
            .map(|asked| List(asked, PhantomData))
            .map_err(Problem::from)
    }
}

impl From<BadParameter> for Problem {
    fn from(bad: BadParameter) -> Problem {
        let code = match bad.code {
            "invalid_cursor" => Code::InvalidCursor,
            _ => Code::InvalidQuery,
        };
        Problem::new(code).field(&format!("?{}", bad.name), bad.code, bad.detail)
    }
}

impl<L: Listed> IntoParams for List<L> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let listing = L::LISTING;
        let mut all: Vec<Value> = listing.fields.iter().flat_map(shown).collect();
        if listing.searches() {
            let about = "Part of a name or number.";
            all.push(parameter(
                "q",
                about,
                json!({ "type": "string", "maxLength": 200 }),
            ));
        }
        let sorts = json!({ "type": "string", "enum": listing.sorts(), "default": listing.order });
        all.push(parameter("sort", "A minus sign is descending.", sorts));
        let limit = json!({
            "type": "integer", "format": "int32", "minimum": 1, "maximum": MOST, "default": USUAL,
        });
        all.push(parameter("limit", "Rows per page.", limit));
        let about = "`next_cursor` of an answer to the same sort and filters.";
        all.push(parameter("cursor", about, json!({ "type": "string" })));
        let read = all.into_iter().map(serde_json::from_value);
        // Fixed pieces: a mistake in them fails the test of the document.
        read.collect::<Result<_, _>>().unwrap_or_default()
    }
}

fn parameter(name: &str, about: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
}

fn shown(field: &Field) -> Vec<Value> {
    let several = |items: Value, about: &str| {
        let schema = json!({ "type": "array", "items": items, "minItems": 1 });
        let mut shown = parameter(field.name, about, schema);
        // A list is one value with commas.
        shown["style"] = json!("form");
        shown["explode"] = json!(false);
        vec![shown]
    };
    let one = |about: &str, schema| vec![parameter(field.name, about, schema)];
    match field.kind {
        Kind::Id => several(
            json!({ "type": "string", "format": "uuid" }),
            "One or more with commas.",
        ),
        Kind::Word(known) => several(
            json!({ "type": "string", "enum": known }),
            "One or more with commas.",
        ),
        Kind::Whole => several(
            json!({ "type": "integer", "format": "int64" }),
            "One or more with commas.",
        ),
        Kind::Text => one("The whole text.", json!({ "type": "string" })),
        Kind::Part => one("Part of it.", json!({ "type": "string" })),
        Kind::Flag => one(
            "Only these, or only the others.",
            json!({ "type": "boolean" }),
        ),
        Kind::Moment => [
            ("gte", "From this moment on."),
            ("lt", "Before this moment."),
        ]
        .into_iter()
        .map(|(edge, about)| {
            let name = format!("{}[{edge}]", field.name);
            parameter(
                &name,
                about,
                json!({ "type": "string", "format": "date-time" }),
            )
        })
        .collect(),
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    pub fn of<R>(page: store::Page<R>, show: impl FnMut(R) -> T) -> Page<T> {
        Page {
            data: page.rows.into_iter().map(show).collect(),
            next_cursor: page.next,
        }
    }
    /// A list short enough to come whole.
    pub fn whole(data: Vec<T>) -> Page<T> {
        Page {
            data,
            next_cursor: None,
        }
    }
}
