"""A pass of SAGA or SVRG over problems side by side, in passes of one problem."""

import warnings

import numpy as np
from benchmark_utils import report, timing

import fastsum
from benchmarks import registry
from fastsum.beside import beside
from fastsum.sampling import KINDS
from fastsum.solvers._registry import SOLVERS

DATA = "click_log[n_samples=100000,n_features=262144]"
SMALL = "click_log[n_samples=300,n_features=1024]"
EXPLANATION = """\
Least of the repeats, in turns. Problems of one click log share each pass: a row is read once and
its columns of weights, (d, K), are moved together. Own weights: each problem holds a fifth of the
rows out, as the folds of a cross-validation do. Two threads share out the problems."""
COLUMNS = ["solver", "problems", "weights", "threads", "seconds a pass", "passes of one problem"]


def pass_of(problem, name, n_threads):
    """A call that makes the passes of one cycle, and their number."""
    method = SOLVERS[name](problem, sampling=KINDS[0], step_size=None, n_threads=n_threads)
    start = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
    state = method.start(start, np.random.default_rng(0))
    return lambda: method.advance(state, method.cycle), method.cycle


def problems_of(X, y, count, own):
    n = len(y)
    base = fastsum.Problem(X, y, loss="logistic", alpha=1.0 / n)
    alphas = np.geomspace(0.1, 10.0, count) / n
    if not own:
        return [base.with_penalty(alpha) for alpha in alphas]
    weights = [np.where(np.arange(n) % 5 == fold, 0.0, 1.0) for fold in range(5)]
    folds = [base.with_weights(s) for s in weights]
    return [folds[k % 5].with_penalty(alpha) for k, alpha in enumerate(alphas)]


def main(args):
    warnings.simplefilter("ignore")
    data = registry.dataset(SMALL if args.small else DATA).get_data()
    X, y = data["X"], np.where(data["y"] == data["y"].max(), 1.0, -1.0)
    repeats, machine, rows = args.repeats or 5, timing.machine(args.threads), []
    for name in ("saga", "svrg"):
        kinds = [(1, False), (8, False), (8, True), (64, False), (64, True)]
        for threads in (1, 2):
            made = [
                pass_of(beside(problems_of(X, y, count, own)), name, threads)
                for count, own in kinds
            ]
            clocks = [timing.Clock() for _ in kinds]
            with timing.exclusive(trial=args.small):
                for _ in range(repeats):
                    for (call, _), clock in zip(made, clocks, strict=True):
                        clock.time(call)
            least = [
                min(clock.wall) / passes for (_, passes), clock in zip(made, clocks, strict=True)
            ]
            for (count, own), seconds in zip(kinds, least, strict=True):
                row = {"solver": name, "problems": count, "threads": threads}
                row |= {"weights": "own" if own else "shared", "seconds a pass": seconds}
                rows.append({**row, "passes of one problem": seconds / least[0]})
    title, facts = "Problems side by side", machine.finish()
    report.write("side-by-side", title, EXPLANATION, COLUMNS, rows, facts, {}, args)
    report.show(title, COLUMNS, rows)
