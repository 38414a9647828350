//! Cursors of lists in the order of their ids: the id of the last row shown.

use crate::error::StoreError;
use model::Wall;
use uuid::Uuid;

/// Where a list goes on; the nil id, before all others, without a cursor.
pub(crate) fn after(cursor: Option<&str>) -> Result<Uuid, StoreError> {
    match cursor {
        None => Ok(Uuid::nil()),
        Some(text) if text.len() == 32 => {
            Uuid::try_parse(text).map_err(|_| StoreError::Invalid { field: "cursor" })
        }
        Some(_) => Err(StoreError::Invalid { field: "cursor" }),
    }
}

pub(crate) fn by_id(id: Uuid) -> String {
    id.simple().to_string()
}

/// Of lists by time: the moment and the id of the last row shown.
pub(crate) fn of_moment(at: Wall, id: Uuid) -> String {
    format!("{}.{}", at.as_millis(), id.simple())
}

pub(crate) fn moment(text: &str) -> Result<(Wall, Uuid), StoreError> {
    let parse = || {
        let (at, id) = text.split_once('.')?;
        Some((
            Wall::from_millis(at.parse().ok()?),
            Uuid::try_parse(id).ok()?,
        ))
    };
    parse().ok_or(StoreError::Invalid { field: "cursor" })
}
