-- The centre's book of its township nodes.
CREATE TABLE edge_node (
    id {{ID}},
    name {{KEY}} NOT NULL UNIQUE,
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    enrolled_at BIGINT NOT NULL,
    enrolled_from TEXT,
    last_seen_at BIGINT,
    -- What the node told last, as JSON: queue, version, clock.
    report TEXT,
    revoked_at BIGINT
);

CREATE INDEX edge_node_institution ON edge_node (institution_id);

-- Tokens that let one node in, once. Only their digest is kept.
CREATE TABLE edge_enrolment (
    token_hash {{KEY}} PRIMARY KEY,
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    -- Digest of the secret that the node made for itself: the same node may ask again when the answer was lost.
    secret_hash {{KEY}},
    node_name {{KEY}}
);

CREATE INDEX edge_enrolment_institution ON edge_enrolment (institution_id);
CREATE INDEX edge_enrolment_expires ON edge_enrolment (expires_at);

-- What a node says a study consists of: the study is complete when all of it is here.
CREATE TABLE edge_manifest (
    study_uid TEXT NOT NULL,
    node_name {{KEY}} NOT NULL,
    revision BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    object_count BIGINT NOT NULL,
    -- SOP Instance UID and digest of each object, compressed JSON.
    objects {{BLOB}} NOT NULL,
    -- By the node's clock, and how far that clock was behind this one.
    first_received_at BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    clock_offset_us BIGINT NOT NULL,
    heard_at BIGINT NOT NULL,
    complete_at BIGINT,
    PRIMARY KEY (study_uid, node_name)
);
CREATE INDEX edge_manifest_open ON edge_manifest (study_uid) WHERE complete_at IS NULL;
