//! Files of leads: what is read, how far it is, what came of every row.
//!
//! Invariant: `inserted + updated + rejected = done_rows` whenever anybody looks, for the figures change in the
//! transaction that changes the leads. A part that is handed in twice, because nobody knows whether its commit came
//! through, is taken once.

use crate::audit::deed;
use crate::bulk::{Duplicates, Imported, List, Listed, ROWS, import_chunk};
use crate::code;
use crate::db::{Json, Row, Tx, assembled, sql};
use crate::error::StoreError;
use crate::ids::{ImportId, fresh};
use crate::lanes::Slice;
use crate::leads::{NewLead, known_campaign};
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use model::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// How long an import that is over is kept, with its rejected rows.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    Queued,
    /// The file is being read.
    Reading,
    /// Its rows are being written (of a dry run: looked up).
    Writing,
    Done,
    Failed,
    Cancelled,
    /// The process ended before it did.
    Interrupted,
}

impl ImportState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(
            self,
            ImportState::Queued | ImportState::Reading | ImportState::Writing
        )
    }
}

#[derive(Clone, Debug)]
pub struct NewImport {
    pub file_name: String,
    pub campaign: Option<CampaignId>,
    pub batch: String,
    pub duplicates: Duplicates,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    pub id: ImportId,
    pub state: ImportState,
    pub file_name: String,
    pub campaign: Option<CampaignId>,
    pub batch: String,
    pub duplicates: Duplicates,
    pub dry_run: bool,
    pub sheet: Option<String>,
    /// What each column was taken for.
    pub columns: Value,
    /// Of the sheet, once it is read.
    pub total: Option<u64>,
    pub figures: Figures,
    /// Why it failed.
    pub error: Option<Value>,
    pub created_at: Wall,
    pub started_at: Option<Wall>,
    pub finished_at: Option<Wall>,
}

/// `inserted + updated + rejected = rows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Accounted for.
    pub rows: u64,
    pub inserted: u64,
    pub updated: u64,
    pub rejected: u64,
}

/// A row of a sheet: a lead, or why it is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SheetRow {
    /// As the spreadsheet program numbers it.
    pub row: u32,
    /// From column A on, where they are kept.
    pub cells: Vec<String>,
    pub lead: Result<SheetLead, Fault>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SheetLead {
    /// Where the row, or the sender for all rows, names one; else new leads get the import's.
    pub batch: Option<String>,
    pub lead: NewLead,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The column's heading.
    pub column: String,
    /// Stable.
    pub code: String,
    pub detail: String,
}

/// A row that did not become a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub row: u32,
    pub fault: Fault,
    pub cells: Vec<String>,
}

/// The numbers a dry run would have written so far.
#[derive(Clone, Debug, Default)]
pub struct DryRun(HashSet<String>);

pub static IMPORTS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new(
            "state",
            "state",
            Kind::Word(&[
                "queued",
                "reading",
                "writing",
                "done",
                "failed",
                "cancelled",
                "interrupted",
            ]),
        ),
        Field::new("campaign_id", "campaign_id", Kind::Id),
        Field::new("batch", "batch", Kind::Text),
        Field::new("dry_run", "dry_run", Kind::Flag),
    ],
    order: "-created_at",
    id: "id",
    search: &[Search::Text("file_name")],
};

pub static REJECTS: Listing = Listing {
    fields: &[
        // Their ids are minted in the order of the sheet.
        Field::new("row", "sheet_row", Kind::Whole).sorted_by_id(),
        Field::new("column", "heading", Kind::Text),
        Field::new("code", "code", Kind::Text),
    ],
    order: "row",
    id: "id",
    search: &[],
};

/// A lead's columns that are looked at to know which are in use.
const LOOKED_AT: u64 = 500;

/// Why an import that was under way has ended, and what would help.
pub fn interrupted() -> serde_json::Value {
    serde_json::json!({
        "code": "interrupted",
        "detail": "the server stopped while it was under way",
        "fix": "upload the same file again: rows that are in stay in",
    })
}

