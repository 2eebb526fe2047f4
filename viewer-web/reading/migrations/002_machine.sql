-- When the machine's reading of an ECG was last looked at: a critical one goes to the front.
ALTER TABLE reading_item ADD COLUMN machine_at BIGINT NOT NULL DEFAULT 0;

-- What a patient may see for a short while after the PIN, without typing it for each picture.
CREATE TABLE share_view (
  view_hash {{KEY}} PRIMARY KEY,
  share_id {{KEY}} NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX share_view_expires ON share_view (expires_at);
