"""The cost of a fit from the disk against the number of non-zeros.

    python benchmarks/scale/store.py 1e7 1e8          # and 1e9 with 5 GB of disk and some patience

Each size is a generated click log of 40 ones a row in 2^22 columns, as a store with shards of 2^18
rows; it is fitted by solver="auto" to a relative gap of 1e-3 in a process of its own. Anonymous
memory is what the process itself takes; the pages of the store belong to the system's cache.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from fastsum import Problem, minimize
from fastsum.datasets import make_click_log
from fastsum.files import checksum
from fastsum.store import Dataset
from fastsum.store._format import FORMAT, VERSION, file_name, write_array, write_manifest
from fastsum.store._settings import Encoding

ONES, COLUMNS, SHARD_ROWS = 40, 1 << 22, 1 << 18


def make_store(folder, n_rows):
    """Shards straight from the generator: frequency is the rank of a column in the first shard."""
    shards, columns = [], None
    for number, begin in enumerate(range(0, n_rows, SHARD_ROWS)):
        n = min(SHARD_ROWS, n_rows - begin)
        X, y = make_click_log(n, COLUMNS, n_fields=ONES, random_state=7 + number)
        if columns is None:
            counts = np.bincount(X.indices, minlength=COLUMNS)
            columns = np.argsort(-counts, kind="stable")
            place = np.empty(COLUMNS, dtype=np.int32)
            place[columns] = np.arange(COLUMNS, dtype=np.int32)
        arrays = {
            "indptr": X.indptr.astype(np.int64),
            "indices": np.sort(place[X.indices].reshape(n, -1), axis=1).ravel(),
            "y": y.astype(np.uint8),
        }
        crc = {
            kind: write_array(folder / file_name("train", number, kind), array)
            for kind, array in arrays.items()
        }
        shards.append(
            {"part": "train", "number": number, "n_rows": n, "n_stored": n * ONES, "crc": crc}
        )
    write_array(folder / "columns.npy", columns)
    manifest = {
        "format": FORMAT, "version": VERSION, "n_features": COLUMNS, "n_columns": COLUMNS,
        "columns_crc": checksum(columns), "storage": "ones", "dtype": "float32",
        "labels": {"classes": [0, 1], "dtype": "uint8"}, "shards": shards,
        "encoding": Encoding().to_json(), "sources": [], "skipped": 0,
    }  # fmt: skip
    write_manifest(folder, manifest)


def anonymous_megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def fit(folder, n_jobs):
    peak, done = [0.0], threading.Event()

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], anonymous_megabytes())

    threading.Thread(target=watch, daemon=True).start()
    begin, cpu = time.perf_counter(), time.process_time()
    data = Dataset(folder)
    _ = data.rows
    opened = time.perf_counter() - begin
    problem = Problem(data, alpha=10.0 / data.n_rows)
    result = minimize(problem, tol=1e-3, n_jobs=n_jobs)
    done.set()
    seconds = time.perf_counter() - begin
    relative = result.dual_gap / (result.trace["objective"][0] - result.objective)
    return {
        "open_s": round(opened, 2), "fit_s": round(seconds - opened, 2),
        "cpu_s": round(time.process_time() - cpu, 2), "passes": result.n_iter,
        "status": str(result.status), "gap_over_first_gain": float(relative),
        "anonymous_mb": round(peak[0]),
        "phases": sorted(set(result.trace["phase"].tolist())),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=float, default=[1e7, 1e8], help="non-zeros")
    parser.add_argument("--n-jobs", type=int, default=-1)
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(fit(options.fit, options.n_jobs)))
        return
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_store(Path(folder), int(size) // ONES)
            command = [sys.executable, __file__, "--fit", folder, "--n-jobs", str(options.n_jobs)]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"{size:.0e} non-zeros: {found.strip()}", flush=True)


if __name__ == "__main__":
    main()
