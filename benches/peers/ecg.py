"""ECG filters, beats and the whole analysis beside scipy, SleepECG and NeuroKit2."""
import os
import tempfile
import warnings

import side

import numpy as np
from scipy import signal

warnings.filterwarnings("ignore")
RESTING_HZ, LONG_HZ = 500, 360


def made(hz, seconds, leads):
    """A regular rhythm of 75 a minute with P, QRS and T, baseline wander and noise, in microvolts."""
    t = np.arange(int(hz * seconds)) / hz
    phase = np.mod(t, 0.8)
    wave = lambda at, width, height: height * np.exp(-0.5 * ((phase - at) / width) ** 2)  # noqa: E731
    beat = wave(0.2, 0.02, 120) + wave(0.34, 0.008, -100) + wave(0.36, 0.009, 1200) + wave(0.38, 0.009, -250) + wave(0.62, 0.04, 300)
    noise = np.random.default_rng(7)
    return np.stack([beat * (0.4 + 0.1 * k) + 150 * np.sin(2 * np.pi * 0.3 * t) + noise.normal(0, 12, t.size) for k in range(leads)])


def scipy_chain(x, hz):
    """Fourth-order band-pass and mains notch, both without phase, as the usual tools do."""
    band = signal.butter(4, [0.5, 40], "bandpass", fs=hz, output="sos")
    notch = signal.iirnotch(50, 30, fs=hz)
    return signal.filtfilt(*notch, signal.sosfiltfilt(band, x, axis=-1), axis=-1)


def neurokit_analysis(x, hz):
    import neurokit2 as nk
    for lead in x:
        clean = nk.ecg_clean(lead / 1000, sampling_rate=hz)
        _, peaks = nk.ecg_peaks(clean, sampling_rate=hz)
        nk.ecg_delineate(clean, peaks, sampling_rate=hz, method="dwt")


def neurokit_beats(x, hz):
    import neurokit2 as nk
    return nk.ecg_peaks(nk.ecg_clean(x / 1000, sampling_rate=hz), sampling_rate=hz)


def sleepecg_beats(x, hz):
    import sleepecg
    return sleepecg.detect_heartbeats(x / 1000, hz)


def main():
    chosen = side.arguments(__doc__, record={"nargs": "?", "help": "WFDB header of a long record; a made one without it"})
    with tempfile.TemporaryDirectory() as folder:
        resting = made(RESTING_HZ, 10, 12)
        path = os.path.join(folder, "resting.npy")
        np.save(path, resting)
        at = ["--fs", RESTING_HZ, "--leads", "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"]
        scipy_ms = side.least_ms(lambda: scipy_chain(resting, RESTING_HZ))
        for name in ("display", "diagnostic"):
            side.row(f"{name} filter, 12 leads of 10 s", side.ours_ms(chosen.bin, "ecg-filter", path, *at, "--path", name), [("scipy", scipy_ms)])
        side.row("analysis, 12 leads of 10 s", side.ours_ms(chosen.bin, "ecg-analyze", path, *at), [
            ("NeuroKit2 clean, peaks and marks", side.attempt("NeuroKit2", lambda: side.least_ms(lambda: neurokit_analysis(resting, RESTING_HZ)))),
        ])
        if chosen.record:
            import wfdb
            held = wfdb.rdrecord(chosen.record.removesuffix(".hea"), channels=[0])
            lead, hz, long, at = held.p_signal[:, 0] * 1000, held.fs, chosen.record, ["--lead", 0]
        else:
            lead, hz = made(LONG_HZ, 1805, 1)[0], LONG_HZ
            long, at = os.path.join(folder, "long.npy"), ["--fs", LONG_HZ, "--lead", 0]
            np.save(long, lead[None])
        side.row(f"beats, one lead of {lead.size / hz / 60:.0f} minutes", side.ours_ms(chosen.bin, "ecg-beats", long, *at), [
            ("SleepECG", side.attempt("SleepECG", lambda: side.least_ms(lambda: sleepecg_beats(lead, hz)))),
            ("NeuroKit2", side.attempt("NeuroKit2", lambda: side.least_ms(lambda: neurokit_beats(lead, hz)))),
        ])


if __name__ == "__main__":
    main()
