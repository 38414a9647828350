//! What the engine says happens, waited for.

use anyhow::{Context, Result, bail};
use engine::Notice;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

pub struct Events(pub(crate) Receiver<Arc<Notice>>);

impl Events {
    /// The data of the next event of this type that satisfies `fits`; others before it are passed over.
    pub async fn next(
        &mut self,
        kind: &str,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut passed = Vec::new();
        let found = tokio::time::timeout(within, async {
            loop {
                match self.0.recv().await {
                    Ok(notice) if notice.kind == kind && fits(&notice.data) => {
                        return Ok(notice.data.clone());
                    }
                    Ok(notice) => passed.push(notice.kind),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => bail!("the engine stopped"),
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(late) => {
                Err(late).with_context(|| format!("no {kind} within {within:?}, but {passed:?}"))
            }
        }
    }
}
