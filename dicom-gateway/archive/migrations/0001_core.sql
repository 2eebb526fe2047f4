-- Institutions of the community.
CREATE TABLE institution (
    id {{ID}},
    code TEXT NOT NULL UNIQUE,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Small facts of the whole archive, e.g. when it was made.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Who did what to which study, when and from where. id = position in its chain * 64 + chain.
CREATE TABLE audit_event (
    id {{ID}},
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome BIGINT NOT NULL,
    user_name TEXT NOT NULL,
    role TEXT NOT NULL,
    institution TEXT,
    study_uid TEXT,
    patient_ref TEXT,
    source_ip TEXT,
    detail TEXT,
    hash {{BLOB}} NOT NULL
);
CREATE INDEX audit_event_at ON audit_event (at, id);
CREATE INDEX audit_event_study ON audit_event (study_uid, at, id);
CREATE INDEX audit_event_user ON audit_event (user_name, at, id);
CREATE INDEX audit_event_code ON audit_event (event, at, id);

-- Newest position of each chain, signed: rows cut off at the end are missed here.
CREATE TABLE audit_head (
    chain BIGINT PRIMARY KEY,
    rows BIGINT NOT NULL,
    hash {{BLOB}} NOT NULL,
    key_id TEXT NOT NULL,
    signature {{BLOB}} NOT NULL
);

-- only sqlite
CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
INSERT INTO audit_head (chain, rows, hash, key_id, signature) VALUES (0, 0, x'', '', x'');
-- only postgres
CREATE FUNCTION audit_event_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit rows are never changed or removed'; END $$;
CREATE TRIGGER audit_event_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION audit_event_frozen();
-- Several chains, so that writers of several machines do not wait for each other's flush.
INSERT INTO audit_head (chain, rows, hash, key_id, signature)
SELECT n, 0, '', '', '' FROM generate_series(0, 15) AS n;
-- both
