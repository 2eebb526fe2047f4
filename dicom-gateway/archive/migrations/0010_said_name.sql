-- Name in the objects of a study where another stands for the patient's number: devices use numbers again, and a study
-- must be shown under the name that is in its pictures.
ALTER TABLE study ADD COLUMN said_name TEXT;
ALTER TABLE study ADD COLUMN said_alphabetic TEXT;
ALTER TABLE study ADD COLUMN said_ideographic TEXT;
ALTER TABLE study ADD COLUMN said_phonetic TEXT;
ALTER TABLE study ADD COLUMN said_pinyin TEXT;
