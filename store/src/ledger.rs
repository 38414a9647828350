//! Money: `billing`'s postings, applied in SQL. A posting is applied at most once (its key), moves nothing that is not there
//! (a guarded update of the balance, in the same transaction), and stays for ever (triggers).

use crate::audit::deed;
use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::{PostingId, fresh};
use crate::list::{self, Asked, Field, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use billing::{Account, Applied, Entry, Key, Kind, Posting, Totals};
use model::*;
use serde_json::json;

/// What a tenant has. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub available: Money,
    /// Set aside for calls that are up.
    pub reserved: Money,
}

/// A posting as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingRow {
    pub id: PostingId,
    pub kind: Kind,
    pub call: Option<CallId>,
    pub at: Wall,
    /// The receipt of a recharge, the request of a refund.
    pub reference: Option<String>,
    pub note: String,
    /// `user`, `api_key`, `engine`.
    pub actor: String,
    pub entries: Vec<Entry>,
}

impl PostingRow {
    /// What the tenant may spend more (or less) by it.
    pub fn available(&self) -> Money {
        let of = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.account, Account::Available(_)));
        Money(of.map(|entry| entry.amount.minor()).sum())
    }
}

pub static LEDGER: Listing = Listing {
    fields: &[
        Field::new("at", "at", list::Kind::Moment).sorted(),
        Field::new(
            "kind",
            "kind",
            list::Kind::Word(&[
                "reserve", "settle", "release", "recharge", "refund", "credit",
            ]),
        ),
        Field::new("call_id", "call_id", list::Kind::Id),
    ],
    order: "-at",
    id: "id",
    search: &[Search::Text("note")],
};

/// The ledger of one tenant, proved from its entries up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub totals: Totals,
    /// Postings whose entries do not sum to zero, balances that are not the sum of their entries, reservations of calls that
    /// are over: each must be zero.
    pub unbalanced: u64,
    pub wrong_balances: u64,
    pub stray_reservations: u64,
}

impl Proof {
    pub fn holds(&self) -> bool {
        self.totals.hold()
            && self.unbalanced == 0
            && self.wrong_balances == 0
            && self.stray_reservations == 0
    }
}

impl Store {
    pub async fn balance(&self, scope: &Scope) -> Result<Balance, StoreError> {
        let rows = sql("SELECT account, amount FROM ledger_balances WHERE tenant_id = $1")
            .bind(scope.tenant())
            .all(&self.db)
            .await?;
        balance_of(&rows)
    }

