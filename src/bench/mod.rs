//! placeholder
use crate::cli::Bench;
use crate::config::Config;
pub async fn run(_: &Config, _: Bench) -> anyhow::Result<i32> {
    anyhow::bail!("not built yet")
}
