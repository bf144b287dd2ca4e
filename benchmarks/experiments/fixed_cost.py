"""Seconds of a tiny fit with default settings: our LogisticRegression, scikit-learn's lbfgs."""

import warnings
from functools import partial

import numpy as np
import sklearn.linear_model
from benchmark_utils import formulas, report, timing
from sklearn.datasets import load_iris

import fastsum

EXPLANATION = """\
One `fit` of LogisticRegression with default settings (C = 1, tol = 1e-4; what tol means differs:
ours is a certified gap), iris as it is (150 x 4). Sides alternate fit by fit. "gap" is recomputed
in float64 from the coefficients: what the fit left to gain, at most, in units of the objective."""
COLUMNS = ["problem", "side", "median ms", "min ms", "median CPU ms", "passes", "gap", "ratio"]
COLUMNS += ["ratio of minima"]


def problems():
    X, y = load_iris(return_X_y=True)
    return {"binary (virginica or not)": (X, (y == 2).astype(int)), "three classes": (X, y)}


def gap(model, X, y):
    loss = "logistic" if len(model.classes_) == 2 else "multinomial"
    labels = np.where(y == 1, 1.0, -1.0) if loss == "logistic" else y.astype(float)
    coef = model.coef_.T if loss == "multinomial" else model.coef_[0]
    return formulas.duality_gap(X, labels, loss, 1 / len(y), 0.0, True, coef, model.intercept_)


def main(args):
    warnings.simplefilter("ignore")
    repeats, rows = args.repeats or (5 if args.small else 400), []
    with timing.exclusive(trial=args.small):
        facts = timing.machine(args.threads)
        for problem, (X, y) in problems().items():
            models = {
                "fastsum": fastsum.LogisticRegression(random_state=0),
                "scikit-learn lbfgs": sklearn.linear_model.LogisticRegression(),
            }
            calls = {name: partial(model.fit, X, y) for name, model in models.items()}
            clocks = timing.alternate(calls, repeats, warm_up=3)
            summaries = {name: clock.summary() for name, clock in clocks.items()}
            base = summaries["scikit-learn lbfgs"]
            for name, s in summaries.items():
                rows.append(
                    {
                        "problem": problem,
                        "side": name,
                        "median ms": 1e3 * s["median"],
                        "min ms": 1e3 * s["min"],
                        "median CPU ms": 1e3 * s["cpu_median"],
                        "passes": int(np.max(models[name].n_iter_)),
                        "gap": gap(models[name], X, y),
                        "ratio": s["median"] / base["median"],
                        "ratio of minima": s["min"] / base["min"],
                    }
                )
        facts = facts.finish()
    title = "A tiny fit"
    report.write("fixed-cost", title, EXPLANATION, COLUMNS, rows, facts, [], args)
    report.show(title, COLUMNS, rows)
