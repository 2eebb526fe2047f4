//! Takes jobs from the archive, runs the engine, stores what was derived.
