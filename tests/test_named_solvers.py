"""Named methods behind the drop-ins, held beside scikit-learn; the sampling of each method."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model as sk
from problems import random_problem

import fastsum
from fastsum.result import Status
from fastsum.solvers import SOLVERS

NAMES = ("katyusha", "acc-prox-svrg", "acc-prox-sdca", "apcg", "point-saga", "catalyst", "fista")
NAMES += ("qning", "sag", "sarah", "miso", "sdca")
# name of both estimators, their settings, kind of target
CASES = [
    ("Lasso", {"alpha": 0.05}, "real"),
    ("ElasticNet", {"alpha": 0.05, "l1_ratio": 0.5}, "real"),
    ("Ridge", {"alpha": 2.0}, "real"),
    ("LogisticRegression", {"l1_ratio": 0.0}, "two"),
    ("LogisticRegression", {"l1_ratio": 1.0}, "two"),
    ("LogisticRegression", {"l1_ratio": 0.5}, "two"),
    ("LogisticRegression", {"l1_ratio": 0.0}, "three"),
    ("LogisticRegression", {"l1_ratio": 1.0}, "three"),
    ("LogisticRegression", {"l1_ratio": 0.5}, "three"),
]


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 6)) * (rng.random((120, 6)) < 0.6)
    y = X @ rng.standard_normal(6) + 0.3 * rng.standard_normal(120)
    return X, {"real": y, "two": y > 0, "three": np.digitize(y, [-1, 1])}


@pytest.fixture(scope="module")
def expected():
    """Coefficients by scikit-learn."""
    X, targets = data()
    out = []
    for name, settings, target in CASES:
        fit = {"tol": 1e-10, "max_iter": 100_000}
        if name == "LogisticRegression":
            fit["solver"] = "saga"
        out.append(getattr(sk, name)(**settings, **fit).fit(X, targets[target]).coef_)
    return out


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("solver", NAMES)
def test_estimators_agree_with_scikit_learn(solver, storage, expected):
    X, targets = data()
    X = sp.csr_array(X) if storage == "csr" else X
    for (name, settings, target), coef in zip(CASES, expected, strict=True):
        model = getattr(fastsum, name)(**settings, solver=solver, tol=1e-10, max_iter=20_000)
        model.fit(X, targets[target])
        assert model.solver_ == solver and model.status_ == "converged"
        np.testing.assert_allclose(model.coef_, coef, atol=2e-4, err_msg=f"{name} {settings}")


@pytest.mark.parametrize("name", [n for n, m in SOLVERS.items() if m.draws_rows])
def test_importance_sampling_ends_at_the_same_point(name):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((150, 5)) * rng.uniform(0.1, 3, (150, 1))
    y = X @ rng.standard_normal(5) + 0.1 * rng.standard_normal(150)
    problem = fastsum.Problem(X, y, loss="squared", alpha=0.1)
    best = fastsum.minimize(problem, tol=1e-12)
    tol = max(1e-8, 3 * SOLVERS[name].reaches)
    for sampling in ("importance", "uniform"):
        result = fastsum.minimize(problem, name, tol=tol, max_iter=5000, sampling=sampling)
        assert result.status is Status.CONVERGED
        assert -1e-13 <= result.objective - best.objective <= result.dual_gap + 1e-13


@pytest.mark.parametrize("name", [n for n, m in SOLVERS.items() if not m.draws_rows])
def test_methods_that_draw_no_rows_refuse_a_sampling(name):
    problem = random_problem(0, penalty="l1" if name == "frank-wolfe" else "l2")
    with pytest.raises(ValueError, match=f"sampling has no meaning for solver='{name}'"):
        fastsum.minimize(problem, name, sampling="importance")
