-- Ids are 16-byte UUIDs (v7: sortable by time), times are milliseconds since the epoch (UTC), money is an integer in the
-- currency's smallest unit, JSON is text, booleans are 0 and 1. Keys are (tenant_id, id): a row of another tenant cannot
-- even be named. Tables without tenant_id stand on the short list in `store::schema::WITHOUT_TENANT`.

-- ── tenants and people ──────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE tenants (
    id                 BLOB    NOT NULL PRIMARY KEY,
    -- Short, lower case, part of SIP user names and logins (`1001.acme`, `12@acme`).
    slug               TEXT    NOT NULL UNIQUE,
    name               TEXT    NOT NULL,
    state              TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'banned')),
    zone               TEXT    NOT NULL,
    country            TEXT    NOT NULL,
    currency           TEXT    NOT NULL,
    rate_version       INTEGER NOT NULL DEFAULT 1,
    rate_per_interval  INTEGER NOT NULL CHECK (rate_per_interval >= 0),
    rate_interval_ms   INTEGER NOT NULL CHECK (rate_interval_ms > 0),
    -- Of talk, charged however short the call.
    rate_minimum_ms    INTEGER NOT NULL DEFAULT 0 CHECK (rate_minimum_ms >= 0),
    robot_lines        INTEGER NOT NULL DEFAULT 0 CHECK (robot_lines >= 0),
    hours              TEXT    NOT NULL,
    -- The gate's policy (dialer::Policy), the part a tenant may set.
    policy             TEXT    NOT NULL,
    version            INTEGER NOT NULL DEFAULT 1,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL
) STRICT;

-- SIP domains of a tenant's own; one on the whole platform.
CREATE TABLE domains (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id),
    domain      TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, domain)
) STRICT;

CREATE TABLE users (
    tenant_id       BLOB    NOT NULL REFERENCES tenants (id),
    id              BLOB    NOT NULL,
    -- What is typed into the login box, lower case; one on the whole platform.
    login           TEXT    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    -- Argon2 in PHC form.
    password        TEXT    NOT NULL,
    role            TEXT    NOT NULL,
    platform_admin  INTEGER NOT NULL DEFAULT 0,
    state           TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version         INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_login_at   INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE TABLE sessions (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    user_id       BLOB    NOT NULL,
    token_hash    BLOB    NOT NULL UNIQUE,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    remote        TEXT,
    user_agent    TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE api_keys (
    tenant_id     BLOB    NOT NULL REFERENCES tenants (id),
    id            BLOB    NOT NULL,
    name          TEXT    NOT NULL,
    -- Shown in lists so that people can tell keys apart; the key itself is shown once.
    prefix        TEXT    NOT NULL,
    hash          BLOB    NOT NULL UNIQUE,
    -- JSON array: ["calls:read", "campaigns:*"].
    scopes        TEXT    NOT NULL,
    created_by    BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    last_used_at  INTEGER,
    revoked_at    INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT;

-- One-time links that make the first administrator of an installation.
CREATE TABLE setup_tokens (
    hash        BLOB    NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;

-- Who changed what. Grows only.
CREATE TABLE audit (
    tenant_id    BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    at           INTEGER NOT NULL,
    -- user | api_key | engine | setup
    actor        TEXT    NOT NULL,
    actor_id     BLOB,
    -- e.g. trunk.updated
    action       TEXT    NOT NULL,
    subject_id   BLOB,
    before       TEXT,
    after        TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- ── SIP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

-- One digest account: of an extension, or of a trunk that registers to us. Extensions and trunks share one name space,
-- since a REGISTER carries nothing but the user name.
CREATE TABLE sip_accounts (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id),
    owner_id    BLOB    NOT NULL,
    owner       TEXT    NOT NULL CHECK (owner IN ('extension', 'trunk')),
    username    TEXT    NOT NULL UNIQUE,
    -- The canonical address of record its bindings are kept under.
    aor         TEXT    NOT NULL UNIQUE,
    realm       TEXT    NOT NULL,
    ha1_md5     BLOB    NOT NULL,
    ha1_sha256  BLOB    NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, owner_id)
) STRICT;

CREATE TABLE caller_numbers (
    tenant_id    BLOB    NOT NULL REFERENCES tenants (id),
    id           BLOB    NOT NULL,
    -- E.164 with its plus.
    number       TEXT    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'rejected')),
    -- platform | voice
    via          TEXT,
    decided_by   BLOB,
    decided_at   INTEGER,
    note         TEXT    NOT NULL DEFAULT '',
    version      INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, number)
) STRICT;

