-- A person across institutions. The same national number is the same person.
CREATE TABLE person (
    id {{ID}},
    national_id {{KEY}} UNIQUE,
    created_at BIGINT NOT NULL
);

-- A patient as one institution knows them.
CREATE TABLE patient (
    id {{ID}},
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    issuer TEXT NOT NULL,
    identifier {{KEY}} NOT NULL,
    person_id BIGINT NOT NULL REFERENCES person (id),
    name TEXT NOT NULL,
    name_alphabetic {{KEY}} NOT NULL,
    name_ideographic {{KEY}} NOT NULL,
    name_phonetic {{KEY}} NOT NULL,
    -- Upper case, full-width forms folded, separators as one space: what searches compare with.
    name_key {{KEY}} NOT NULL,
    alphabetic_key {{KEY}} NOT NULL,
    pinyin TEXT NOT NULL,
    pinyin_key {{KEY}} NOT NULL,
    pinyin_initials {{KEY}} NOT NULL,
    sex TEXT,
    birth_date {{KEY}},
    national_id {{KEY}},
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (institution_id, issuer, identifier)
);
CREATE INDEX patient_identifier ON patient (identifier);
CREATE INDEX patient_person ON patient (person_id);
CREATE INDEX patient_name ON patient (name_key);
CREATE INDEX patient_alphabetic ON patient (alphabetic_key);
CREATE INDEX patient_pinyin ON patient (pinyin_key);
CREATE INDEX patient_initials ON patient (pinyin_initials);
CREATE INDEX patient_birth_date ON patient (birth_date);

-- Links and unlinks made by hand, with their reason.
CREATE TABLE person_link (
    id {{ID}},
    patient_id BIGINT NOT NULL REFERENCES patient (id),
    from_person_id BIGINT NOT NULL,
    to_person_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    linked_by TEXT NOT NULL,
    linked_at BIGINT NOT NULL
);
CREATE INDEX person_link_patient ON person_link (patient_id, id);

-- Devices that may talk to the gateway.
CREATE TABLE device (
    id {{ID}},
    name TEXT NOT NULL,
    ae_title TEXT NOT NULL,
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    from_addr TEXT,
    may_store BIGINT NOT NULL,
    may_query BIGINT NOT NULL,
    may_retrieve BIGINT NOT NULL,
    listener TEXT,
    token_hash {{BLOB}} UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_seen_at BIGINT
);
CREATE INDEX device_ae_title ON device (ae_title);
CREATE INDEX device_institution ON device (institution_id);

-- Numbers handed out each day.
CREATE TABLE accession_counter (
    day TEXT PRIMARY KEY,
    last_number BIGINT NOT NULL
);

-- Exam requests.
CREATE TABLE exam_order (
    id {{ID}},
    accession_number {{KEY}} NOT NULL UNIQUE,
    study_uid TEXT NOT NULL UNIQUE,
    patient_id BIGINT NOT NULL REFERENCES patient (id),
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    item_code TEXT NOT NULL,
    item_name TEXT NOT NULL,
    priority TEXT NOT NULL,
    clinical_history TEXT NOT NULL,
    scheduled_ae TEXT,
    scheduled_at BIGINT NOT NULL,
    ordered_by TEXT NOT NULL,
    ordered_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    state_at BIGINT NOT NULL
);
CREATE INDEX exam_order_patient ON exam_order (patient_id, ordered_at);
CREATE INDEX exam_order_schedule ON exam_order (scheduled_at, id);
CREATE INDEX exam_order_institution ON exam_order (institution_id, ordered_at, id);

-- Modality Performed Procedure Steps.
CREATE TABLE performed_step (
    sop_instance_uid TEXT PRIMARY KEY,
    order_id BIGINT REFERENCES exam_order (id),
    state TEXT NOT NULL,
    data_set {{BLOB}} NOT NULL,
    station_ae TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX performed_step_order ON performed_step (order_id);
