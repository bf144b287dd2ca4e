"""Seconds per pass of SAGA: ours against scikit-learn's, in one run, one thread."""

import time
import warnings
from functools import partial

import numpy as np
from benchmark_utils import report, timing
from sklearn.linear_model import LogisticRegression

import fastsum
from benchmarks import registry
from fastsum.solvers.variance_reduced import Saga

# (data set, scikit-learn's passes k1 and k2)
PROBLEMS = [
    ("click_log[n_samples=200000,n_features=262144,dtype={}]", (2, 8)),
    ("simulated[n_samples=200000,n_features=100,dtype={}]", (2, 8)),
    ("simulated[n_samples=20000,n_features=500,dtype={}]", (2, 12)),
    ("click_log[n_samples=500000,n_features=1048576,dtype={}]", (2, 6)),
]
SMALL = [
    ("click_log[n_samples=2000,n_features=1024,dtype={}]", (2, 8)),
    ("simulated[n_samples=2000,n_features=10,dtype={}]", (2, 8)),
]
OUR_PASSES = (8, 24)
EXPLANATION = """\
l2 logistic regression with intercept, alpha = 1/n (C = 1). A side's seconds per pass are (time of
a fit of k2 passes - time of a fit of k1 passes) / (k2 - k1), with a tol out of reach: validation,
set-up and conversion cancel. Ours three times: "steps" is what the passes alone took inside a fit;
"with certificates" the difference of whole fits with `refine=False`, k1 = 8 and k2 = 24, which has
one certificate in four passes (later in a fit they come more rarely); "with refinement" that of
fits as they come by default, which try an extrapolation or a Newton step at certificates.
scikit-learn's saga makes no certificate. Sides alternate; medians of the repeats, and the ratio of
the minima of processor time."""
KINDS = ("median", "min", "cpu_median", "cpu_min")
STEPS, CERTIFIED, REFINED = "ours: steps", "ours: with certificates", "ours: with refinement"
THEIRS = "scikit-learn"
RATIOS = {"ratio, steps": STEPS, "ratio, certificates": CERTIFIED, "ratio, refinement": REFINED}
COLUMNS = ["problem", "dtype", STEPS, CERTIFIED, REFINED, THEIRS, *RATIOS]
COLUMNS += ["ratio, CPU minima"]


class Stopwatch:
    """Seconds and passes inside `Saga.advance`: the steps without the certificates."""

    def __enter__(self):
        self.wall, self.cpu, self.passes, self.original = 0.0, 0.0, 0, Saga.advance

        def advance(method, state, n_passes):
            wall, cpu = time.perf_counter(), time.process_time()
            self.original(method, state, n_passes)
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall
            self.passes += n_passes

        Saga.advance = advance
        return self

    def __exit__(self, *_):
        Saga.advance = self.original


def ours(X, y, k, refine):
    problem = fastsum.Problem(X, y, loss="logistic", alpha=1.0 / len(y))
    fastsum.minimize(problem, "saga", tol=0.0, max_iter=k, random_state=0, refine=refine)


def theirs(X, y, k):
    LogisticRegression(solver="saga", tol=1e-30, max_iter=k, random_state=0).fit(X, y)


SIDES = {
    CERTIFIED: partial(ours, refine=False),
    THEIRS: theirs,
    REFINED: partial(ours, refine=True),
}


def measure(spec, passes, repeats):
    """Seconds per pass {side: {kind: seconds}}, the clocks, the Clock of a pass of our steps."""
    data = registry.dataset(spec).get_data()
    X, y = data["X"], np.where(data["y"] == data["y"].max(), 1, -1)
    ladder = {name: passes if name == THEIRS else OUR_PASSES for name in SIDES}
    clocks = {name: (timing.Clock(), timing.Clock()) for name in SIDES}
    steps = timing.Clock()
    for fit in SIDES.values():  # pages of memory, caches, lazy imports
        fit(X, y, 1)
    for _ in range(repeats):
        for rung in (0, 1):
            for name, fit in SIDES.items():
                with Stopwatch() as watch:
                    clocks[name][rung].time(partial(fit, X, y, ladder[name][rung]))
                if name == CERTIFIED and rung == 1:
                    steps.wall.append(watch.wall / watch.passes)
                    steps.cpu.append(watch.cpu / watch.passes)
    times = {name: per_pass(clocks[name], ladder[name]) for name in SIDES}
    return times, clocks, steps


def per_pass(clocks, passes):
    """{kind of summary: seconds per pass} of the clocks of k1 and of k2 passes."""
    short, long = (clock.summary() for clock in clocks)
    return {kind: (long[kind] - short[kind]) / (passes[1] - passes[0]) for kind in KINDS}


def row(spec, dtype, times, steps):
    out = {"problem": spec.split(",dtype")[0].replace("[", " (") + ")", "dtype": dtype}
    out |= {name: kinds["median"] for name, kinds in times.items()}
    out[STEPS] = steps.summary()["median"]
    out |= {ratio: out[THEIRS] / out[side] for ratio, side in RATIOS.items()}
    out["ratio, CPU minima"] = times[THEIRS]["cpu_min"] / steps.summary()["cpu_min"]
    return out


def main(args):
    warnings.simplefilter("ignore")
    rows, details = [], []
    specs = [
        (template.format(dtype), dtype, passes)
        for template, passes in (SMALL if args.small else PROBLEMS)
        for dtype in ("float64", "float32")
    ]
    if args.only:
        specs = [item for item in specs if any(part in item[0] for part in args.only)]
    with timing.exclusive(trial=args.small):
        machine = timing.machine(args.threads)
        for spec, dtype, passes in specs:
            times, clocks, steps = measure(spec, passes, args.repeats or 5)
            rows.append(row(spec, dtype, times, steps))
            fits = {name: [clock.summary() for clock in pair] for name, pair in clocks.items()}
            details.append({"problem": spec, "fits": fits, "steps": steps.summary()})
            # after each problem: an hour's figures survive a run that is cut short
            title, facts = "Seconds per pass of SAGA", machine.finish()
            report.write("per-pass", title, EXPLANATION, COLUMNS, rows, facts, details, args)
    report.show(title, COLUMNS, rows)