CREATE TABLE extensions (
    tenant_id         BLOB    NOT NULL REFERENCES tenants (id),
    id                BLOB    NOT NULL,
    -- What others dial: 1001.
    number            TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    -- What an outside callee sees.
    caller_number_id  BLOB,
    -- Where its outside calls leave.
    trunk_id          BLOB,
    state             TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version           INTEGER NOT NULL DEFAULT 1,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, caller_number_id) REFERENCES caller_numbers (tenant_id, id),
    FOREIGN KEY (tenant_id, trunk_id) REFERENCES trunks (tenant_id, id)
) STRICT;

CREATE TABLE trunks (
    tenant_id        BLOB    NOT NULL REFERENCES tenants (id),
    id               BLOB    NOT NULL,
    name             TEXT    NOT NULL,
    kind             TEXT    NOT NULL DEFAULT 'registers' CHECK (kind IN ('registers')),
    max_concurrent   INTEGER NOT NULL CHECK (max_concurrent >= 0),
    calls_per_second INTEGER NOT NULL CHECK (calls_per_second >= 0),
    -- JSON array in order of preference: ["pcma", "pcmu"].
    codecs           TEXT    NOT NULL,
    -- 强显: it shows a number of its own whatever we send. Otherwise what we send must be approved.
    forced_display   INTEGER NOT NULL DEFAULT 0,
    state            TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version          INTEGER NOT NULL DEFAULT 1,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
) STRICT;

-- Written behind the registrar, read at start.
CREATE TABLE bindings (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    aor         TEXT    NOT NULL,
    contact     TEXT    NOT NULL,
    username    TEXT    NOT NULL,
    transport   TEXT    NOT NULL,
    local       TEXT    NOT NULL,
    remote      TEXT    NOT NULL,
    user_agent  TEXT    NOT NULL,
    -- Thousandths.
    q           INTEGER NOT NULL,
    call_id     TEXT    NOT NULL,
    cseq        INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, aor, contact)
) STRICT, WITHOUT ROWID;

-- ── templates ───────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE templates (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id),
    id          BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    shared      INTEGER NOT NULL DEFAULT 0,
    -- The newest row of template_versions; a campaign may stay on an older one.
    version     INTEGER NOT NULL DEFAULT 1,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX templates_name ON templates (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX templates_shared ON templates (shared) WHERE shared = 1;

CREATE TABLE template_versions (
    tenant_id    BLOB    NOT NULL,
    template_id  BLOB    NOT NULL,
    version      INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    created_by   BLOB,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, template_id, version),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id)
) STRICT;

CREATE TABLE prompts (
    tenant_id    BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    template_id  BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    -- Below the prompts folder; named by us.
    file         TEXT    NOT NULL,
    sha256       BLOB    NOT NULL,
    duration_ms  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id)
) STRICT;
CREATE INDEX prompts_of_template ON prompts (tenant_id, template_id, name);

-- ── dialling ────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE campaigns (
    tenant_id         BLOB    NOT NULL REFERENCES tenants (id),
    id                BLOB    NOT NULL,
    name              TEXT    NOT NULL,
    state             TEXT    NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'paused', 'finished')),
    template_id       BLOB    NOT NULL,
    -- Null: the newest at start; fixed while running.
    template_version  INTEGER,
    trunk_id          BLOB    NOT NULL,
    caller_number_id  BLOB    NOT NULL,
    -- JSON, dialer::Campaign; the columns beside it win.
    plan              TEXT    NOT NULL,
    version           INTEGER NOT NULL DEFAULT 1,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id),
    FOREIGN KEY (tenant_id, trunk_id) REFERENCES trunks (tenant_id, id),
    FOREIGN KEY (tenant_id, caller_number_id) REFERENCES caller_numbers (tenant_id, id)
) STRICT;
CREATE INDEX campaigns_running ON campaigns (state) WHERE state = 'running';

