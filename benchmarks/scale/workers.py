"""Distributed fits on a LocalCluster: the objective of one machine, rounds, the gain of workers.

    python benchmarks/scale/workers.py [--folder SVMLIGHT_FOLDER] [--rows 500000] [--workers 1 2]

Each data set is fitted by `fastsum.minimize` and, in partitions, on clusters of workers with one
thread each, to tol=1e-4. Times are of the second of two fits on a cluster: without the start of its
processes, with the sending of the data.
"""

import argparse
import json
import lzma
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_svmlight_file

from fastsum import Problem, minimize
from fastsum.certificate import Certifier
from fastsum.datasets import make_click_log
from fastsum.distributed import fit

TOL = 1e-4
FILES = ("a9a", "w8a", "ijcnn1.val", "mushrooms")


def data_sets(folder, n_rows):
    yield "click log", *make_click_log(n_rows, 1 << 20, random_state=0)
    if folder is not None:
        for name in FILES:
            with lzma.open(Path(folder) / f"{name}.svm.xz") as file:
                X, y = load_svmlight_file(file)
            order = np.random.default_rng(0).permutation(len(y))
            yield name, X[order], y[order]


def cut(X, y, n):
    return [(X[a:b], y[a:b]) for a, b in pairwise(np.linspace(0, len(y), n + 1).astype(int))]


def on_cluster(X, y, alpha, n_workers):
    options = {"threads_per_worker": 1, "dashboard_address": None}
    parts = cut(X, y, n_workers)
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster) as client:
        fit(cut(X[:200], y[:200], n_workers), client, alpha=1.0, tol=0.1)
        begin = time.perf_counter()
        result = fit(parts, client, alpha=alpha, tol=TOL)
        return result, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--only", default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, X, y in data_sets(options.folder, options.rows):
        if options.only not in (None, name):
            continue
        alpha = 1.0 / len(y)
        problem = Problem(X, y > np.mean(y), alpha=alpha)
        begin = time.perf_counter()
        one = minimize(problem, tol=TOL)
        seconds = time.perf_counter() - begin
        best = minimize(problem, tol=1e-8)
        scale = float(Certifier(problem, 1).null.objective[0]) - best.objective
        print(
            json.dumps(
                {
                    "data": name,
                    "one_machine_s": round(seconds, 2),
                    "relative": (one.objective - best.objective) / scale,
                }
            ),
            flush=True,
        )
        for n_workers in options.workers:
            result, seconds = on_cluster(X, y, alpha, n_workers)
            print(json.dumps({
                "data": name, "workers": n_workers, "seconds": round(seconds, 2),
                "rounds": result.n_rounds, "passes": result.n_iter,
                "relative": (result.objective - best.objective) / scale,
                "relative_gap": result.dual_gap / scale,
                "sent_mb": round(result.sent / 1e6, 1),
                "received_mb": round(result.received / 1e6, 1),
                "status": str(result.status),
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
