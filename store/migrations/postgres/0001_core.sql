-- Ids are uuids (v7: sortable by time), times are milliseconds since the epoch (UTC), money is an integer in the currency's
-- smallest unit, JSON is text. Keys are (tenant_id, id): a row of another tenant cannot even be named. Tables without
-- tenant_id stand on the short list in `store::schema::WITHOUT_TENANT`. The meaning is that of migrations/sqlite.
--
-- Text is COLLATE "C", byte by byte as in SQLite: its order is the same everywhere, and no upgrade of the system's locales
-- breaks an index. The server tells a taken value by its key's columns, the last of which is what a person typed.

-- ── tenants and people ──────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE tenants (
    id                 uuid NOT NULL PRIMARY KEY,
    -- Short, lower case, part of SIP user names and logins (`1001.acme`, `12@acme`).
    slug               text COLLATE "C" NOT NULL UNIQUE,
    name               text COLLATE "C" NOT NULL,
    state              text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'banned')),
    zone               text COLLATE "C" NOT NULL,
    country            text COLLATE "C" NOT NULL,
    currency           text COLLATE "C" NOT NULL,
    rate_version       bigint NOT NULL DEFAULT 1,
    rate_per_interval  bigint NOT NULL CHECK (rate_per_interval >= 0),
    rate_interval_ms   bigint NOT NULL CHECK (rate_interval_ms > 0),
    -- Of talk, charged however short the call.
    rate_minimum_ms    bigint NOT NULL DEFAULT 0 CHECK (rate_minimum_ms >= 0),
    robot_lines        bigint NOT NULL DEFAULT 0 CHECK (robot_lines >= 0),
    hours              text COLLATE "C" NOT NULL,
    -- The gate's policy (dialer::Policy), the part a tenant may set.
    policy             text COLLATE "C" NOT NULL,
    version            bigint NOT NULL DEFAULT 1,
    created_at         bigint NOT NULL,
    updated_at         bigint NOT NULL
);

-- SIP domains of a tenant's own; one on the whole platform.
CREATE TABLE domains (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    domain      text COLLATE "C" NOT NULL UNIQUE,
    created_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, domain)
);

CREATE TABLE users (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    id              uuid NOT NULL,
    -- What is typed into the login box, lower case; one on the whole platform.
    login           text COLLATE "C" NOT NULL UNIQUE,
    name            text COLLATE "C" NOT NULL,
    -- Argon2 in PHC form.
    password        text COLLATE "C" NOT NULL,
    role            text COLLATE "C" NOT NULL,
    platform_admin  boolean NOT NULL DEFAULT FALSE,
    state           text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version         bigint NOT NULL DEFAULT 1,
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    last_login_at   bigint,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE sessions (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    user_id       uuid NOT NULL,
    token_hash    bytea NOT NULL UNIQUE,
    created_at    bigint NOT NULL,
    expires_at    bigint NOT NULL,
    last_seen_at  bigint NOT NULL,
    remote        text COLLATE "C",
    user_agent    text COLLATE "C",
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE api_keys (
    tenant_id     uuid NOT NULL REFERENCES tenants (id),
    id            uuid NOT NULL,
    name          text COLLATE "C" NOT NULL,
    -- Shown in lists so that people can tell keys apart; the key itself is shown once.
    prefix        text COLLATE "C" NOT NULL,
    hash          bytea NOT NULL UNIQUE,
    -- JSON array: ["calls:read", "campaigns:*"].
    scopes        text COLLATE "C" NOT NULL,
    created_by    uuid NOT NULL,
    created_at    bigint NOT NULL,
    expires_at    bigint,
    last_used_at  bigint,
    revoked_at    bigint,
    PRIMARY KEY (tenant_id, id)
);

-- One-time links that make the first administrator of an installation.
CREATE TABLE setup_tokens (
    hash        bytea NOT NULL PRIMARY KEY,
    created_at  bigint NOT NULL,
    expires_at  bigint NOT NULL,
    used_at     bigint
);

-- Who changed what. Grows only.
CREATE TABLE audit (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    at           bigint NOT NULL,
    -- user | api_key | engine | setup
    actor        text COLLATE "C" NOT NULL,
    actor_id     uuid,
    -- e.g. trunk.updated
    action       text COLLATE "C" NOT NULL,
    subject_id   uuid,
    before       text COLLATE "C",
    after        text COLLATE "C",
    PRIMARY KEY (tenant_id, id)
);

-- ── SIP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

-- One digest account: of an extension, or of a trunk that registers to us. Extensions and trunks share one name space,
-- since a REGISTER carries nothing but the user name.
CREATE TABLE sip_accounts (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    owner_id    uuid NOT NULL,
    owner       text COLLATE "C" NOT NULL CHECK (owner IN ('extension', 'trunk')),
    username    text COLLATE "C" NOT NULL UNIQUE,
    -- The canonical address of record its bindings are kept under.
    aor         text COLLATE "C" NOT NULL UNIQUE,
    realm       text COLLATE "C" NOT NULL,
    ha1_md5     bytea NOT NULL,
    ha1_sha256  bytea NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, owner_id)
);

CREATE TABLE caller_numbers (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    id           uuid NOT NULL,
    -- E.164 with its plus.
    number       text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'rejected')),
    -- platform | voice
    via          text COLLATE "C",
    decided_by   uuid,
    decided_at   bigint,
    note         text COLLATE "C" NOT NULL DEFAULT '',
    version      bigint NOT NULL DEFAULT 1,
    created_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, number)
);

