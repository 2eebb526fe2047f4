-- Accounts, sessions, agreements, worklist, reports, signatures, recognition, critical values, links.
-- Moments are Unix microseconds, truth values 0 or 1, lists are words separated by blanks.

CREATE TABLE account (
  user_name {{KEY}} PRIMARY KEY,
  display_name TEXT NOT NULL,
  institution_id BIGINT NOT NULL,
  roles TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  failed_count BIGINT NOT NULL,
  locked_until BIGINT,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE TABLE web_session (
  token_hash {{KEY}} PRIMARY KEY,
  user_name {{KEY}} NOT NULL,
  created_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX web_session_user ON web_session (user_name);

CREATE TABLE bearer_token (
  token_hash {{KEY}} PRIMARY KEY,
  name TEXT NOT NULL,
  roles TEXT NOT NULL,
  institution_id BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT
);

-- Who may read for whom; without a valid row nobody reads for another institution.
CREATE TABLE reading_agreement (
  reader_id BIGINT NOT NULL,
  sender_id BIGINT NOT NULL,
  valid_from BIGINT NOT NULL,
  valid_to BIGINT,
  PRIMARY KEY (reader_id, sender_id)
);
CREATE INDEX reading_agreement_sender ON reading_agreement (sender_id);

-- Quality evaluation passed: the item of this institution carries a recognition mark.
CREATE TABLE hr_grant (
  institution_id BIGINT NOT NULL,
  item_code {{KEY}} NOT NULL,
  scope TEXT NOT NULL,
  valid_from BIGINT NOT NULL,
  valid_to BIGINT,
  PRIMARY KEY (institution_id, item_code)
);

-- One row per study on somebody's worklist.
CREATE TABLE reading_item (
  study_uid {{KEY}} PRIMARY KEY,
  study_id BIGINT NOT NULL,
  institution_id BIGINT NOT NULL,
  kind {{KEY}} NOT NULL,
  modality {{KEY}} NOT NULL,
  priority_class BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  status {{KEY}} NOT NULL,
  open BIGINT NOT NULL,
  author {{KEY}},
  signer {{KEY}},
  positive BIGINT,
  critical_open BIGINT NOT NULL,
  submitted_at BIGINT,
  signed_at BIGINT,
  hr_scope TEXT,
  hr_valid_until BIGINT
);
CREATE INDEX reading_item_queue ON reading_item (open, priority_class, due_at, study_uid);
CREATE INDEX reading_item_received ON reading_item (received_at);
CREATE INDEX reading_item_signed ON reading_item (signed_at);
CREATE INDEX reading_item_institution ON reading_item (institution_id, received_at);

CREATE TABLE reading_claim (
  study_uid {{KEY}} PRIMARY KEY,
  user_name {{KEY}} NOT NULL,
  since_at BIGINT NOT NULL,
  until_at BIGINT NOT NULL
);
CREATE INDEX reading_claim_user ON reading_claim (user_name);

CREATE TABLE report (
  study_uid {{KEY}} PRIMARY KEY,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL,
  findings TEXT NOT NULL,
  impression TEXT NOT NULL,
  technique TEXT,
  positive BIGINT,
  structured TEXT,
  author {{KEY}},
  signer {{KEY}},
  return_reason TEXT,
  returned_by {{KEY}},
  versions BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  submitted_at BIGINT,
  signed_at BIGINT
);

CREATE TABLE report_version (
  study_uid {{KEY}} NOT NULL,
  version BIGINT NOT NULL,
  kind TEXT NOT NULL,
  canonical {{BLOB}} NOT NULL,
  sha256 TEXT NOT NULL,
  signature TEXT NOT NULL,
  key_id TEXT NOT NULL,
  verify_code {{KEY}} NOT NULL UNIQUE,
  author {{KEY}} NOT NULL,
  signer {{KEY}} NOT NULL,
  signed_at BIGINT NOT NULL,
  predecessor BIGINT,
  evidence {{BLOB}} NOT NULL,
  PRIMARY KEY (study_uid, version)
);

-- Issued versions never change: the database itself says no.
-- only sqlite
CREATE TRIGGER report_version_no_update BEFORE UPDATE ON report_version
BEGIN SELECT RAISE(ABORT, 'an issued report version never changes'); END;
CREATE TRIGGER report_version_no_delete BEFORE DELETE ON report_version
BEGIN SELECT RAISE(ABORT, 'an issued report version is never removed'); END;
-- only postgres
CREATE FUNCTION report_version_refuse() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'an issued report version never changes'; END $$ LANGUAGE plpgsql;
CREATE TRIGGER report_version_no_change BEFORE UPDATE OR DELETE ON report_version
FOR EACH ROW EXECUTE FUNCTION report_version_refuse();
-- both

CREATE TABLE signing_key (
  key_id {{KEY}} PRIMARY KEY,
  public_key TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

-- Every transition: who, when, what, why. Figures come from here.
CREATE TABLE reading_event (
  id {{ID}},
  study_uid {{KEY}} NOT NULL,
  at BIGINT NOT NULL,
  kind {{KEY}} NOT NULL,
  user_name {{KEY}} NOT NULL,
  institution_id BIGINT NOT NULL,
  reason TEXT
);
CREATE INDEX reading_event_at ON reading_event (at);
CREATE INDEX reading_event_study ON reading_event (study_uid);

CREATE TABLE critical_value (
  id {{KEY}} PRIMARY KEY,
  study_uid {{KEY}} NOT NULL,
  institution_id BIGINT NOT NULL,
  item_code TEXT NOT NULL,
  item_text TEXT NOT NULL,
  evidence TEXT,
  state {{KEY}} NOT NULL,
  raised_at BIGINT NOT NULL,
  raised_by {{KEY}} NOT NULL,
  notified_at BIGINT,
  notified_by {{KEY}},
  notified_detail TEXT,
  acknowledged_at BIGINT,
  acknowledged_by {{KEY}},
  acknowledged_note TEXT,
  acted_at BIGINT,
  acted_by {{KEY}},
  acted_text TEXT,
  closed_at BIGINT,
  closed_by {{KEY}},
  closed_note TEXT
);
CREATE INDEX critical_value_state ON critical_value (state, raised_at);
CREATE INDEX critical_value_study ON critical_value (study_uid);
CREATE INDEX critical_value_raised ON critical_value (raised_at);

CREATE TABLE recognition (
  id {{ID}},
  study_uid {{KEY}} NOT NULL,
  institution_id BIGINT NOT NULL,
  user_name {{KEY}} NOT NULL,
  decision TEXT NOT NULL,
  reason_code TEXT,
  note TEXT,
  at BIGINT NOT NULL,
  latest BIGINT NOT NULL
);
CREATE INDEX recognition_study ON recognition (study_uid);
CREATE INDEX recognition_at ON recognition (latest, at);

CREATE TABLE share_link (
  id {{KEY}} PRIMARY KEY,
  token_hash {{KEY}} NOT NULL UNIQUE,
  study_uid {{KEY}} NOT NULL,
  pin_hash TEXT NOT NULL,
  created_by {{KEY}} NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT,
  failed_count BIGINT NOT NULL,
  views BIGINT NOT NULL
);
CREATE INDEX share_link_study ON share_link (study_uid);

CREATE TABLE consultation (
  id {{KEY}} PRIMARY KEY,
  study_uid {{KEY}} NOT NULL,
  asked_by {{KEY}} NOT NULL,
  asked_at BIGINT NOT NULL,
  invited {{KEY}},
  question TEXT NOT NULL,
  answered_by {{KEY}},
  answered_at BIGINT,
  opinion TEXT
);
CREATE INDEX consultation_study ON consultation (study_uid);

CREATE TABLE rejection (
  id {{ID}},
  study_uid {{KEY}} NOT NULL,
  institution_id BIGINT NOT NULL,
  rejected_by {{KEY}} NOT NULL,
  rejected_at BIGINT NOT NULL,
  reason_code TEXT NOT NULL,
  note TEXT
);
CREATE INDEX rejection_at ON rejection (rejected_at);
CREATE INDEX rejection_study ON rejection (study_uid);