CREATE TABLE leads (
    tenant_id           BLOB    NOT NULL REFERENCES tenants (id),
    id                  BLOB    NOT NULL,
    -- Null while it is only listed.
    campaign_id         BLOB,
    batch               TEXT    NOT NULL DEFAULT '',
    name                TEXT    NOT NULL DEFAULT '',
    number              TEXT    NOT NULL,
    custom              TEXT    NOT NULL DEFAULT '{}',
    -- dialer::LeadStateKind; what the kind holds stands in due_at, call_id, rule and grade.
    state               TEXT    NOT NULL DEFAULT 'listed' CHECK (state IN
                        ('listed', 'queued', 'claimed', 'dialling', 'retry', 'done', 'suppressed', 'exhausted')),
    -- When it may be claimed: queued and retry.
    due_at              INTEGER,
    claimed_at          INTEGER,
    call_id             BLOB,
    rule                TEXT,
    attempts            INTEGER NOT NULL DEFAULT 0,
    unreached_in_a_row  INTEGER NOT NULL DEFAULT 0,
    last_attempt_at     INTEGER,
    -- JSON, model::Disposition.
    last_disposition    TEXT,
    last_call_id        BLOB,
    grade               TEXT,
    -- Retries keep the number the callee saw first.
    caller_number_id    BLOB,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
    CHECK (state NOT IN ('queued', 'retry') OR (campaign_id IS NOT NULL AND due_at IS NOT NULL)),
    CHECK (state <> 'dialling' OR call_id IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX leads_once_per_campaign ON leads (tenant_id, campaign_id, number) WHERE campaign_id IS NOT NULL;
CREATE UNIQUE INDEX leads_once_outside_campaigns ON leads (tenant_id, number) WHERE campaign_id IS NULL;
CREATE INDEX leads_by_number ON leads (tenant_id, number);
CREATE INDEX leads_by_batch ON leads (tenant_id, batch);
CREATE INDEX leads_by_state ON leads (tenant_id, campaign_id, state, grade);
-- The claim reads this one and nothing else.
CREATE INDEX leads_due ON leads (tenant_id, campaign_id, due_at) WHERE state IN ('queued', 'retry');
-- What a start has to look at, however many leads there are.
CREATE INDEX leads_live ON leads (state) WHERE state IN ('claimed', 'dialling');

-- Do-not-call. list_id is the tenant's id for the tenant's list, a campaign's id for that campaign's.
CREATE TABLE suppressed (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id),
    number      TEXT    NOT NULL,
    list_id     BLOB    NOT NULL,
    -- dialer::OptOutBy: speech | key | sms | agent | import | api
    source      TEXT    NOT NULL,
    -- Proof of source: a call, a file and row, who asked.
    note        TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    PRIMARY KEY (tenant_id, number, list_id)
) STRICT, WITHOUT ROWID;

-- The platform's list binds every tenant.
CREATE TABLE platform_suppressed (
    number      TEXT    NOT NULL PRIMARY KEY,
    source      TEXT    NOT NULL,
    note        TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER
) STRICT, WITHOUT ROWID;

-- One dial of one number, durable before its INVITE leaves. Keyed by the call.
CREATE TABLE attempts (
    tenant_id          BLOB    NOT NULL REFERENCES tenants (id),
    call_id            BLOB    NOT NULL,
    direction          TEXT    NOT NULL,
    campaign_id        BLOB,
    lead_id            BLOB,
    number             TEXT    NOT NULL,
    caller             TEXT    NOT NULL,
    trunk_id           BLOB,
    extension_id       BLOB,
    state              TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'finished', 'interrupted')),
    begun_at           INTEGER NOT NULL,
    answered_at        INTEGER,
    -- The last moment the call is known to have lived.
    seen_at            INTEGER NOT NULL,
    ended_at           INTEGER,
    -- JSON, model::Disposition.
    disposition        TEXT,
    grade              TEXT,
    -- The callee said no (grade D by refusal): starts refusal suppression.
    refused            INTEGER NOT NULL DEFAULT 0,
    reserved           INTEGER NOT NULL DEFAULT 0,
    covers_ms          INTEGER NOT NULL DEFAULT 0,
    -- JSON, billing::Rate: what this attempt is charged by, whatever happens to the tenant's since. Null: nothing is charged.
    rate               TEXT,
    PRIMARY KEY (tenant_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_of_number ON attempts (tenant_id, number, begun_at);
CREATE INDEX attempts_of_lead ON attempts (tenant_id, lead_id, begun_at);
CREATE INDEX attempts_refused ON attempts (tenant_id, number, ended_at) WHERE refused = 1;
CREATE INDEX attempts_open ON attempts (state) WHERE state = 'open';
-- One number is never in two live robot attempts.
CREATE UNIQUE INDEX attempts_one_live ON attempts (tenant_id, number) WHERE state = 'open' AND lead_id IS NOT NULL;

-- Every verdict of the gate: why a lead was, or was not, dialled.
CREATE TABLE decisions (
    tenant_id    BLOB    NOT NULL REFERENCES tenants (id),
    id           BLOB    NOT NULL,
    campaign_id  BLOB,
    lead_id      BLOB,
    call_id      BLOB,
    number       TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    allowed      INTEGER NOT NULL,
    -- The rule that denied; empty when allowed.
    rule         TEXT    NOT NULL DEFAULT '',
    next_at      INTEGER,
    detail       TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_of_lead ON decisions (tenant_id, lead_id, at);
CREATE INDEX decisions_of_campaign ON decisions (tenant_id, campaign_id, allowed, rule);

-- ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE calls (
    tenant_id       BLOB    NOT NULL REFERENCES tenants (id),
    id              BLOB    NOT NULL,
    -- robot | internal | outbound | inbound
    direction       TEXT    NOT NULL,
    caller          TEXT    NOT NULL,
    callee          TEXT    NOT NULL,
    campaign_id     BLOB,
    lead_id         BLOB,
    extension_id    BLOB,
    trunk_id        BLOB,
    started_at      INTEGER NOT NULL,
    ringing_at      INTEGER,
    answered_at     INTEGER,
    ended_at        INTEGER NOT NULL,
    -- answered | cancelled | refused | interrupted | unreached
    disposition     TEXT    NOT NULL,
    -- Why nobody was reached: busy, no_answer …
    cause           TEXT,
    ended_by        TEXT    NOT NULL,
    sip_code        INTEGER,
    q850            INTEGER,
    ended_text      TEXT    NOT NULL DEFAULT '',
    talk_ms         INTEGER NOT NULL,
    charge          INTEGER NOT NULL,
    -- Of the current row in grades.
    grade           TEXT,
    template_id     BLOB,
    template_version INTEGER,
    labels          TEXT    NOT NULL DEFAULT '[]',
    recording       TEXT,
    stats           TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_start ON calls (tenant_id, started_at, id);
CREATE INDEX calls_of_campaign ON calls (tenant_id, campaign_id, started_at, id);
CREATE INDEX calls_of_lead ON calls (tenant_id, lead_id, started_at);
CREATE INDEX calls_by_callee ON calls (tenant_id, callee, started_at);
CREATE INDEX calls_by_grade ON calls (tenant_id, grade, started_at) WHERE grade IS NOT NULL;

CREATE TABLE turns (
    tenant_id  BLOB    NOT NULL,
    call_id    BLOB    NOT NULL,
    position   INTEGER NOT NULL,
    speaker    TEXT    NOT NULL,
    node       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    from_ms    INTEGER NOT NULL,
    to_ms      INTEGER NOT NULL,
    -- JSON, bots::Line, bots::Matched, bots::Decision.
    line       TEXT,
    matched    TEXT,
    counted    INTEGER NOT NULL,
    decision   TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, call_id, position),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- One row for each version of the rules a call was graded under; older ones are kept.
CREATE TABLE grades (
    tenant_id           BLOB    NOT NULL,
    call_id             BLOB    NOT NULL,
    rules_version       INTEGER NOT NULL,
    graded_at           INTEGER NOT NULL,
    grade               TEXT    NOT NULL,
    rule                TEXT    NOT NULL,
    sub_reason          TEXT,
    interactions        INTEGER NOT NULL,
    refusals            INTEGER NOT NULL,
    positives           INTEGER NOT NULL,
    questions           INTEGER NOT NULL,
    unreached           TEXT,
    unreached_in_a_row  INTEGER NOT NULL,
    -- JSON, bots::Basis: the turns it rests on, with their audio offsets.
    evidence            TEXT    NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, call_id, rules_version),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE call_events (
    tenant_id  BLOB    NOT NULL,
    call_id    BLOB    NOT NULL,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    -- created | ringing | answered | … (the part after `call.`)
    type       TEXT    NOT NULL,
    data       TEXT    NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, call_id, seq)
) STRICT, WITHOUT ROWID;

-- ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Double entry. The entries of a posting sum to zero; the ledger only grows; balances are its sums, kept beside it in the
-- same transaction.
CREATE TABLE ledger_postings (
    tenant_id  BLOB    NOT NULL REFERENCES tenants (id),
    id         BLOB    NOT NULL,
    -- billing::Key: what makes a repeated posting the same posting.
    key        TEXT    NOT NULL,
    -- billing::Kind: reserve | settle | release | recharge | refund | credit
    kind       TEXT    NOT NULL,
    call_id    BLOB,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    actor_id   BLOB,
    note       TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_postings_by_time ON ledger_postings (tenant_id, at, id);
CREATE INDEX ledger_postings_of_call ON ledger_postings (tenant_id, call_id) WHERE call_id IS NOT NULL;

CREATE TABLE ledger_entries (
    tenant_id   BLOB    NOT NULL,
    posting_id  BLOB    NOT NULL,
    -- billing::Account: available | reserved | revenue | external; the last two are the platform's, kept apart by tenant.
    account     TEXT    NOT NULL,
    amount      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, posting_id, account),
    FOREIGN KEY (tenant_id, posting_id) REFERENCES ledger_postings (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_balances (
    tenant_id  BLOB    NOT NULL REFERENCES tenants (id),
    account    TEXT    NOT NULL,
    amount     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, account)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_postings_stay BEFORE UPDATE ON ledger_postings
BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER ledger_postings_remain BEFORE DELETE ON ledger_postings
BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER ledger_entries_remain BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
