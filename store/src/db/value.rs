//! What goes into a statement and comes out of a row, in the few forms both databases share.

use crate::error::StoreError;
use model::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A bound value. Absence is typed, since PostgreSQL wants to know of what.
#[derive(Clone, Debug)]
pub enum Value {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
}

/// A value as JSON text: `Json(&plan)` to bind, `row.json("plan")` to read.
pub struct Json<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> From<Json<'_, T>> for Value {
    fn from(Json(value): Json<'_, T>) -> Value {
        // Only maps with non-text keys and failing Serialize impls can fail; none of ours is one.
        Value::Text(Some(
            serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()),
        ))
    }
}

macro_rules! into_value {
    ($($type:ty => $variant:ident, $value:ident => $e:expr;)+) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Value {
                Value::$variant(Some($e))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Value {
                Value::$variant(value.map(|$value| $e))
            }
        }
    )+};
}

into_value! {
    i64 => Int, v => v;
    u32 => Int, v => i64::from(v);
    u16 => Int, v => i64::from(v);
    u8 => Int, v => i64::from(v);
    u64 => Int, v => i64::try_from(v).unwrap_or(i64::MAX);
    Wall => Int, v => v.as_millis();
    Money => Int, v => v.minor();
    bool => Bool, v => v;
    String => Text, v => without_nul(v);
    &str => Text, v => without_nul(v.to_owned());
    &String => Text, v => without_nul(v.clone());
    &E164 => Text, v => v.as_str().to_owned();
    E164 => Text, v => v.as_str().to_owned();
    Grade => Text, v => v.letter().to_string();
    Vec<u8> => Bytes, v => v;
    &[u8] => Bytes, v => v.to_vec();
    [u8; 16] => Bytes, v => v.to_vec();
    [u8; 32] => Bytes, v => v.to_vec();
    Uuid => Uuid, v => v;
}

/// PostgreSQL's text holds any character but U+0000; a stranger's display name may. (In JSON it stands escaped.)
fn without_nul(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{FFFD}"),
        false => text,
    }
}

/// What a column can be read as.
pub trait Cell: Sized {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError>;
}

/// One row of either database.
pub enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// A column by its name.
    pub fn get<T: Cell>(&self, column: &str) -> Result<T, StoreError> {
        T::read(self, column)
    }

    /// A column of JSON text.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| {
            tracing::error!(column, %error, "stored JSON cannot be read");
            StoreError::Damaged("JSON")
        })
    }

    /// A column of JSON text that may be absent.
    pub fn maybe_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        match self.get::<Option<String>>(column)? {
            None => Ok(None),
            Some(_) => self.json(column).map(Some),
        }
    }
}

macro_rules! native_cell {
    ($($type:ty),+) => {$(
        impl Cell for $type {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                match row {
                    Row::Sqlite(row) => sqlx::Row::try_get(row, column).map_err(unreadable),
                    Row::Postgres(row) => sqlx::Row::try_get(row, column).map_err(unreadable),
                }
            }
        }
        impl Cell for Option<$type> {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                match row {
                    Row::Sqlite(row) => sqlx::Row::try_get(row, column).map_err(unreadable),
                    Row::Postgres(row) => sqlx::Row::try_get(row, column).map_err(unreadable),
                }
            }
        }
    )+};
}

native_cell!(i64, bool, String, Vec<u8>, Uuid);

fn unreadable(error: sqlx::Error) -> StoreError {
    tracing::error!(%error, "a column cannot be read");
    StoreError::Damaged("a column")
}

macro_rules! cell_by {
    ($($type:ty, $native:ty, $value:ident => $e:expr;)+) => {$(
        impl Cell for $type {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                let $value = <$native>::read(row, column)?;
                $e.ok_or(StoreError::Damaged(stringify!($type)))
            }
        }
        impl Cell for Option<$type> {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                match Option::<$native>::read(row, column)? {
                    None => Ok(None),
                    Some($value) => $e.map(Some).ok_or(StoreError::Damaged(stringify!($type))),
                }
            }
        }
    )+};
}

cell_by! {
    u64, i64, v => u64::try_from(v).ok();
    u32, i64, v => u32::try_from(v).ok();
    u16, i64, v => u16::try_from(v).ok();
    u8, i64, v => u8::try_from(v).ok();
    Wall, i64, v => Some(Wall::from_millis(v));
    Money, i64, v => Some(Money(v));
    E164, String, v => E164::parse(&v, "").ok();
    Grade, String, v => v.chars().next().and_then(Grade::from_letter);
    [u8; 16], Vec<u8>, v => v.try_into().ok();
    [u8; 32], Vec<u8>, v => v.try_into().ok();
}

macro_rules! ids {
    ($($id:path),+ $(,)?) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Value {
                Value::Uuid(Some(id.0))
            }
        }
        impl From<Option<$id>> for Value {
            fn from(id: Option<$id>) -> Value {
                Value::Uuid(id.map(|id| id.0))
            }
        }
        impl Cell for $id {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                Uuid::read(row, column).map($id)
            }
        }
        impl Cell for Option<$id> {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                Ok(Option::<Uuid>::read(row, column)?.map($id))
            }
        }
    )+};
}

ids!(
    TenantId,
    UserId,
    ExtensionId,
    TrunkId,
    CallerNumberId,
    TemplateId,
    PromptId,
    CampaignId,
    LeadId,
    CallId,
    crate::ids::SessionId,
    crate::ids::ApiKeyId,
    crate::ids::PostingId,
    crate::ids::DecisionId,
    crate::ids::ImportId,
);
