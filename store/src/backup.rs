//! Copies of the whole database, taken while it is used, and whether such a copy is sound.

pub use crate::db::snapshot::{Looked, copy, is_whole, look};

use crate::db::{Db, sql};
use crate::error::StoreError;

/// In a restored database: devices register again where they find us; calling them where they were would reach those of the
/// installation that was backed up. Brings the schema up to date.
pub async fn forget_bindings(address: &str) -> Result<(), StoreError> {
    let db = Db::open(address).await?;
    let mut tx = db.begin().await?;
    sql("DELETE FROM bindings").run(&mut tx).await?;
    tx.commit().await?;
    db.close().await;
    Ok(())
}