    pub async fn postings(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<PostingRow>, StoreError> {
        let list = sql("SELECT * FROM ledger_postings WHERE tenant_id = $1").bind(scope.tenant());
        let mut page = asked.page(list, &self.db, read).await?;
        self.fill_entries(scope, &mut page.rows).await?;
        Ok(page)
    }

    /// Oldest first.
    pub(crate) async fn postings_of_call(
        &self,
        scope: &Scope,
        call: CallId,
    ) -> Result<Vec<PostingRow>, StoreError> {
        let rows = sql(
            "SELECT * FROM ledger_postings WHERE tenant_id = $1 AND call_id = $2 ORDER BY at, id",
        )
        .bind(scope.tenant())
        .bind(call)
        .all(&self.db)
        .await?;
        let mut postings = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        self.fill_entries(scope, &mut postings).await?;
        Ok(postings)
    }

    async fn fill_entries(
        &self,
        scope: &Scope,
        postings: &mut [PostingRow],
    ) -> Result<(), StoreError> {
        let entries =
            sql("SELECT posting_id, account, amount FROM ledger_entries WHERE tenant_id = $1")
                .bind(scope.tenant())
                .among("AND posting_id", postings.iter().map(|posting| posting.id))
                .all(&self.db)
                .await?;
        for row in &entries {
            let id: PostingId = row.get("posting_id")?;
            if let Some(posting) = postings.iter_mut().find(|posting| posting.id == id) {
                posting.entries.push(entry(row, scope.tenant())?);
            }
        }
        Ok(())
    }

    /// Money came in, or the platform gives (`Posting::recharge`, `credit`, `refund`). The same reference again changes
    /// nothing and says so; with another amount it is `Conflict{reference}`.
    pub async fn post(
        &self,
        platform: &Platform,
        posting: &Posting,
    ) -> Result<Applied, StoreError> {
        match posting.kind {
            Kind::Recharge | Kind::Credit | Kind::Refund => {}
            // The rest belongs to calls.
            Kind::Reserve | Kind::Settle | Kind::Release => return Err(StoreError::Forbidden),
        }
        let mut tx = self.db.begin().await?;
        let scope = platform.tenant(posting.tenant);
        sql("SELECT 1 AS n FROM tenants WHERE id = $1")
            .bind(posting.tenant)
            .one(&mut tx)
            .await?;
        let applied = post(&mut tx, &scope, posting).await?;
        if applied == Applied::New {
            deed("money.posted", None::<uuid::Uuid>)
                .after(json!({ "kind": posting.kind.code(), "note": posting.note }))
                .note(&mut tx, &scope, posting.at)
                .await?;
        }
        tx.commit().await?;
        Ok(applied)
    }

    /// Proves the tenant's ledger. Reads all of it.
    pub async fn prove_ledger(&self, scope: &Scope) -> Result<Proof, StoreError> {
        let balance = self.balance(scope).await?;
        let mut totals = Totals {
            available: balance.available,
            reserved: balance.reserved,
            ..Totals::default()
        };
        let sums = sql(
            "SELECT p.kind, e.account, CAST(SUM(e.amount) AS BIGINT) AS amount FROM ledger_entries AS e JOIN ledger_postings AS p \
             ON p.tenant_id = e.tenant_id AND p.id = e.posting_id WHERE e.tenant_id = $1 GROUP BY p.kind, e.account",
        );
        for row in sums.bind(scope.tenant()).all(&self.db).await? {
            let amount: Money = row.get("amount")?;
            let account: String = row.get("account")?;
            match (
                Kind::from_code(&row.get::<String>("kind")?),
                account.as_str(),
            ) {
                (Some(Kind::Recharge), "available") => totals.deposits = amount,
                (Some(Kind::Credit), "available") => totals.credits = amount,
                (Some(Kind::Refund), "available") => totals.refunds = amount,
                (Some(Kind::Settle), "revenue") => totals.charges = amount,
                _ => {}
            }
        }
        let count = async |text: &'static str| -> Result<u64, StoreError> {
            sql(text).bind(scope.tenant()).one(&self.db).await?.get("n")
        };
        Ok(Proof {
            totals,
            unbalanced: count(
                "SELECT COUNT(*) AS n FROM (SELECT posting_id FROM ledger_entries WHERE tenant_id = $1 \
                 GROUP BY posting_id HAVING SUM(amount) <> 0) AS wrong",
            )
            .await?,
            wrong_balances: count(
                "SELECT COUNT(*) AS n FROM ledger_balances AS b WHERE b.tenant_id = $1 AND b.amount <> \
                 (SELECT COALESCE(SUM(e.amount), 0) FROM ledger_entries AS e \
                  WHERE e.tenant_id = b.tenant_id AND e.account = b.account)",
            )
            .await?,
            stray_reservations: count(
                "SELECT COUNT(*) AS n FROM ledger_postings AS p WHERE p.tenant_id = $1 AND p.kind = 'reserve' \
                 AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.tenant_id = p.tenant_id \
                     AND a.call_id = p.call_id AND a.state = 'open') \
                 AND NOT EXISTS (SELECT 1 FROM ledger_postings AS c WHERE c.tenant_id = p.tenant_id \
                     AND c.call_id = p.call_id AND c.kind IN ('settle', 'release'))",
            )
            .await?,
        })
    }
}

pub(crate) async fn available(tx: &mut Tx, scope: &Scope) -> Result<Money, StoreError> {
    let row =
        sql("SELECT amount FROM ledger_balances WHERE tenant_id = $1 AND account = 'available'")
            .bind(scope.tenant())
            .optional(tx)
            .await?;
    row.map_or(Ok(Money::ZERO), |row| row.get("amount"))
}

