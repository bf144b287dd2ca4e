"""Seconds per sample gradient of each stochastic method, in those of SAGA."""

import warnings

import numpy as np
from benchmark_utils import report, timing

import fastsum
from benchmarks import registry
from fastsum.sampling import KINDS
from fastsum.solvers._method import PerSampleMethod
from fastsum.solvers._registry import SOLVERS, lacks

DATA = [
    "simulated[n_samples=2000,n_features=100]",
    "simulated[n_samples=200000,n_features=100]",
    "a9a",
    "click_log[n_samples=200000,n_features=262144]",
    "text[n_samples=20000]",
    "text[n_samples=100000]",
]
SMALL = ["simulated[n_samples=200,n_features=10]", "text[n_samples=200,n_features=500]"]
PENALTIES = {"l2": 0.0, "elastic net": 0.5}
EXPLANATION = """\
Processor time of passes of each method (n sample gradients each, whole cycles of it, snapshots
included), in that of SAGA's on the same problem, and nanoseconds of SAGA's per stored value.
Logistic regression with intercept, float64, alpha = 1/n; from weights 0, after cycles that are
not counted. Methods in turns; the least of the repeats."""
FEWEST_VALUES = 2_000_000  # of X that a timed call meets, for a clock that is coarse


def calls_of(problem):
    """{name: (call, values of X that it meets)} of the methods that serve the problem."""
    out, nnz, start = {}, problem.rows.nnz, np.zeros((problem.rows.n_cols + 1, 1))
    for name, kind in SOLVERS.items():
        stochastic = issubclass(kind, PerSampleMethod) or kind.cycle > 1
        if not stochastic or lacks(kind, problem):
            continue
        method = kind(problem, sampling=KINDS[0], step_size=None, n_threads=1)
        state = method.start(start.copy(), np.random.default_rng(0))
        passes = method.cycle * max(1, round(FEWEST_VALUES / nnz / method.cycle))
        out[name] = (lambda m=method, s=state, p=passes: m.advance(s, p), passes * nnz)
    return out


def measure(spec, l1_ratio, repeats, only):
    """{name: seconds per stored value of a pass}."""
    data = registry.dataset(spec).get_data()
    y = np.where(data["y"] == data["y"].max(), 1.0, -1.0)
    options = {"loss": "logistic", "alpha": 1.0 / len(y), "l1_ratio": l1_ratio}
    made = calls_of(fastsum.Problem(data["X"], y, **options))
    if only:
        kept = {"saga", *(name for name in made if any(part in name for part in only))}
        made = {name: made[name] for name in made if name in kept}
    calls = {name: call for name, (call, _) in made.items()}
    clocks = timing.alternate(calls, repeats, warm_up=2)
    return {name: min(clock.cpu) / made[name][1] for name, clock in clocks.items()}


def main(args):
    warnings.simplefilter("ignore")
    machine, times = timing.machine(args.threads), {}
    specs = SMALL if args.small else DATA
    with timing.exclusive(trial=args.small):
        for spec in specs:
            for name, l1_ratio in PENALTIES.items():
                key = f"{spec.replace('n_samples=', '').replace('n_features=', '')}, {name}"
                times[key] = measure(spec, l1_ratio, args.repeats or 5, args.only)
    methods = list(dict.fromkeys(m for each in times.values() for m in each))
    rows = [
        {"method": m, **{k: each[m] / each["saga"] for k, each in times.items() if m in each}}
        for m in methods
    ]
    rows.append({"method": "ns a value, saga"} | {k: 1e9 * e["saga"] for k, e in times.items()})
    columns = ["method", *times]
    title, facts = "Time per sample gradient", machine.finish()
    report.write("per-gradient", title, EXPLANATION, columns, rows, facts, times, args)
    report.show(title, columns, rows)