CREATE TABLE trunks (
    tenant_id        uuid NOT NULL REFERENCES tenants (id),
    id               uuid NOT NULL,
    name             text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL DEFAULT 'registers' CHECK (kind IN ('registers')),
    max_concurrent   bigint NOT NULL CHECK (max_concurrent >= 0),
    calls_per_second bigint NOT NULL CHECK (calls_per_second >= 0),
    -- JSON array in order of preference: ["pcma", "pcmu"].
    codecs           text COLLATE "C" NOT NULL,
    -- 强显: it shows a number of its own whatever we send. Otherwise what we send must be approved.
    forced_display   boolean NOT NULL DEFAULT FALSE,
    state            text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version          bigint NOT NULL DEFAULT 1,
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE extensions (
    tenant_id         uuid NOT NULL REFERENCES tenants (id),
    id                uuid NOT NULL,
    -- What others dial: 1001.
    number            text COLLATE "C" NOT NULL,
    name              text COLLATE "C" NOT NULL,
    -- What an outside callee sees.
    caller_number_id  uuid,
    -- Where its outside calls leave.
    trunk_id          uuid,
    state             text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    version           bigint NOT NULL DEFAULT 1,
    created_at        bigint NOT NULL,
    updated_at        bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, caller_number_id) REFERENCES caller_numbers (tenant_id, id),
    FOREIGN KEY (tenant_id, trunk_id) REFERENCES trunks (tenant_id, id)
);

-- Written behind the registrar, read at start.
CREATE TABLE bindings (
    tenant_id   uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    aor         text COLLATE "C" NOT NULL,
    contact     text COLLATE "C" NOT NULL,
    username    text COLLATE "C" NOT NULL,
    transport   text COLLATE "C" NOT NULL,
    local       text COLLATE "C" NOT NULL,
    remote      text COLLATE "C" NOT NULL,
    user_agent  text COLLATE "C" NOT NULL,
    -- Thousandths.
    q           bigint NOT NULL,
    call_id     text COLLATE "C" NOT NULL,
    cseq        bigint NOT NULL,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, aor, contact)
);

-- ── templates ───────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE templates (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    id          uuid NOT NULL,
    name        text COLLATE "C" NOT NULL,
    shared      boolean NOT NULL DEFAULT FALSE,
    -- The newest row of template_versions; a campaign may stay on an older one.
    version     bigint NOT NULL DEFAULT 1,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    deleted_at  bigint,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX templates_name ON templates (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX templates_shared ON templates (shared) WHERE shared;

CREATE TABLE template_versions (
    tenant_id    uuid NOT NULL,
    template_id  uuid NOT NULL,
    version      bigint NOT NULL,
    body         text COLLATE "C" NOT NULL,
    created_by   uuid,
    created_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, template_id, version),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id)
);

