-- Where an object lies: 0 where objects are placed, 1 on the second medium.
ALTER TABLE instance ADD COLUMN medium BIGINT NOT NULL DEFAULT 0;

-- How far the walks over all objects have come: the last instance that is done, and when the walk began.
CREATE TABLE upkeep_walk (
    name TEXT PRIMARY KEY,
    last_instance BIGINT NOT NULL,
    begun_at BIGINT NOT NULL
);

-- Objects that a check found damaged; a row goes when a later check finds the object sound.
CREATE TABLE damaged_object (
    object_key TEXT PRIMARY KEY,
    sop_instance_uid TEXT NOT NULL,
    why TEXT NOT NULL,
    found_at BIGINT NOT NULL
);
