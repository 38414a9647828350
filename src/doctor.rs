use crate::config::Config;
pub async fn run(_: &Config, _: bool) -> anyhow::Result<i32> {
    anyhow::bail!("not built yet")
}
