-- The queue of a township node: one row for each object that its archive took.
CREATE TABLE edge_object (
    id {{ID}},
    sop_instance_uid TEXT NOT NULL UNIQUE,
    study_uid TEXT NOT NULL,
    object_key TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    meta_bytes BIGINT NOT NULL,
    meta_digest {{BLOB}} NOT NULL,
    dataset_digest {{BLOB}} NOT NULL,
    -- 0 STAT, 1 ECG, 2 small, 3 bulk.
    class BIGINT NOT NULL,
    sender TEXT NOT NULL,
    source TEXT NOT NULL,
    peer TEXT,
    received_at BIGINT NOT NULL,
    -- waiting, sent or refused.
    state {{KEY}} NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    error TEXT,
    done_at BIGINT
);
CREATE INDEX edge_object_queue ON edge_object (class, id) WHERE state = 'waiting';
CREATE INDEX edge_object_sent ON edge_object (done_at, id) WHERE state = 'sent';
CREATE INDEX edge_object_refused ON edge_object (done_at) WHERE state = 'refused';
CREATE INDEX edge_object_study ON edge_object (study_uid);

-- Studies of which the centre has to be told what belongs to them.
CREATE TABLE edge_study (
    study_uid TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    told_revision BIGINT NOT NULL,
    told_closed BIGINT NOT NULL,
    dirty BIGINT NOT NULL
);
CREATE INDEX edge_study_dirty ON edge_study (study_uid) WHERE dirty = 1;
