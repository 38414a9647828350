-- ── imports of leads ────────────────────────────────────────────────────────────────────────────────────────────────

-- One file that is, was or will be read. Its figures change in the transaction that changes the leads, so they are true
-- whenever anybody looks, a crash included.
CREATE TABLE imports (
    tenant_id    BLOB    NOT NULL REFERENCES tenants (id),
    id           BLOB    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'queued' CHECK (state IN
                 ('queued', 'reading', 'writing', 'done', 'failed', 'cancelled', 'interrupted')),
    -- As the sender calls it: shown, never opened.
    file_name    TEXT    NOT NULL DEFAULT '',
    -- Its leads went there; it may be gone since.
    campaign_id  BLOB,
    -- For rows that name none.
    batch        TEXT    NOT NULL,
    -- update | reject | reject_in_tenant
    duplicates   TEXT    NOT NULL,
    dry_run      INTEGER NOT NULL DEFAULT 0,
    sheet        TEXT,
    -- JSON: what each column was taken for.
    columns      TEXT    NOT NULL DEFAULT '[]',
    -- Rows of the sheet, once it is read; and how many of them are accounted for.
    total_rows   INTEGER,
    done_rows    INTEGER NOT NULL DEFAULT 0,
    inserted     INTEGER NOT NULL DEFAULT 0,
    updated      INTEGER NOT NULL DEFAULT 0,
    rejected     INTEGER NOT NULL DEFAULT 0,
    -- JSON: why it failed.
    error        TEXT,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    PRIMARY KEY (tenant_id, id),
    CHECK (inserted + updated + rejected = done_rows)
) STRICT, WITHOUT ROWID;
-- What a start has to look at.
CREATE INDEX imports_open ON imports (state) WHERE state IN ('queued', 'reading', 'writing');
-- What is swept away after some time.
CREATE INDEX imports_over ON imports (finished_at) WHERE finished_at IS NOT NULL;

-- Rows that did not become leads.
CREATE TABLE import_rejects (
    tenant_id  BLOB    NOT NULL,
    import_id  BLOB    NOT NULL,
    -- In the order of the sheet: rows of damaged workbooks may repeat their numbers.
    id         BLOB    NOT NULL,
    -- As the spreadsheet program numbers it.
    sheet_row  INTEGER NOT NULL,
    heading    TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    -- JSON array of texts, one for each column from A on.
    cells      TEXT    NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, import_id, id),
    FOREIGN KEY (tenant_id, import_id) REFERENCES imports (tenant_id, id)
) STRICT, WITHOUT ROWID;