impl Store {
    pub async fn add_import(
        &self,
        scope: &Scope,
        new: &NewImport,
        now: Wall,
    ) -> Result<ImportId, StoreError> {
        let mut tx = self.db.begin().await?;
        known_campaign(&mut tx, scope, new.campaign).await?;
        let id: ImportId = fresh();
        sql("INSERT INTO imports (tenant_id, id, file_name, campaign_id, batch, duplicates, dry_run, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(scope.tenant())
            .bind(id)
            .bind(&new.file_name)
            .bind(new.campaign)
            .bind(&new.batch)
            .bind(code::of(&new.duplicates))
            .bind(new.dry_run)
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("import.created", id.0)
            .after(json!({
                "file_name": new.file_name, "campaign_id": new.campaign, "batch": new.batch,
                "duplicates": new.duplicates, "dry_run": new.dry_run,
            }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn import(&self, scope: &Scope, id: ImportId) -> Result<Import, StoreError> {
        let row = sql("SELECT * FROM imports WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    pub async fn imports(&self, scope: &Scope, asked: &Asked) -> Result<Page<Import>, StoreError> {
        let list = sql("SELECT * FROM imports WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// Its file is read from here on. `WrongState` when it is over.
    pub async fn begin_import(
        &self,
        scope: &Scope,
        id: ImportId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        open(&mut tx, scope, id).await?;
        sql("UPDATE imports SET state = 'reading', started_at = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Its file has been read: what was found.
    pub async fn found_import(
        &self,
        scope: &Scope,
        id: ImportId,
        total: u64,
        sheet: Option<&str>,
        columns: &Value,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        open(&mut tx, scope, id).await?;
        sql(
            "UPDATE imports SET state = 'writing', total_rows = $3, sheet = $4, columns = $5 \
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(scope.tenant())
        .bind(id)
        .bind(total)
        .bind(sheet.map(str::to_owned))
        .bind(Json(columns))
        .run_one(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Takes rows `from` and following, in short transactions of the bulk lane; those that were taken before are not taken
    /// again. With `dry`, tells what would happen and writes no lead.
    pub async fn import_rows(
        &self,
        scope: &Scope,
        id: ImportId,
        from: u64,
        rows: &[SheetRow],
        mut dry: Option<&mut DryRun>,
        now: Wall,
    ) -> Result<Figures, StoreError> {
        loop {
            let mut tx = self.begin_bulk().await?;
            let import = open(&mut tx, scope, id).await?;
            let skip = import.figures.rows.saturating_sub(from) as usize;
            let Some(rest) = rows.get(skip..).filter(|rest| !rest.is_empty()) else {
                if let Some(dry) = dry {
                    dry.learn(rows);
                }
                return Ok(import.figures);
            };
            if let Some(dry) = dry.as_deref_mut() {
                dry.learn(&rows[..skip]);
            }
            known_campaign(&mut tx, scope, import.campaign).await?;
            let slice = Slice::begin();
            let mut figures = import.figures;
            let mut news = Vec::new();
            for chunk in rest.chunks(ROWS) {
                if !slice.lasts() {
                    break;
                }
                let part = Part {
                    import: &import,
                    scope,
                    now,
                };
                part.take(&mut tx, chunk, dry.as_deref(), &mut news, &mut figures)
                    .await?;
            }
            count(&mut tx, scope, id, figures).await?;
            tx.commit().await?;
            if let Some(dry) = dry.as_deref_mut() {
                dry.0.extend(news);
            }
        }
    }

    /// Nothing more happens to it. One that is over stays as it ended.
    pub async fn finish_import(
        &self,
        scope: &Scope,
        id: ImportId,
        state: ImportState,
        error: Option<&Value>,
        now: Wall,
    ) -> Result<Import, StoreError> {
        let mut tx = self.db.begin().await?;
        sql(
            "UPDATE imports SET state = $3, error = $4, finished_at = $5 \
             WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'reading', 'writing')",
        )
        .bind(scope.tenant())
        .bind(id)
        .bind(code::of(&state))
        .bind(error.map(Value::to_string))
        .bind(now)
        .run(&mut tx)
        .await?;
        let import = by_key(&mut tx, scope, id).await?;
        tx.commit().await?;
        Ok(import)
    }

    /// Rows that did not become leads.
    pub async fn import_rejects(
        &self,
        scope: &Scope,
        id: ImportId,
        asked: &Asked,
    ) -> Result<Page<Reject>, StoreError> {
        let list = sql("SELECT * FROM import_rejects WHERE tenant_id = $1 AND import_id = $2")
            .bind(scope.tenant())
            .bind(id);
        asked.page(list, &self.db, read_reject).await
    }

    /// Imports the last process left unfinished. Their figures are true; the same file again finishes them.
    pub async fn interrupt_imports(
        &self,
        _platform: &Platform,
        now: Wall,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let interrupted = sql(
            "UPDATE imports SET state = 'interrupted', finished_at = $1, error = $2 \
             WHERE state IN ('queued', 'reading', 'writing')",
        )
        .bind(now)
        .bind(interrupted().to_string())
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(interrupted)
    }

    /// Removes imports of all tenants that were over `KEPT` ago, and their rejected rows, in short transactions of the bulk
    /// lane. The leads stay.
    pub async fn prune_imports(&self, _: &Platform, now: Wall) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let mut tx = self.begin_bulk().await?;
            let slice = Slice::begin();
            let old = sql("SELECT tenant_id, id FROM imports WHERE finished_at <= $1 ORDER BY finished_at LIMIT 1")
                .bind(now - KEPT)
                .optional(&mut *tx)
                .await?;
            let Some(old) = old else {
                return Ok(pruned);
            };
            let (tenant, id): (TenantId, ImportId) = (old.get("tenant_id")?, old.get("id")?);
            while slice.lasts() {
                let rejects = sql(
                    "DELETE FROM import_rejects WHERE tenant_id = $1 AND import_id = $2 AND id IN \
                     (SELECT id FROM import_rejects WHERE tenant_id = $1 AND import_id = $2 ORDER BY id LIMIT $3)",
                );
                let gone = rejects
                    .bind(tenant)
                    .bind(id)
                    .bind(ROWS as u64)
                    .run(&mut tx)
                    .await?;
                if gone == 0 {
                    sql("DELETE FROM imports WHERE tenant_id = $1 AND id = $2")
                        .bind(tenant)
                        .bind(id)
                        .run_one(&mut tx)
                        .await?;
                    pruned += 1;
                    break;
                }
            }
            tx.commit().await?;
        }
    }

    /// Custom columns of the newest leads, the most frequent first.
    pub async fn custom_columns(&self, scope: &Scope) -> Result<Vec<String>, StoreError> {
        let rows = sql("SELECT custom FROM leads WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2")
            .bind(scope.tenant())
            .bind(LOOKED_AT)
            .all(&self.db)
            .await?;
        let mut times: HashMap<String, usize> = HashMap::new();
        for row in rows {
            for (title, _) in row.json::<Map<String, Value>>("custom")? {
                *times.entry(title).or_default() += 1;
            }
        }
        let mut titles: Vec<(String, usize)> = times.into_iter().collect();
        titles.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(titles.into_iter().map(|(title, _)| title).collect())
    }
}

impl DryRun {
    fn learn(&mut self, rows: &[SheetRow]) {
        let leads = rows.iter().filter_map(|row| row.lead.as_ref().ok());
        self.0
            .extend(leads.map(|lead| lead.lead.number.as_str().to_owned()));
    }
}

/// What the rows of one transaction share.
struct Part<'a> {
    import: &'a Import,
    scope: &'a Scope,
    now: Wall,
}

impl Part<'_> {
    /// Takes one chunk: leads, the reasons of the others, the figures. `news` are the numbers a dry run would have written.
    async fn take(
        &self,
        tx: &mut Tx,
        chunk: &[SheetRow],
        dry: Option<&DryRun>,
        news: &mut Vec<String>,
        figures: &mut Figures,
    ) -> Result<(), StoreError> {
        let mut places = Vec::new();
        let mut leads = Vec::new();
        let mut rejects: Vec<(usize, Fault)> = Vec::new();
        for (place, row) in chunk.iter().enumerate() {
            match &row.lead {
                Ok(lead) => {
                    places.push(place);
                    leads.push(Listed {
                        batch: lead.batch.as_deref(),
                        lead: &lead.lead,
                    });
                }
                Err(fault) => rejects.push((place, fault.clone())),
            }
        }
        let mut imported = Imported::default();
        let list = List {
            scope: self.scope,
            campaign: self.import.campaign,
            batch: &self.import.batch,
            duplicates: self.import.duplicates,
            now: self.now,
        };
        match dry {
            None => import_chunk(tx, &list, 0, &leads, &mut imported).await?,
            Some(dry) => self.foresee(tx, &leads, dry, news, &mut imported).await?,
        }
        for lead in imported.duplicates {
            let fault = Fault {
                column: "phone".to_owned(),
                code: "duplicate".to_owned(),
                detail: "the number is there already".to_owned(),
            };
            rejects.push((places[lead], fault));
        }
        rejects.sort_by_key(|(place, _)| *place);
        self.reject(tx, chunk, &rejects).await?;
        figures.rows += chunk.len() as u64;
        figures.inserted += imported.inserted;
        figures.updated += imported.updated;
        figures.rejected += rejects.len() as u64;
        Ok(())
    }

    /// What `import_chunk` would do.
    async fn foresee(
        &self,
        tx: &mut Tx,
        leads: &[Listed<'_>],
        dry: &DryRun,
        news: &mut Vec<String>,
        imported: &mut Imported,
    ) -> Result<(), StoreError> {
        let mut there: HashSet<String> = HashSet::new();
        let mut list =
            sql("SELECT number FROM leads WHERE tenant_id = $1").bind(self.scope.tenant());
        if self.import.duplicates != Duplicates::RejectInTenant {
            list = match self.import.campaign {
                Some(campaign) => list.and("AND campaign_id = ?", campaign),
                None => list.then("AND campaign_id IS NULL"),
            };
        }
        let list = list.among("AND number", leads.iter().map(Listed::number));
        for row in list.all(tx).await? {
            there.insert(row.get("number")?);
        }
        // What earlier chunks of this transaction would have written.
        there.extend(news.iter().cloned());
        for (n, lead) in leads.iter().enumerate() {
            let number = lead.number();
            if there.contains(number) || dry.0.contains(number) {
                match self.import.duplicates {
                    Duplicates::Update => imported.updated += 1,
                    _ => imported.duplicates.push(n),
                }
            } else {
                imported.inserted += 1;
                there.insert(number.to_owned());
                news.push(number.to_owned());
            }
        }
        Ok(())
    }

    async fn reject(
        &self,
        tx: &mut Tx,
        chunk: &[SheetRow],
        rejects: &[(usize, Fault)],
    ) -> Result<(), StoreError> {
        if rejects.is_empty() {
            return Ok(());
        }
        let mut insert = assembled(
            "INSERT INTO import_rejects (tenant_id, import_id, id, sheet_row, heading, code, detail, cells) VALUES"
                .into(),
        );
        for (n, (place, fault)) in rejects.iter().enumerate() {
            let row = &chunk[*place];
            let open = if n == 0 { "(?," } else { ", (?," };
            insert = insert
                .and(open, self.scope.tenant())
                .and("?,", self.import.id)
                .and("?,", fresh::<Uuid>())
                .and("?,", row.row)
                .and("?,", &fault.column)
                .and("?,", &fault.code)
                .and("?,", &fault.detail)
                .and("?)", Json(&row.cells));
        }
        insert.run(tx).await.map(drop)
    }
}

async fn count(
    tx: &mut Tx,
    scope: &Scope,
    id: ImportId,
    figures: Figures,
) -> Result<(), StoreError> {
    sql(
        "UPDATE imports SET done_rows = $3, inserted = $4, updated = $5, rejected = $6 \
         WHERE tenant_id = $1 AND id = $2",
    )
    .bind(scope.tenant())
    .bind(id)
    .bind(figures.rows)
    .bind(figures.inserted)
    .bind(figures.updated)
    .bind(figures.rejected)
    .run_one(tx)
    .await
}

async fn by_key(tx: &mut Tx, scope: &Scope, id: ImportId) -> Result<Import, StoreError> {
    let row = sql("SELECT * FROM imports WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(id)
        .one(tx)
        .await?;
    read(&row)
}

/// An import that is not over.
async fn open(tx: &mut Tx, scope: &Scope, id: ImportId) -> Result<Import, StoreError> {
    let import = by_key(tx, scope, id).await?;
    match import.state {
        ImportState::Done => Err(StoreError::WrongState { state: "done" }),
        ImportState::Failed => Err(StoreError::WrongState { state: "failed" }),
        ImportState::Cancelled => Err(StoreError::WrongState { state: "cancelled" }),
        ImportState::Interrupted => Err(StoreError::WrongState {
            state: "interrupted",
        }),
        ImportState::Queued | ImportState::Reading | ImportState::Writing => Ok(import),
    }
}

fn read(row: &Row) -> Result<Import, StoreError> {
    Ok(Import {
        id: row.get("id")?,
        state: code::read(row, "state")?,
        file_name: row.get("file_name")?,
        campaign: row.get("campaign_id")?,
        batch: row.get("batch")?,
        duplicates: code::read(row, "duplicates")?,
        dry_run: row.get("dry_run")?,
        sheet: row.get("sheet")?,
        columns: row.json("columns")?,
        total: row.get("total_rows")?,
        figures: Figures {
            rows: row.get("done_rows")?,
            inserted: row.get("inserted")?,
            updated: row.get("updated")?,
            rejected: row.get("rejected")?,
        },
        error: row.maybe_json("error")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn read_reject(row: &Row) -> Result<Reject, StoreError> {
    Ok(Reject {
        row: row.get("sheet_row")?,
        fault: Fault {
            column: row.get("heading")?,
            code: row.get("code")?,
            detail: row.get("detail")?,
        },
        cells: row.json("cells")?,
    })
}
