//! Enums of other crates as their stable words, by the names serde gives them.

use crate::db::Row;
use crate::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// `"no_answer"`; only for enums without fields.
pub(crate) fn of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

pub(crate) fn read<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    parse(row.get(column)?)
}

pub(crate) fn maybe<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    row.get::<Option<String>>(column)?.map(parse).transpose()
}

fn parse<T: DeserializeOwned>(word: String) -> Result<T, StoreError> {
    serde_json::from_value(Value::String(word)).map_err(|_| StoreError::Damaged("a word"))
}