CREATE TABLE prompts (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    template_id  uuid NOT NULL,
    name         text COLLATE "C" NOT NULL,
    -- Below the prompts folder; named by us.
    file         text COLLATE "C" NOT NULL,
    sha256       bytea NOT NULL,
    duration_ms  bigint NOT NULL,
    created_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id)
);
CREATE INDEX prompts_of_template ON prompts (tenant_id, template_id, name);

-- ── dialling ────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE campaigns (
    tenant_id         uuid NOT NULL REFERENCES tenants (id),
    id                uuid NOT NULL,
    name              text COLLATE "C" NOT NULL,
    state             text COLLATE "C" NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'paused', 'finished')),
    template_id       uuid NOT NULL,
    -- Null: the newest at start; fixed while running.
    template_version  bigint,
    trunk_id          uuid NOT NULL,
    caller_number_id  uuid NOT NULL,
    -- JSON, dialer::Campaign; the columns beside it win.
    plan              text COLLATE "C" NOT NULL,
    version           bigint NOT NULL DEFAULT 1,
    created_at        bigint NOT NULL,
    updated_at        bigint NOT NULL,
    started_at        bigint,
    finished_at       bigint,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id),
    FOREIGN KEY (tenant_id, trunk_id) REFERENCES trunks (tenant_id, id),
    FOREIGN KEY (tenant_id, caller_number_id) REFERENCES caller_numbers (tenant_id, id)
);
CREATE INDEX campaigns_running ON campaigns (state) WHERE state = 'running';

CREATE TABLE leads (
    tenant_id           uuid NOT NULL REFERENCES tenants (id),
    id                  uuid NOT NULL,
    -- Null while it is only listed.
    campaign_id         uuid,
    batch               text COLLATE "C" NOT NULL DEFAULT '',
    name                text COLLATE "C" NOT NULL DEFAULT '',
    number              text COLLATE "C" NOT NULL,
    custom              text COLLATE "C" NOT NULL DEFAULT '{}',
    -- dialer::LeadStateKind; what the kind holds stands in due_at, call_id, rule and grade.
    state               text COLLATE "C" NOT NULL DEFAULT 'listed' CHECK (state IN
                        ('listed', 'queued', 'claimed', 'dialling', 'retry', 'done', 'suppressed', 'exhausted')),
    -- When it may be claimed: queued and retry.
    due_at              bigint,
    claimed_at          bigint,
    call_id             uuid,
    rule                text COLLATE "C",
    attempts            bigint NOT NULL DEFAULT 0,
    unreached_in_a_row  bigint NOT NULL DEFAULT 0,
    last_attempt_at     bigint,
    -- JSON, model::Disposition.
    last_disposition    text COLLATE "C",
    last_call_id        uuid,
    grade               text COLLATE "C",
    -- Retries keep the number the callee saw first.
    caller_number_id    uuid,
    created_at          bigint NOT NULL,
    updated_at          bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
    CHECK (state NOT IN ('queued', 'retry') OR (campaign_id IS NOT NULL AND due_at IS NOT NULL)),
    CHECK (state <> 'dialling' OR call_id IS NOT NULL)
);
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
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    number      text COLLATE "C" NOT NULL,
    list_id     uuid NOT NULL,
    -- dialer::OptOutBy: speech | key | sms | agent | import | api
    source      text COLLATE "C" NOT NULL,
    -- Proof of source: a call, a file and row, who asked.
    note        text COLLATE "C" NOT NULL DEFAULT '',
    created_at  bigint NOT NULL,
    expires_at  bigint,
    PRIMARY KEY (tenant_id, number, list_id)
);

-- The platform's list binds every tenant.
CREATE TABLE platform_suppressed (
    number      text COLLATE "C" NOT NULL PRIMARY KEY,
    source      text COLLATE "C" NOT NULL,
    note        text COLLATE "C" NOT NULL DEFAULT '',
    created_at  bigint NOT NULL,
    expires_at  bigint
);

