//! Extensions to load the engine with.

use super::child::Child;
use crate::demo::api::{Api, text};
use crate::phones::Line;
use anyhow::Result;
use serde_json::json;

const PASSWORD: &str = "bench-password";

/// An enterprise with this many extensions, from 1001 on.
pub async fn extensions(child: &Child, count: usize) -> Result<Vec<Line>> {
    let enterprise = json!({ "slug": "bench", "name": "bench" });
    let (api, _) = Api::set_up(&child.link, enterprise, PASSWORD).await?;
    let mut lines = Vec::with_capacity(count);
    for number in 1001..1001 + count {
        let number = number.to_string();
        let asked = json!({ "number": number, "name": number, "password": PASSWORD });
        let made = api.post("/extensions", &asked).await?;
        lines.push(Line {
            username: text(&made, "username")?,
            number,
            password: PASSWORD.into(),
        });
    }
    // Answered after the engine has taken all of them in.
    api.get("/extensions?limit=1").await?;
    Ok(lines)
}
