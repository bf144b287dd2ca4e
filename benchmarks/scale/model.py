"""What a distributed fit costs: measured in simulation, a model of it, and what that predicts.

    python benchmarks/scale/model.py [--out points.json]

All shards of a fit are in this process and work in turn, so that the time of each is its own
whatever the number of cores: a round takes the longest of them, and the driver what is left. Bytes
and rounds are those of a real fit. The model is

    worker seconds    passes * (a nnz / W + b t)                  t columns that a worker touches
    driver seconds    rounds * (c d' + e W t)                     d' columns in use
    network seconds   rounds * (latency + 16 W t / bandwidth)     8 bytes a column each way
"""

import argparse
import json
import time
import warnings
from itertools import pairwise

import numpy as np
import scipy.optimize

from fastsum.datasets import make_click_log
from fastsum.distributed import InProcess, fit
from fastsum.distributed._shard import Source

ONES, TOL = 40, 1e-3
GRID = (
    # rows, columns, workers
    (50_000, 1 << 18, (1, 2, 4, 8, 16)),
    (250_000, 1 << 18, (2, 8)),
    (250_000, 1 << 20, (2, 8)),
)
# rows, columns: 10^9 x 10^9 with 40 ones a row, and 10^12 ones
TARGETS = ((10**9, 10**9), (25 * 10**9, 10**9))
WORKERS = (16, 64, 256, 1024)
LATENCY, BANDWIDTH = 1e-3, 1.25e9  # seconds; bytes a second of the driver's network, 10 Gbit/s


class Timed(InProcess):
    """Notes how long the slowest shard of each round takes, and all of them together."""

    def __init__(self, sources):
        super().__init__(sources)
        self.slowest = self.together = 0.0

    def _exchange(self, operation, messages):
        replies, seconds = [], []
        for number, message in enumerate(messages):
            begin = time.perf_counter()
            replies.append(self._one(number, operation, message))
            seconds.append(time.perf_counter() - begin)
        if operation not in ("describe", "prepare"):
            self.slowest += max(seconds)
        self.together += sum(seconds)
        return replies


def measured(n, d, n_workers):
    X, y = make_click_log(n, d, n_fields=ONES, random_state=0)
    ends = np.linspace(0, n, n_workers + 1).astype(int)
    timed = Timed([Source(X[a:b], y[a:b]) for a, b in pairwise(ends)])
    begin = time.perf_counter()
    result = fit(None, timed, alpha=1 / n, tol=TOL)
    driver = time.perf_counter() - begin - timed.together
    touched = np.mean([d if ids is None else len(ids) for ids in timed._ids])
    return {
        "rows": n, "columns": d, "workers": n_workers, "rounds": result.n_rounds,
        "passes": result.n_iter, "touched": float(touched),
        "in_use": d if timed.columns is None else len(timed.columns),
        "worker_s": round(timed.slowest, 3), "driver_s": round(driver, 3),
        "sent_mb": round(result.sent / 1e6, 1), "received_mb": round(result.received / 1e6, 1),
    }  # fmt: skip


def fitted(points):
    """a, b and c, e >= 0 by least squares of relative errors."""

    def solve(columns, seconds):
        A = np.column_stack(columns) / seconds[:, None]
        return scipy.optimize.nnls(A, np.ones(len(seconds)))[0]

    of = {key: np.array([p[key] for p in points], dtype=float) for key in points[0]}
    nnz = of["rows"] * ONES / of["workers"]
    a, b = solve([of["passes"] * nnz, of["passes"] * of["touched"]], of["worker_s"])
    sums = of["workers"] * of["touched"]
    c, e = solve([of["rounds"] * of["in_use"], of["rounds"] * sums], of["driver_s"])
    return a, b, c, e


def share_in_use(points):
    """Columns touched by m rows of d columns, from the points: a power of m / d, at most 1."""
    x = np.log([p["rows"] / p["workers"] / p["columns"] for p in points])
    y = np.log([p["touched"] / p["columns"] for p in points])
    slope, at = np.polyfit(x, y, 1)
    return lambda m, d: d * min(1.0, float(np.exp(at + slope * np.log(m / d))))


def predicted(n, d, W, model, touched_by, rounds, passes):
    a, b, c, e = model
    t, in_use = touched_by(n / W, d), touched_by(n, d)
    work = passes * (a * n * ONES / W + b * t)
    driver, network = rounds * (c * in_use + e * W * t), rounds * (LATENCY + 16 * W * t / BANDWIDTH)
    return {
        "rows": n, "columns": d, "workers": W, "non_zeros": n * ONES, "rounds": rounds,
        "worker_gb": round(n * ONES * 4 / W / 1e9, 1), "driver_gb": round(20 * 8 * in_use / 1e9, 1),
        "round_gb": round(16 * W * t / 1e9, 2), "worker_h": round(work / 3600, 2),
        "driver_h": round(driver / 3600, 2), "network_h": round(network / 3600, 2),
        "hours": round((work + driver + network) / 3600, 2),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    points = []
    for n, d, counts in GRID:
        for n_workers in counts:
            points.append(measured(n, d, n_workers))
            print(json.dumps(points[-1]), flush=True)
    model = fitted(points)
    print(json.dumps(dict(zip("abce", model, strict=True))))
    grown = np.polyfit(
        np.log2([p["workers"] for p in points]), [p["rounds"] for p in points], 1
    ).tolist()
    passes = max(p["passes"] for p in points)
    print(json.dumps({"rounds": f"{grown[1]:.1f} + {grown[0]:.1f} log2 W", "passes": passes}))
    for n, d in TARGETS:
        for W in WORKERS:
            rounds = round(grown[1] + grown[0] * np.log2(W))
            row = predicted(n, d, W, model, share_in_use(points), rounds, passes)
            print(json.dumps(row), flush=True)
    if options.out:
        with open(options.out, "w") as file:
            json.dump({"points": points, "model": model}, file, indent=1)


if __name__ == "__main__":
    main()
