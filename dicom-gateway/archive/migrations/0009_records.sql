-- What else finds a name: other readings of it (kind 0), parts of it and first letters (kind 1).
CREATE TABLE patient_term (
    term {{KEY}} NOT NULL,
    kind BIGINT NOT NULL,
    patient_id BIGINT NOT NULL REFERENCES patient (id),
    PRIMARY KEY (term, kind, patient_id)
);
CREATE INDEX patient_term_patient ON patient_term (patient_id);

-- Nothing of a held patient or study is ever removed. No references: a hold outlives what it held.
CREATE TABLE legal_hold (
    id {{ID}},
    patient_id BIGINT,
    study_uid {{KEY}},
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    released_by TEXT,
    released_at BIGINT,
    release_reason TEXT
);
CREATE INDEX legal_hold_open ON legal_hold (id) WHERE released_at IS NULL;
CREATE INDEX legal_hold_patient ON legal_hold (patient_id) WHERE released_at IS NULL;
CREATE INDEX legal_hold_study ON legal_hold (study_uid) WHERE released_at IS NULL;

-- Removals of expired records: who decided, under which rules, and what went.
CREATE TABLE purge_run (
    id {{ID}},
    started_at BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    rules TEXT NOT NULL,
    rules_digest {{BLOB}} NOT NULL,
    certificate_digest {{BLOB}},
    finished_at BIGINT
);
CREATE INDEX purge_run_open ON purge_run (id) WHERE finished_at IS NULL;

-- A study that was removed: its rows are gone since removed_at, its files since files_gone_at.
CREATE TABLE purge_study (
    id {{ID}},
    run_id BIGINT NOT NULL REFERENCES purge_run (id),
    study_uid {{KEY}} NOT NULL,
    institution TEXT NOT NULL,
    patient_id BIGINT NOT NULL,
    study_date TEXT,
    class TEXT NOT NULL,
    last_visit TEXT NOT NULL,
    kept_until TEXT NOT NULL,
    series_count BIGINT NOT NULL,
    instance_count BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    removed_at BIGINT NOT NULL,
    files_gone_at BIGINT
);
CREATE INDEX purge_study_run ON purge_study (run_id, id);
CREATE INDEX purge_study_uid ON purge_study (study_uid);
CREATE INDEX purge_study_open ON purge_study (id) WHERE files_gone_at IS NULL;

CREATE TABLE purge_file (
    object_key {{KEY}} PRIMARY KEY,
    purge_study_id BIGINT NOT NULL REFERENCES purge_study (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    digest {{BLOB}} NOT NULL,
    size_bytes BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE INDEX purge_file_study ON purge_file (purge_study_id, object_key);
CREATE INDEX purge_file_open ON purge_file (purge_study_id, object_key) WHERE removed_at IS NULL;
CREATE INDEX quarantine_study ON quarantine (study_uid);

-- What each device did: stored, duplicate, refused:REASON, rejected:REASON.
CREATE TABLE device_tally (
    device_id BIGINT NOT NULL REFERENCES device (id),
    what {{KEY}} NOT NULL,
    total BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, what)
);
