"""What the side-by-side scripts share: arguments, CPU time, Gongying's own figures, the table."""
import argparse
import json
import os
import subprocess
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


def arguments(doc, **more):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--bin", default=os.path.join("target", "release", "gongying"), help="Gongying's executable")
    for name, settings in more.items():
        parser.add_argument(name.replace("_", "-"), **settings)
    chosen = parser.parse_args()
    if not os.access(chosen.bin, os.X_OK):
        sys.exit(f"{chosen.bin}: no executable; build it with cargo build --release, or give --bin")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    return chosen


def least_ms(work, seconds=1.5, least=3):
    """Least CPU time of this process for one call of `work`, after one that does not count."""
    work()
    best, runs, end = float("inf"), 0, time.monotonic() + seconds
    while runs < least or time.monotonic() < end:
        start = time.process_time()
        work()
        best, runs = min(best, time.process_time() - start), runs + 1
    return best * 1e3


def child_ms(command, times=5):
    """Least CPU time of a whole process."""
    best = float("inf")
    for _ in range(times):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        best = min(best, after.children_user - before.children_user + after.children_system - before.children_system)
    return best * 1e3


def ours_ms(binary, kernel, *more, runs=12):
    """Least of several short medians of a kernel's CPU time, as the peers' least: a busy machine lengthens the rest."""
    def run(repeat):
        command = [binary, "bench", kernel, *map(str, more), "--threads", "1", "--backend", "cpu", "--repeat", str(repeat), "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["cpu_ms_median"]
    repeat = int(max(3, min(200, 60 / max(run(3), 0.01))))
    return min(run(repeat) for _ in range(runs))


def attempt(name, work):
    """The result of `work`, or none with the reason printed: a peer may lack a codec."""
    try:
        return work()
    except Exception as error:  # whatever a peer raises is its answer
        print(f"  {name}: {type(error).__name__} {str(error)[:100]}")
        return None


def row(what, ours, peers):
    """Prints one line: our time, and each peer's with its multiple of ours."""
    said = ", ".join(f"{name} {ms:.3g} ms ({ms / ours:.1f}x)" for name, ms in peers if ms is not None)
    print(f"{what}: ours {ours:.3g} ms; {said or 'no peer could do it'}", flush=True)
