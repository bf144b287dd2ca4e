"""Every estimator with every solver, and small data for it."""

import numpy as np
import scipy.sparse as sp

import fastsum
import fastsum.linear_model
from fastsum.losses import LOSSES
from fastsum.solvers import SOLVER_NAMES

# Estimators named after a solver are there with it.
EVERY = [n for n in fastsum.linear_model.__all__ if getattr(fastsum, n)._solver in SOLVER_NAMES]
# Its problem is not one of (1): a search over them.
SEARCHES = ["HuberRegressor"]
# Its targets are those of one problem, at least two axes: test_row_groups.py has its fits.
JOINT = ["MultiTaskElasticNet", "MultiTaskLasso"]
NAMES = [n for n in EVERY if not n.endswith("CV") and n not in (*SEARCHES, *JOINT)]
# Estimators with cross-validation, and small grids for them.
CV = {
    "LogisticRegressionCV": {"Cs": [0.1, 1.0, 10.0], "cv": 3},
    "LassoCV": {"alphas": 5, "cv": 3},
    "ElasticNetCV": {"alphas": 5, "cv": 3},
    "RidgeCV": {},
}

RNG = np.random.default_rng(7)
X = RNG.standard_normal((90, 6)) * [1, 2, 0.5, 1, 1, 3] + [0, 1, 0, -2, 0, 0]
X[RNG.random(X.shape) < 0.3] = 0.0  # so that its sparse form is another matter
SCORES = X @ RNG.standard_normal((6, 3)) + RNG.standard_normal((90, 3))
TARGET = SCORES[:, 0] + 2.0
TARGETS = SCORES[:, :2] + [1.0, -3.0]
COUNTS = np.random.default_rng(8).poisson(np.exp(SCORES[:, 0] / 3.0)).astype(float)
BINARY = (SCORES[:, 0] > np.median(SCORES[:, 0])).astype(int)
CLASSES = SCORES.argmax(axis=1)
FORMS = {"dense": np.array, "sparse": sp.csr_array}


def make(name, solver, **settings):
    """An estimator of the name that runs the solver; None if it has another solver built in."""
    cls, settings = getattr(fastsum, name), {**CV.get(name, {}), **settings}
    if "solver" in cls._get_param_names():
        return cls(solver=solver, **settings)
    return cls(**settings) if cls._solver == solver else None


# name, solver
PAIRS = [
    (name, solver)
    for name in NAMES
    for solver in dict.fromkeys(("auto", "saga", "svrg", getattr(fastsum, name)._solver))
    if make(name, solver) is not None and (name != "PoissonRegressor" or solver == "auto")
]

# those and the estimators with cross-validation, whose solver is that of their problems
ALL_PAIRS = PAIRS + [(name, "auto") for name in (*CV, *SEARCHES, *JOINT)]


def is_classifier(name):
    return hasattr(getattr(fastsum, name), "decision_function")


def losses_of(name):
    """The losses of an estimator that lets choose one, that every solver takes."""
    if name == "LinearSVC":
        return ["squared_hinge"]
    numbers = not is_classifier(name)
    smooth = {loss: kind for loss, kind in LOSSES.items() if kind.smooth}
    return [loss for loss, kind in smooth.items() if (kind.domain == "real") == numbers]


# name, solver, settings: every loss and, where it has an l1_ratio, every penalty
VARIANTS = [
    (name, solver, {**loss, **penalty})
    for name, solver in PAIRS
    for loss in (
        [{"loss": kind} for kind in losses_of(name)]
        if "loss" in getattr(fastsum, name)._get_param_names()
        else [{}]
    )
    for penalty in (
        [{"l1_ratio": ratio} for ratio in (0.0, 0.5, 1.0)]
        if "l1_ratio" in getattr(fastsum, name)._get_param_names()
        else [{}]
    )
]


def labels(name, *, several=True):
    """Labels for an estimator: three classes for classifiers if several, two targets if it can."""
    if is_classifier(name):
        return CLASSES if several else BINARY
    if name == "PoissonRegressor":
        return COUNTS
    if name in JOINT:
        return TARGETS
    return TARGETS if several and name not in ("LassoCV", "ElasticNetCV", *SEARCHES) else TARGET


def strength(name, value):
    """The parameter of an estimator for alpha = value in the objective (1) on X."""
    n = len(X)
    if name in ("LogisticRegression", "LinearSVC"):
        return {"C": 1.0 / (value * n)}
    return {"alpha": value * n if name == "Ridge" else value}
