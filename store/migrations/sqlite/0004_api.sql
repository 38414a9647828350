-- Answers to requests that named an Idempotency-Key, for a day. Sealed with the caller's token, which is not kept here.
CREATE TABLE idempotency (
    tenant_id      BLOB    NOT NULL REFERENCES tenants (id),
    -- The session or the API key.
    credential_id  BLOB    NOT NULL,
    -- SHA-256 of the header.
    key            BLOB    NOT NULL,
    -- SHA-256 of the request.
    print          BLOB    NOT NULL,
    -- The process that answers: what another one left unanswered stays so.
    run_id         BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    -- Null while it is being answered.
    answer         BLOB,
    PRIMARY KEY (tenant_id, credential_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- Versions of the rules of grading beside the built-in first one.
CREATE TABLE grade_rules (
    tenant_id   BLOB    NOT NULL REFERENCES tenants (id),
    version     INTEGER NOT NULL CHECK (version > 1),
    -- JSON, bots::Rules.
    rules       TEXT    NOT NULL,
    created_by  BLOB,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX decisions_of_call ON decisions (tenant_id, call_id) WHERE call_id IS NOT NULL;
CREATE INDEX audit_of_subject ON audit (tenant_id, subject_id, id);