/// Applies a posting once. On an error the caller takes the transaction (or its savepoint) back.
pub(crate) async fn post(
    tx: &mut Tx,
    scope: &Scope,
    posting: &Posting,
) -> Result<Applied, StoreError> {
    if posting.tenant != scope.tenant() || !posting.balanced() {
        return Err(StoreError::Forbidden);
    }
    let id: PostingId = fresh();
    let new = sql(
        "INSERT INTO ledger_postings (tenant_id, id, key, kind, call_id, at, actor, actor_id, note) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant_id, key) DO NOTHING",
    )
    .bind(scope.tenant())
    .bind(id)
    .bind(posting.key.as_str())
    .bind(posting.kind.code())
    .bind(posting.call)
    .bind(posting.at)
    .bind(scope.actor().kind())
    .bind(scope.actor().id())
    .bind(&posting.note)
    .run(tx)
    .await?;
    if new == 0 {
        return already(tx, scope, posting).await;
    }
    for entry in &posting.entries {
        sql("INSERT INTO ledger_entries (tenant_id, posting_id, account, amount) VALUES ($1, $2, $3, $4)")
            .bind(scope.tenant())
            .bind(id)
            .bind(entry.account.code())
            .bind(entry.amount)
            .run(tx)
            .await?;
        let spends = matches!(entry.account, Account::Available(_) | Account::Reserved(_))
            && entry.amount < Money::ZERO;
        let change = if spends {
            sql(
                "UPDATE ledger_balances SET amount = amount + $3 WHERE tenant_id = $1 AND account = $2 AND amount + $3 >= 0",
            )
        } else {
            sql(
                "INSERT INTO ledger_balances (tenant_id, account, amount) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant_id, account) DO UPDATE SET amount = ledger_balances.amount + excluded.amount",
            )
        };
        let touched = change
            .bind(scope.tenant())
            .bind(entry.account.code())
            .bind(entry.amount)
            .run(tx)
            .await?;
        if touched == 0 {
            return Err(StoreError::Balance);
        }
    }
    Ok(Applied::New)
}

/// The key is there: the same movement is the same posting, another is a conflict.
async fn already(tx: &mut Tx, scope: &Scope, posting: &Posting) -> Result<Applied, StoreError> {
    let row = sql("SELECT * FROM ledger_postings WHERE tenant_id = $1 AND key = $2")
        .bind(scope.tenant())
        .bind(posting.key.as_str())
        .one(&mut *tx)
        .await?;
    let mut stored = read(&row)?;
    let entries =
        sql("SELECT account, amount FROM ledger_entries WHERE tenant_id = $1 AND posting_id = $2")
            .bind(scope.tenant())
            .bind(stored.id)
            .all(tx)
            .await?;
    for row in &entries {
        stored.entries.push(entry(row, scope.tenant())?);
    }
    let sorted = |entries: &[Entry]| {
        let mut entries: Vec<_> = entries
            .iter()
            .map(|entry| (entry.account, entry.amount))
            .collect();
        entries.sort();
        entries
    };
    let same = (stored.kind, stored.call) == (posting.kind, posting.call)
        && sorted(&stored.entries) == sorted(&posting.entries);
    if same {
        Ok(Applied::Already)
    } else {
        Err(StoreError::conflict("reference"))
    }
}

pub(crate) fn balance_of(rows: &[Row]) -> Result<Balance, StoreError> {
    let mut balance = Balance::default();
    for row in rows {
        match row.get::<String>("account")?.as_str() {
            "available" => balance.available = row.get("amount")?,
            "reserved" => balance.reserved = row.get("amount")?,
            _ => {}
        }
    }
    Ok(balance)
}

fn read(row: &Row) -> Result<PostingRow, StoreError> {
    let key: String = row.get("key")?;
    Ok(PostingRow {
        id: row.get("id")?,
        kind: Kind::from_code(&row.get::<String>("kind")?)
            .ok_or(StoreError::Damaged("a posting's kind"))?,
        call: row.get("call_id")?,
        at: row.get("at")?,
        reference: Key::referred(&key).map(str::to_owned),
        note: row.get("note")?,
        actor: row.get("actor")?,
        entries: Vec::new(),
    })
}

fn entry(row: &Row, tenant: TenantId) -> Result<Entry, StoreError> {
    let account = match row.get::<String>("account")?.as_str() {
        "available" => Account::Available(tenant),
        "reserved" => Account::Reserved(tenant),
        "revenue" => Account::Revenue,
        "external" => Account::External,
        _ => return Err(StoreError::Damaged("an account")),
    };
    Ok(Entry {
        account,
        amount: row.get("amount")?,
    })
}
