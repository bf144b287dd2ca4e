"""The accelerated prox methods beside saga and auto: certified gap against passes and seconds."""

import time
import warnings
from pathlib import Path

import numpy as np
from benchmark_utils import report, timing
from matplotlib.figure import Figure
from scipy.sparse import issparse

import fastsum
from benchmarks import registry

SOLVERS = [
    *("auto", "saga", "fista", "katyusha", "acc-prox-svrg"),
    *("acc-prox-sdca", "apcg", "point-saga", "catalyst"),
]
TOL, LEVELS = 1e-8, (1e-4, 1e-8)
# title: (data set, rows taken, loss, l1_ratio, alpha in units of alpha_max (l1) or 1 / n (l2))
PROBLEMS = {
    "riboflavin, Lasso, 0.1 alpha_max": ("folder[file=riboflavin]", None, "squared", 1.0, 0.1),
    "imdb_counts (5,000 rows), l1 logistic, 0.1 alpha_max": (
        *("folder[file=imdb_counts]", 5000, "logistic", 1.0, 0.1),
    ),
    "a9a, l2 logistic, alpha = 0.1 / n": ("a9a", None, "logistic", 0.0, 0.1),
    "click log 20,000 x 32,768, l2 logistic, alpha = 1 / n": (
        *("click_log[n_samples=20000,n_features=32768]", None, "logistic", 0.0, 1.0),
    ),
}
EXPLANATION = """\
Certified relative gaps, gap / (F(null) - D), of one fit a method by
`fastsum.minimize(refine=False)` to 1e-8, at most {limit:g} seconds, one thread: the passes and the
seconds, set-up and certificates included, until a certificate was at most 1e-4 and 1e-8 ("-": not
in that time). Intercepts are free. alpha_max is the least strength at which the optimum is the null
model. riboflavin is standardised; imdb_counts is 5,000 rows drawn at random, each column divided by
its largest count. No data set but a9a ships with fastsum: the others are read from the folder
FASTSUM_TEST_DATA or generated."""
COLUMNS = ["problem", "solver", "passes to 1e-4", "to 1e-8", "seconds to 1e-4", "s to 1e-8", "end"]


def main(args):
    limit = 0.2 if args.small else 4.0
    rows, curves = [], {}
    facts = timing.machine(args.threads)
    with timing.exclusive(trial=args.small):
        for title, (spec, *settings) in PROBLEMS.items():
            if args.only and not any(part in title for part in args.only):
                continue
            source = registry.dataset(spec)
            if reason := source.unavailable():
                print(f"{title}: left out, {reason}")
                continue
            problem = posed(source.get_data(), *settings)
            null = null_objective(problem)
            curves[title] = {solver: curve(problem, solver, null, limit) for solver in SOLVERS}
            rows += [row(title, solver, found) for solver, found in curves[title].items()]
    folder = report.write(
        *("family", "The family on real data", EXPLANATION.format(limit=limit), COLUMNS),
        *(rows, facts.finish(), curves, args),
    )
    images = folder if args.out else Path(__file__).resolve().parents[2] / "docs" / "img"
    draw(curves, images / "family.png")
    report.show("The family", COLUMNS, rows)


def posed(data, n_rows, loss, l1_ratio, strength):
    """The Problem of a data set and a penalty in its units."""
    X, y = data["X"], np.asarray(data["y"], dtype=float)
    if n_rows is not None:
        taken = np.sort(np.random.default_rng(0).choice(X.shape[0], n_rows, replace=False))
        X, y = X[taken], y[taken]
    if issparse(X):
        top = abs(X).max(axis=0).toarray().ravel()
        X = X[:, top > 0].multiply(1 / top[top > 0]).tocsr()
    if loss == "logistic":
        y = np.where(y == y.max(), 1.0, -1.0)
    problem = fastsum.Problem(X, y, loss=loss, alpha=1.0, l1_ratio=l1_ratio)
    most = fastsum.alpha_max(X, y, loss=loss) if l1_ratio else 1 / len(y)
    return problem.with_penalty(strength * float(np.max(most)), l1_ratio)


def curve(problem, solver, null, limit):
    """Passes, seconds and relative gap at each certificate, and how the fit ended."""
    settings = {"refine": False, "random_state": 0, "max_iter": 100_000, "max_time": limit}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        result = fastsum.minimize(problem, solver, tol=TOL, **settings)
        whole = time.perf_counter() - began
    trace = result.trace
    scale = null - np.max(trace["objective"] - trace["gap"])  # F(null) - D
    set_up = whole - trace["seconds"][-1]  # before the first step, which the trace leaves out
    return {
        "passes": trace["passes"].tolist(),
        "seconds": (set_up + trace["seconds"]).tolist(),
        "gap": (trace["gap"] / scale).tolist(),
        "end": result.status.value,
    }


def null_objective(problem):
    start = (np.zeros(problem.rows.n_cols), 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fastsum.minimize(problem, init=start, max_iter=0).objective


def row(title, solver, found):
    out = {"problem": title, "solver": solver, "end": found["end"]}
    gap = np.array(found["gap"])
    for name, level in zip(
        ("passes to 1e-4", "to 1e-8", "seconds to 1e-4", "s to 1e-8"), 2 * LEVELS, strict=True
    ):
        values = found["seconds" if name[0] == "s" else "passes"]
        first = np.flatnonzero(gap <= level * (1 + 1e-6))
        out[name] = values[first[0]] if first.size else float("inf")
    return out


def draw(curves, path):
    figure = Figure(figsize=(11.0, 3.2 * max(1, len(curves))), layout="constrained")
    axes = figure.subplots(max(1, len(curves)), 2, squeeze=False, sharey=True)
    for (title, found), pair in zip(curves.items(), axes, strict=False):
        for ax, unit in zip(pair, ("passes", "seconds"), strict=True):
            for i, (solver, one) in enumerate(found.items()):
                style = {"color": "k", "lw": 2} if solver == "auto" else {"color": f"C{i}"}
                gap = np.maximum(one["gap"], 1e-10)
                ax.loglog(np.maximum(one[unit], 1e-4), gap, label=solver, **style)
            ax.set(xlabel=unit, ylim=(1e-9, 2))
            ax.grid(alpha=0.3)
        pair[0].set_title(title, fontsize="medium", loc="left")
        pair[0].set_ylabel("certified relative gap")
    axes[0, 1].legend(frameon=False, fontsize="x-small", ncols=2)
    figure.savefig(path, dpi=90)