-- One dial of one number, durable before its INVITE leaves. Keyed by the call.
CREATE TABLE attempts (
    tenant_id          uuid NOT NULL REFERENCES tenants (id),
    call_id            uuid NOT NULL,
    direction          text COLLATE "C" NOT NULL,
    campaign_id        uuid,
    lead_id            uuid,
    number             text COLLATE "C" NOT NULL,
    caller             text COLLATE "C" NOT NULL,
    trunk_id           uuid,
    extension_id       uuid,
    state              text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'finished', 'interrupted')),
    begun_at           bigint NOT NULL,
    answered_at        bigint,
    -- The last moment the call is known to have lived.
    seen_at            bigint NOT NULL,
    ended_at           bigint,
    -- JSON, model::Disposition.
    disposition        text COLLATE "C",
    grade              text COLLATE "C",
    -- The callee said no (grade D by refusal): starts refusal suppression.
    refused            boolean NOT NULL DEFAULT FALSE,
    reserved           bigint NOT NULL DEFAULT 0,
    covers_ms          bigint NOT NULL DEFAULT 0,
    -- JSON, billing::Rate: what this attempt is charged by, whatever happens to the tenant's since. Null: nothing is charged.
    rate               text COLLATE "C",
    PRIMARY KEY (tenant_id, call_id)
);
CREATE INDEX attempts_of_number ON attempts (tenant_id, number, begun_at);
CREATE INDEX attempts_of_lead ON attempts (tenant_id, lead_id, begun_at);
CREATE INDEX attempts_refused ON attempts (tenant_id, number, ended_at) WHERE refused;
CREATE INDEX attempts_open ON attempts (state) WHERE state = 'open';
-- One number is never in two live robot attempts.
CREATE UNIQUE INDEX attempts_one_live ON attempts (tenant_id, number) WHERE state = 'open' AND lead_id IS NOT NULL;

-- Every verdict of the gate: why a lead was, or was not, dialled.
CREATE TABLE decisions (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    id           uuid NOT NULL,
    campaign_id  uuid,
    lead_id      uuid,
    call_id      uuid,
    number       text COLLATE "C" NOT NULL,
    at           bigint NOT NULL,
    allowed      boolean NOT NULL,
    -- The rule that denied; empty when allowed.
    rule         text COLLATE "C" NOT NULL DEFAULT '',
    next_at      bigint,
    detail       text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX decisions_of_lead ON decisions (tenant_id, lead_id, at);
CREATE INDEX decisions_of_campaign ON decisions (tenant_id, campaign_id, allowed, rule);

-- ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE calls (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    id              uuid NOT NULL,
    -- robot | internal | outbound | inbound
    direction       text COLLATE "C" NOT NULL,
    caller          text COLLATE "C" NOT NULL,
    callee          text COLLATE "C" NOT NULL,
    campaign_id     uuid,
    lead_id         uuid,
    extension_id    uuid,
    trunk_id        uuid,
    started_at      bigint NOT NULL,
    ringing_at      bigint,
    answered_at     bigint,
    ended_at        bigint NOT NULL,
    -- answered | cancelled | refused | interrupted | unreached
    disposition     text COLLATE "C" NOT NULL,
    -- Why nobody was reached: busy, no_answer …
    cause           text COLLATE "C",
    ended_by        text COLLATE "C" NOT NULL,
    sip_code        bigint,
    q850            bigint,
    ended_text      text COLLATE "C" NOT NULL DEFAULT '',
    talk_ms         bigint NOT NULL,
    charge          bigint NOT NULL,
    -- Of the current row in grades.
    grade           text COLLATE "C",
    template_id     uuid,
    template_version bigint,
    labels          text COLLATE "C" NOT NULL DEFAULT '[]',
    recording       text COLLATE "C",
    stats           text COLLATE "C",
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX calls_by_start ON calls (tenant_id, started_at, id);
CREATE INDEX calls_of_campaign ON calls (tenant_id, campaign_id, started_at, id);
CREATE INDEX calls_of_lead ON calls (tenant_id, lead_id, started_at);
CREATE INDEX calls_by_callee ON calls (tenant_id, callee, started_at);
CREATE INDEX calls_by_grade ON calls (tenant_id, grade, started_at) WHERE grade IS NOT NULL;

CREATE TABLE turns (
    tenant_id  uuid NOT NULL,
    call_id    uuid NOT NULL,
    position   bigint NOT NULL,
    speaker    text COLLATE "C" NOT NULL,
    node       text COLLATE "C" NOT NULL,
    text       text COLLATE "C" NOT NULL,
    from_ms    bigint NOT NULL,
    to_ms      bigint NOT NULL,
    -- JSON, bots::Line, bots::Matched, bots::Decision.
    line       text COLLATE "C",
    matched    text COLLATE "C",
    counted    boolean NOT NULL,
    decision   text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, call_id, position),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
);

-- One row for each version of the rules a call was graded under; older ones are kept.
CREATE TABLE grades (
    tenant_id           uuid NOT NULL,
    call_id             uuid NOT NULL,
    rules_version       bigint NOT NULL,
    graded_at           bigint NOT NULL,
    grade               text COLLATE "C" NOT NULL,
    rule                text COLLATE "C" NOT NULL,
    sub_reason          text COLLATE "C",
    interactions        bigint NOT NULL,
    refusals            bigint NOT NULL,
    positives           bigint NOT NULL,
    questions           bigint NOT NULL,
    unreached           text COLLATE "C",
    unreached_in_a_row  bigint NOT NULL,
    -- JSON, bots::Basis: the turns it rests on, with their audio offsets.
    evidence            text COLLATE "C" NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, call_id, rules_version),
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id)
);

