-- Letters with a state (0 waiting, 1 delivered, 2 given up, 3 dropped by an operator), a lease of
-- the process that is delivering them, and a number that tells one claim from the next.
ALTER TABLE outbox ADD COLUMN state BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN claims BIGINT NOT NULL DEFAULT 0;
-- From when on its age counts: set anew when an operator asks for another try.
ALTER TABLE outbox ADD COLUMN tried_since BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET tried_since = created_at, state = CASE WHEN delivered_at IS NULL THEN 0 ELSE 1 END;
DROP INDEX outbox_waiting;
CREATE INDEX outbox_due ON outbox (destination, priority DESC, next_at, id) WHERE state = 0;
CREATE INDEX outbox_given_up ON outbox (destination, id) WHERE state = 2;
CREATE INDEX outbox_subject ON outbox (subject, destination, kind);

-- Up to which moment the objects of a complete study are in the outbox, for each destination:
-- objects that come later are sent without those before them.
CREATE TABLE study_forwarded (
    study_id BIGINT NOT NULL REFERENCES study (id),
    destination TEXT NOT NULL,
    kind TEXT NOT NULL,
    through_at BIGINT NOT NULL,
    PRIMARY KEY (study_id, destination, kind)
);
