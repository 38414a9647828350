//! Registrations: written behind the registrar, loaded at start so that phones can be rung before they refresh.

use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::scope::{Platform, Scope};
use crate::store::Store;
use model::Wall;
use sip::{Binding, Flow, Transport, Uri};
use std::net::SocketAddr;

impl Store {
    /// Of all tenants that are not banned, those that have not run out. What cannot be read is left out.
    pub async fn bindings(
        &self,
        _platform: &Platform,
        now: Wall,
    ) -> Result<Vec<Binding>, StoreError> {
        let rows = sql(
            "SELECT b.* FROM bindings AS b JOIN tenants AS t ON t.id = b.tenant_id \
             WHERE t.state = 'active' AND b.expires_at > $1",
        )
        .bind(now)
        .all(&self.db)
        .await?;
        Ok(rows
            .iter()
            .filter_map(|row| read(row).ok().flatten())
            .collect())
    }

    /// Removes what has run out, and says how many.
    pub async fn prune_bindings(&self, _platform: &Platform, now: Wall) -> Result<u64, StoreError> {
        let mut tx = self.begin_bulk().await?;
        let gone = sql("DELETE FROM bindings WHERE expires_at <= $1")
            .bind(now)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

pub(crate) async fn bind(tx: &mut Tx, scope: &Scope, binding: &Binding) -> Result<(), StoreError> {
    sql("INSERT INTO bindings (tenant_id, aor, contact, username, transport, local, remote, user_agent, q, call_id, cseq, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (tenant_id, aor, contact) DO UPDATE SET username = excluded.username, transport = excluded.transport, \
         local = excluded.local, remote = excluded.remote, user_agent = excluded.user_agent, q = excluded.q, \
         call_id = excluded.call_id, cseq = excluded.cseq, expires_at = excluded.expires_at")
        .bind(scope.tenant())
        .bind(&binding.aor)
        .bind(binding.contact.to_string())
        .bind(&binding.username)
        .bind(binding.flow.transport.via())
        .bind(binding.flow.local.to_string())
        .bind(binding.flow.remote.to_string())
        .bind(&binding.user_agent)
        .bind(binding.q)
        .bind(&binding.call_id)
        .bind(binding.cseq)
        .bind(binding.expires_at)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) async fn unbind(
    tx: &mut Tx,
    scope: &Scope,
    aor: &str,
    contact: &str,
) -> Result<(), StoreError> {
    sql("DELETE FROM bindings WHERE tenant_id = $1 AND aor = $2 AND contact = $3")
        .bind(scope.tenant())
        .bind(aor)
        .bind(contact)
        .run(tx)
        .await
        .map(drop)
}

fn read(row: &Row) -> Result<Option<Binding>, StoreError> {
    let address = |column| -> Result<Option<SocketAddr>, StoreError> {
        Ok(row.get::<String>(column)?.parse().ok())
    };
    let contact: String = row.get("contact")?;
    let word: String = row.get("transport")?;
    let transport = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ]
    .into_iter()
    .find(|transport| transport.via() == word);
    let (Ok(contact), Some(transport), Some(local), Some(remote)) = (
        Uri::parse(&contact),
        transport,
        address("local")?,
        address("remote")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Binding {
        aor: row.get("aor")?,
        username: row.get("username")?,
        contact,
        flow: Flow {
            transport,
            local,
            remote,
        },
        expires_at: row.get("expires_at")?,
        q: row.get("q")?,
        user_agent: row.get("user_agent")?,
        call_id: row.get("call_id")?,
        cseq: row.get("cseq")?,
    }))
}
