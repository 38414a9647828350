//! Lists: `?limit=50&cursor=…` in, `{data, next_cursor}` out. A cursor is opaque; the store makes and reads it.

use crate::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub const DEFAULT_LIMIT: u32 = 50;
pub const MOST: u32 = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl PageQuery {
    pub fn limit(&self) -> Result<u32, Problem> {
        limit(self.limit)
    }
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(n) if (1..=MOST).contains(&n) => Ok(n),
        Some(_) => Err(Problem::new(Code::InvalidQuery).field(
            "?limit",
            "out_of_range",
            format!("1 to {MOST}"),
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_between_one_and_the_most() {
        assert_eq!(limit(None).unwrap(), DEFAULT_LIMIT);
        assert_eq!(limit(Some(MOST)).unwrap(), MOST);
        assert!(limit(Some(0)).is_err() && limit(Some(MOST + 1)).is_err());
    }
}
