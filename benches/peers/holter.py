"""A long recording beside NeuroKit2 and SleepECG: time of the whole, and variability of the same intervals."""
import csv
import json
import os
import subprocess
import tempfile
import warnings

import side

import numpy as np

warnings.filterwarnings("ignore")


def ours(binary, record):
    """Our summary and our beats."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "beats.csv")
        made = subprocess.run([binary, "ecg", "holter", record, "--json", "--beats", path], check=True, capture_output=True, text=True)
        with open(path) as file:
            rows = list(csv.DictReader(file))
    return json.loads(made.stdout), rows


def peaks_of_runs(rows, hz):
    """Peaks of the longest stretch of conducted beats whose intervals our rule keeps whole: both sides see the same."""
    samples = np.array([int(row["sample"]) for row in rows])
    normal = np.array([row["label"] == "N" for row in rows])
    intervals = np.diff(samples) / hz
    usual = np.array([np.median(intervals[max(0, i - 5):i + 6]) for i in range(intervals.size)])
    kept = normal[:-1] & normal[1:] & (intervals >= 0.3) & (intervals <= 2) & (np.abs(intervals - usual) <= 0.2 * usual)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kept.astype(int), [0]])))
    first, end = max(zip(edges[::2], edges[1::2]), key=lambda run: run[1] - run[0])
    return samples[first:end + 1]


def variability(peaks, hz):
    import neurokit2 as nk
    time = nk.hrv_time(peaks, sampling_rate=hz)
    lf, hf = [], []
    seconds = peaks / hz
    for start in np.arange(np.ceil(seconds[0] / 300) * 300, seconds[-1] - 300, 300):
        part = peaks[(seconds >= start) & (seconds < start + 300)]
        bands = nk.hrv_frequency(part, sampling_rate=hz, normalize=False, psd_method="welch", interpolation_rate=4)
        # Seconds squared where the peer works in milliseconds: told as it tells them.
        lf.append(float(bands["HRV_LF"].iloc[0]))
        hf.append(float(bands["HRV_HF"].iloc[0]))
    print(f"NeuroKit2 on {peaks.size} peaks: SDNN {float(time['HRV_SDNN'].iloc[0]):.2f}, RMSSD {float(time['HRV_RMSSD'].iloc[0]):.2f}, "
          f"pNN50 {float(time['HRV_pNN50'].iloc[0]):.2f}, SDANN5 {float(time['HRV_SDANN5'].iloc[0]):.2f}, LF/HF {np.mean(lf) / np.mean(hf):.3f}")


def main():
    chosen = side.arguments(__doc__, record={"help": "WFDB header of a long record"})
    import wfdb
    name = chosen.record.removesuffix(".hea")
    summary, rows = ours(chosen.bin, chosen.record)
    values = {key: part["value"] for key, part in summary["variability"].items() if isinstance(part, dict)}
    print("ours, whole recording:", ", ".join(f"{key} {value}" for key, value in values.items()))
    peaks = peaks_of_runs(rows, summary["sampling_rate_hz"])
    side.attempt("NeuroKit2", lambda: variability(peaks, int(summary["sampling_rate_hz"])))
    whole = side.child_ms([chosen.bin, "ecg", "holter", chosen.record, "--json"], 3)
    held = wfdb.rdrecord(name)
    lead, hz = np.nan_to_num(held.p_signal[:, 0]), held.fs

    def sleepecg_beats():
        import sleepecg
        return sleepecg.detect_heartbeats(lead, hz)

    hours = lead.size / hz / 3600
    side.row(f"{hours:.0f} h x {held.n_sig} leads complete, process with reading", whole, [
        ("SleepECG beats of one lead in memory", side.attempt("SleepECG", lambda: side.least_ms(sleepecg_beats, seconds=0, least=2))),
    ])


if __name__ == "__main__":
    main()
