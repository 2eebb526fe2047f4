-- Work to be done. state: 0 waiting, 1 running, 2 done, 3 dead.
CREATE TABLE job (
    id {{ID}},
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    priority BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    state BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    crashes BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    lease_until BIGINT,
    worker TEXT,
    error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
-- One waiting job for a subject is enough: more news about it before it starts changes nothing.
CREATE INDEX job_waiting_subject ON job (kind, subject) WHERE state = 0;
CREATE INDEX job_waiting ON job (crashes, priority DESC, run_at, id) WHERE state = 0;
CREATE INDEX job_due ON job (run_at) WHERE state = 0;
CREATE INDEX job_leases ON job (lease_until) WHERE state = 1;
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;

-- What is to be sent elsewhere.
CREATE TABLE outbox (
    id {{ID}},
    destination TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload {{BLOB}} NOT NULL,
    priority BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX outbox_waiting ON outbox (destination, priority DESC, next_at, id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE delivered_at IS NOT NULL;

-- Results of jobs, one for each subject and kind.
CREATE TABLE derived (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    digest {{BLOB}} NOT NULL,
    size_bytes BIGINT NOT NULL,
    object_key TEXT,
    content {{BLOB}},
    made_at BIGINT NOT NULL,
    PRIMARY KEY (subject, kind)
);
CREATE INDEX derived_object ON derived (object_key) WHERE object_key IS NOT NULL;
