CREATE TABLE study (
    id {{ID}},
    study_uid TEXT NOT NULL UNIQUE,
    patient_id BIGINT NOT NULL REFERENCES patient (id),
    institution_id BIGINT NOT NULL REFERENCES institution (id),
    order_id BIGINT REFERENCES exam_order (id),
    device_id BIGINT REFERENCES device (id),
    accession_number {{KEY}},
    study_id_text {{KEY}},
    study_date {{KEY}},
    study_time {{KEY}},
    description TEXT,
    referring_physician TEXT,
    modalities TEXT NOT NULL,
    body_part TEXT,
    has_waveform BIGINT NOT NULL,
    state TEXT NOT NULL,
    series_count BIGINT NOT NULL,
    instance_count BIGINT NOT NULL,
    received_first_at BIGINT NOT NULL,
    received_last_at BIGINT NOT NULL
);
CREATE INDEX study_received ON study (received_first_at, id);
CREATE INDEX study_receiving ON study (received_last_at) WHERE state = 'receiving';
CREATE INDEX study_patient ON study (patient_id, received_first_at);
CREATE INDEX study_accession ON study (accession_number);
CREATE INDEX study_date_time ON study (study_date, id);
CREATE INDEX study_institution ON study (institution_id, received_first_at);
CREATE INDEX study_order ON study (order_id);
CREATE INDEX study_device ON study (device_id);

CREATE TABLE series (
    id {{ID}},
    study_id BIGINT NOT NULL REFERENCES study (id),
    series_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    number BIGINT,
    description TEXT,
    body_part TEXT,
    laterality TEXT,
    protocol_name TEXT,
    station_name TEXT,
    manufacturer TEXT,
    series_date TEXT,
    series_time TEXT,
    kind TEXT NOT NULL,
    instance_count BIGINT NOT NULL,
    frame_count BIGINT NOT NULL,
    received_first_at BIGINT NOT NULL,
    received_last_at BIGINT NOT NULL,
    UNIQUE (study_id, series_uid)
);
CREATE INDEX series_uid ON series (series_uid);

-- Thin: 129 million rows a year and county.
CREATE TABLE instance (
    id {{ID}},
    series_id BIGINT NOT NULL REFERENCES series (id),
    study_id BIGINT NOT NULL REFERENCES study (id),
    sop_instance_uid TEXT NOT NULL UNIQUE,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    number BIGINT,
    frames BIGINT NOT NULL,
    image_rows BIGINT,
    image_columns BIGINT,
    bits_allocated BIGINT,
    object_key TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    meta_bytes BIGINT NOT NULL,
    meta_digest {{BLOB}} NOT NULL,
    dataset_digest {{BLOB}} NOT NULL,
    source TEXT NOT NULL,
    device_id BIGINT,
    received_at BIGINT NOT NULL
);
CREATE INDEX instance_series ON instance (series_id, number, id);
CREATE INDEX instance_study ON instance (study_id);

-- What single reads want and lists do not: attributes and the place of pixel data.
CREATE TABLE instance_detail (
    instance_id BIGINT PRIMARY KEY REFERENCES instance (id),
    attributes {{BLOB}} NOT NULL,
    pixel_data {{BLOB}}
);

-- Objects that were refused because another object has their UID.
CREATE TABLE quarantine (
    id {{ID}},
    sop_instance_uid TEXT NOT NULL,
    study_uid TEXT,
    reason TEXT NOT NULL,
    object_key TEXT,
    size_bytes BIGINT NOT NULL,
    dataset_digest {{BLOB}} NOT NULL,
    source TEXT NOT NULL,
    sender TEXT NOT NULL,
    quarantined_at BIGINT NOT NULL
);
CREATE INDEX quarantine_at ON quarantine (quarantined_at, id);
CREATE INDEX quarantine_instance ON quarantine (sop_instance_uid);
