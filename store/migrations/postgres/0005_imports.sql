-- ── imports of leads ────────────────────────────────────────────────────────────────────────────────────────────────

-- One file that is, was or will be read. Its figures change in the transaction that changes the leads, so they are true
-- whenever anybody looks, a crash included.
CREATE TABLE imports (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    id           uuid NOT NULL,
    state        text COLLATE "C" NOT NULL DEFAULT 'queued' CHECK (state IN
                 ('queued', 'reading', 'writing', 'done', 'failed', 'cancelled', 'interrupted')),
    -- As the sender calls it: shown, never opened.
    file_name    text COLLATE "C" NOT NULL DEFAULT '',
    -- Its leads went there; it may be gone since.
    campaign_id  uuid,
    -- For rows that name none.
    batch        text COLLATE "C" NOT NULL,
    -- update | reject | reject_in_tenant
    duplicates   text COLLATE "C" NOT NULL,
    dry_run      boolean NOT NULL DEFAULT FALSE,
    sheet        text COLLATE "C",
    -- JSON: what each column was taken for.
    columns      text COLLATE "C" NOT NULL DEFAULT '[]',
    -- Rows of the sheet, once it is read; and how many of them are accounted for.
    total_rows   bigint,
    done_rows    bigint NOT NULL DEFAULT 0,
    inserted     bigint NOT NULL DEFAULT 0,
    updated      bigint NOT NULL DEFAULT 0,
    rejected     bigint NOT NULL DEFAULT 0,
    -- JSON: why it failed.
    error        text COLLATE "C",
    created_at   bigint NOT NULL,
    started_at   bigint,
    finished_at  bigint,
    PRIMARY KEY (tenant_id, id),
    CHECK (inserted + updated + rejected = done_rows)
);
-- What a start has to look at.
CREATE INDEX imports_open ON imports (state) WHERE state IN ('queued', 'reading', 'writing');
-- What is swept away after some time.
CREATE INDEX imports_over ON imports (finished_at) WHERE finished_at IS NOT NULL;

-- Rows that did not become leads.
CREATE TABLE import_rejects (
    tenant_id  uuid NOT NULL,
    import_id  uuid NOT NULL,
    -- In the order of the sheet: rows of damaged workbooks may repeat their numbers.
    id         uuid NOT NULL,
    -- As the spreadsheet program numbers it.
    sheet_row  bigint NOT NULL,
    heading    text COLLATE "C" NOT NULL,
    code       text COLLATE "C" NOT NULL,
    detail     text COLLATE "C" NOT NULL,
    -- JSON array of texts, one for each column from A on.
    cells      text COLLATE "C" NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, import_id, id),
    FOREIGN KEY (tenant_id, import_id) REFERENCES imports (tenant_id, id)
);
