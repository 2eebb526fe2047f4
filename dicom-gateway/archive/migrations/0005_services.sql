-- SHA-256 of the certificate with which a device must prove itself, in hexadecimal.
ALTER TABLE device ADD COLUMN certificate TEXT;

-- Callers that were turned away lately, so that one command can enrol them.
CREATE TABLE refused_caller (
    calling {{KEY}} NOT NULL,
    address {{KEY}} NOT NULL,
    called TEXT NOT NULL,
    reason TEXT NOT NULL,
    certificate TEXT,
    count BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (calling, address)
);
CREATE INDEX refused_caller_last ON refused_caller (last_at);
