//! A database of a newer release, through the program.

use anyhow::{Result, ensure};
use store::{Db, sql};
use tests::program;

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do_and_nothing_is_touched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let address = format!("sqlite:{}", folder.path().join("huying.db").display());
    let db = Db::open(&address).await?;
    let mut tx = db.begin().await?;
    sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
         VALUES (9999, 'later', '2027-01-01', TRUE, x'00', 1)",
    )
    .run(&mut tx)
    .await?;
    tx.commit().await?;
    db.close().await;
    let before = std::fs::read(folder.path().join("huying.db"))?;
    let arguments = program::serve(folder.path());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (status, said) = program::run(folder.path(), &arguments).await?;
    ensure!(status == 1, "{said}");
    ensure!(
        said.contains("9999") && said.contains("FIX: run the newer release"),
        "{said}"
    );
    ensure!(
        !said.contains("panicked") && !said.contains("is running"),
        "{said}"
    );
    ensure!(std::fs::read(folder.path().join("huying.db"))? == before);
    Ok(())
}
