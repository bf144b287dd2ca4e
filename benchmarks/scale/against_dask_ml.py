"""`fastsum.distributed` against dask-ml's LogisticRegression, both on one LocalCluster.

    pip install dask-ml && python benchmarks/scale/against_dask_ml.py [--rows 100000]

Dense rows, for dask-ml takes no sparse ones well, and l2. The intercept, which dask-ml penalises,
is that of a column of ones in X on both sides. Each solver of dask-ml runs to several tolerances;
what counts is the shortest time to our objective.
"""

import argparse
import json
import time
import warnings

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster

from fastsum.distributed import fit

TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8)


def data(n, d):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) @ np.diag(0.9 ** np.arange(d) + 0.05)
    X[:, -1] = 1.0
    w = rng.normal(size=d)
    return X, (rng.random(n) < 1 / (1 + np.exp(-X @ w))).astype(int)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--solvers", nargs="*", default=["newton", "lbfgs", "admm"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from dask_ml.linear_model import LogisticRegression

    X, y = data(options.rows, options.columns)
    n, C = len(y), 1.0

    def F(w):
        return np.logaddexp(0, np.where(y > 0, -1, 1) * (X @ w)).mean() + 0.5 * w @ w / (C * n)

    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        dX = client.persist(da.from_array(X, chunks=(n // 2, options.columns)))
        dy = client.persist(da.from_array(y, chunks=n // 2))
        dX.sum().compute()
        fit(dX, client, y=dy, alpha=1.0, tol=0.1)  # imports
        for tol in (1e-4, 1e-8):
            begin = time.perf_counter()
            ours = fit(dX, client, y=dy, alpha=1 / (C * n), tol=tol, fit_intercept=False)
            seconds = time.perf_counter() - begin
            print(
                json.dumps(
                    {
                        "solver": "fastsum",
                        "tol": tol,
                        "seconds": round(seconds, 3),
                        "objective": F(ours.coef),
                        "rounds": ours.n_rounds,
                    }
                ),
                flush=True,
            )
        for solver in options.solvers:
            for tol in TOLERANCES:
                model = LogisticRegression(
                    penalty="l2",
                    C=C,
                    solver=solver,
                    tol=tol,
                    max_iter=500,
                    fit_intercept=False,
                    solver_kwargs={"normalize": False},  # else X is scaled: another penalty
                )
                begin = time.perf_counter()
                model.fit(dX, dy)
                seconds = time.perf_counter() - begin
                excess = F(model.coef_.ravel()) - F(ours.coef)
                print(
                    json.dumps(
                        {
                            "solver": solver,
                            "tol": tol,
                            "seconds": round(seconds, 3),
                            "above": excess,
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
