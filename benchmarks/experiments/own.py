"""Ours against ours: weights, intercept and float32 switched on, a second thread, memory."""

import multiprocessing
import re
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from benchmark_utils import report, timing

import fastsum
from benchmarks import registry
from fastsum.data import as_rows

DATA = {
    "click log": "click_log[n_samples=500000,n_features=1048576]",
    "dense": "simulated[n_samples=200000,n_features=100,condition=1000]",
}
SMALL = {"small": "click_log[n_samples=2000,n_features=1024]"}
TOL = 1e-4
COLUMNS = ["data", "what", "plain", "with it", "ratio", "wanted"]
EXPLANATION = """\
l2 logistic regression, alpha = 1/n, tol 1e-4, `LogisticRegression` with its defaults. "Per pass" is
the seconds of a fit over its passes, "a fit" its seconds; plain is float64, without weights and
intercept, two threads. A second thread: one thread is plain, the ratio is what two are faster; full
passes are X w and X'r. Memory is the peak above what the process held with X in it, in MB; plain is
what is allowed, 1.2 times the prepared data and 12 weight vectors."""


def fit(X, y, weights=None, n_jobs=2, **options):
    """Seconds and passes of a fit."""
    settings = {"C": 1.0, "fit_intercept": False, "tol": TOL, "max_iter": 1000} | options
    model = fastsum.LogisticRegression(n_jobs=n_jobs, random_state=0, **settings)
    clock = timing.Clock()
    clock.time(lambda: model.fit(X, y, sample_weight=weights))
    return clock.wall[0], int(np.max(model.n_iter_))


def switched(X, y, repeats):
    """Seconds per pass and of a fit: plain, and with one thing switched on."""
    weights = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    weights *= len(y) / weights.sum()  # the same alpha
    single = X.astype(np.float32)
    sides = {
        "plain": lambda: fit(X, y),
        "weights": lambda: fit(X, y, weights),
        "intercept": lambda: fit(X, y, fit_intercept=True),
        "float32": lambda: fit(single, y),
    }
    found = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            found[name].append(side())
    plain = found.pop("plain")
    for name, runs in found.items():
        wanted = "at least 1.2 times faster" if name == "float32" else "at most 1.15"
        passes = [median(seconds / count for seconds, count in side) for side in (plain, runs)]
        yield {"what": f"{name}, per pass", "wanted": wanted} | _ratio(*passes)
        fits = [median(seconds for seconds, _ in side) for side in (plain, runs)]
        yield {"what": f"{name}, a fit"} | _ratio(*fits)


def _ratio(plain, other):
    return {"plain": plain, "with it": other, "ratio": other / plain}


def second_thread(X, y, repeats):
    """One thread against two."""
    rows = as_rows(X)
    n, d = X.shape
    W, z, r = np.full((d + 1, 1), 0.01, rows.dtype), np.zeros((n, 1)), np.full((n, 1), 0.1)
    sides = {
        "X w": lambda t: rows.margins(W, t, z),
        "X'r": lambda t: rows.transposed(r, t),
        "a fit": lambda t: fit(X, y, n_jobs=t),
    }
    for name, call in sides.items():
        calls = {t: lambda t=t, call=call: call(t) for t in (1, 2)}
        clocks = timing.alternate(calls, repeats, warm_up=int(name != "a fit"))
        one, two = (median(clocks[t].wall) for t in (1, 2))
        wanted = "1.4 times faster" if name == "a fit" else "1.6 times faster"
        row = {"what": f"second thread, {name}", "plain": one, "with it": two, "wanted": wanted}
        yield row | {"ratio": one / two}


def memory(X, y):
    """Peak above X of a fit, in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_peak_of_fit, args=(X, y, theirs))
    process.start()
    peak = ours.recv()
    process.join()
    rows = as_rows(X)
    parts = (rows.blocks[0].values, rows.blocks[0].indices, rows.blocks[0].indptr)
    prepared = sum(part.nbytes for part in parts if part is not None)
    allowed = 1.2 * prepared + 12 * 8 * X.shape[1]
    return {"what": "memory above X, MB", "wanted": "at most 1"} | _ratio(allowed / 1e6, peak / 1e6)


def _peak_of_fit(X, y, pipe):
    fit(X[:100], np.arange(100) % 2)  # libraries and thread pools
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = _status("VmRSS")
    fit(X, y)
    pipe.send(_status("VmHWM") - before)


def _status(key):
    """Bytes of a line of /proc/self/status."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M)[1])


def main(args):
    warnings.simplefilter("ignore")
    repeats, rows, data = args.repeats or 3, [], {}
    machine = timing.machine(args.threads)
    for name, spec in (SMALL if args.small else DATA).items():
        parts = registry.dataset(spec).get_data()
        data[name] = parts["X"], np.where(parts["y"] == parts["y"].max(), 1, 0)
    # first of all: a fork does not survive the threads that a fit in this process starts
    peaks = {name: memory(*parts) for name, parts in data.items()}
    for name, parts in data.items():
        with timing.exclusive(trial=args.small):
            found = [peaks[name], *switched(*parts, repeats), *second_thread(*parts, repeats)]
        rows += [{"data": name} | row for row in found]
        title, facts = "Ours against ours", machine.finish()
        report.write("own", title, EXPLANATION, COLUMNS, rows, facts, {}, args)
    report.show(title, COLUMNS, rows)