CREATE TABLE call_events (
    tenant_id  uuid NOT NULL,
    call_id    uuid NOT NULL,
    seq        bigint NOT NULL,
    at         bigint NOT NULL,
    -- created | ringing | answered | … (the part after `call.`)
    type       text COLLATE "C" NOT NULL,
    data       text COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, call_id, seq)
);

-- ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Double entry. The entries of a posting sum to zero; the ledger only grows; balances are its sums, kept beside it in the
-- same transaction.
CREATE TABLE ledger_postings (
    tenant_id  uuid NOT NULL REFERENCES tenants (id),
    id         uuid NOT NULL,
    -- billing::Key: what makes a repeated posting the same posting.
    key        text COLLATE "C" NOT NULL,
    -- billing::Kind: reserve | settle | release | recharge | refund | credit
    kind       text COLLATE "C" NOT NULL,
    call_id    uuid,
    at         bigint NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    actor_id   uuid,
    note       text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key)
);
CREATE INDEX ledger_postings_by_time ON ledger_postings (tenant_id, at, id);
CREATE INDEX ledger_postings_of_call ON ledger_postings (tenant_id, call_id) WHERE call_id IS NOT NULL;

CREATE TABLE ledger_entries (
    tenant_id   uuid NOT NULL,
    posting_id  uuid NOT NULL,
    -- billing::Account: available | reserved | revenue | external; the last two are the platform's, kept apart by tenant.
    account     text COLLATE "C" NOT NULL,
    amount      bigint NOT NULL,
    PRIMARY KEY (tenant_id, posting_id, account),
    FOREIGN KEY (tenant_id, posting_id) REFERENCES ledger_postings (tenant_id, id)
);

CREATE TABLE ledger_balances (
    tenant_id  uuid NOT NULL REFERENCES tenants (id),
    account    text COLLATE "C" NOT NULL,
    amount     bigint NOT NULL,
    PRIMARY KEY (tenant_id, account)
);

CREATE FUNCTION ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Read by `store::db::postgres::told`.
    RAISE EXCEPTION 'the ledger only grows' USING ERRCODE = 'LG001';
END;
$$;
CREATE TRIGGER ledger_postings_stay BEFORE UPDATE OR DELETE ON ledger_postings
    FOR EACH ROW EXECUTE FUNCTION ledger_only_grows();
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_only_grows();
CREATE TRIGGER ledger_postings_remain BEFORE TRUNCATE ON ledger_postings EXECUTE FUNCTION ledger_only_grows();
CREATE TRIGGER ledger_entries_remain BEFORE TRUNCATE ON ledger_entries EXECUTE FUNCTION ledger_only_grows();
