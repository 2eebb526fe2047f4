//! Pure compute: ECG, codecs, pixels, volumes; no files, no network, no clock.
