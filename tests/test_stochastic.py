"""What is special to SGD: schedules, batches, momentum, means, and what a line search can do."""

import numpy as np
import pytest
import scipy.sparse as sp
from family import recorded_run
from problems import random_problem
from reference import sgd as twin

import fastsum
from fastsum.result import Status
from fastsum.solvers import SOLVERS
from fastsum.solvers.stochastic import Sgd

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "sqrt"},
        {"schedule": "inverse"},
        {"schedule": "constant"},
        {"batch": 7},
        {"momentum": 0.5, "schedule": "sqrt"},
        {"momentum": 0.5, "batch": 7},
    ],
    ids=str,
)
def test_options_are_those_of_the_twin(options, storage, monkeypatch):
    problem = random_problem(1, penalty="elasticnet", storage=storage, weights="zeros")
    make = Sgd.__init__
    monkeypatch.setattr(Sgd, "__init__", lambda *args, **kw: make(*args, **kw, **options))
    start, order, seen = recorded_run("sgd", problem, "blocks", monkeypatch)
    path = twin.iterates(problem, order, start=start, **options)
    for steps, weights in seen:
        np.testing.assert_allclose(weights, path[steps], rtol=1e-10, atol=1e-10)


def test_the_last_iterate_is_another_result():
    problem = random_problem(2, "squared", storage="csr")
    fits = [
        fastsum.minimize(
            problem, "sgd", tol=0, max_iter=5, refine=False, solver_options={"average": average}
        )
        for average in (True, False)
    ]
    assert np.abs(fits[0].coef - fits[1].coef).max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "cosine"}, "schedule='cosine' is unknown"),
        ({"batch": 0}, "batch must be an integer >= 1"),
        ({"batch": 2.5}, "batch must be an integer >= 1"),
        ({"momentum": 1.0}, r"momentum must be a number in \[0, 1\)"),
        ({"rate": 1.0}, "unknown to solver='sgd'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        fastsum.minimize(random_problem(3), "sgd", solver_options=options)


@pytest.mark.parametrize("name", ["auto", "saga"])
def test_options_of_others(name):
    with pytest.raises(ValueError, match="it has none"):
        fastsum.minimize(random_problem(3), name, solver_options={"batch": 2})


def gaps(problem, optimum, n_passes):
    """F - min F of the line search after each of some numbers of passes."""
    out = []
    for most in n_passes:
        result = fastsum.minimize(problem, "sgd-linesearch", tol=0, max_iter=most, refine=False)
        out.append(result.objective - optimum)
    return np.array(out)


@pytest.mark.parametrize("loss", ["squared", "squared_hinge"])
def test_line_search_is_linear_where_all_rows_can_be_fitted(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 10))
    scores = X @ rng.standard_normal(10)
    X = X[np.abs(scores) > 0.5]
    scores = scores[np.abs(scores) > 0.5]
    y = scores if loss == "squared" else np.sign(scores)
    problem = fastsum.Problem(X, y, loss=loss, alpha=0.0, fit_intercept=False)
    gap = gaps(problem, 0.0, (50, 800))  # 1 / t would leave a sixteenth
    assert gap[1] < max(1e-6 * gap[0], 1e-28)


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_acceleration_where_all_rows_can_be_fitted(storage):
    rng = np.random.default_rng(0)
    spread = np.geomspace(1, 0.1, 20)
    X = rng.standard_normal((300, 20)) * spread
    y = X @ (rng.standard_normal(20) / spread)
    X = X if storage == "dense" else sp.csr_array(X)
    problem = fastsum.Problem(X, y, loss="squared", alpha=0.0, fit_intercept=False)
    fit = {"tol": 0, "max_iter": 25}
    ahead, search = (fastsum.minimize(problem, n, **fit) for n in ("acc-sgd", "sgd-linesearch"))
    assert ahead.objective < 1e-6 * search.objective
    later = fastsum.minimize(problem, "acc-sgd", tol=0, max_iter=45)  # linear: the same factor
    assert later.objective < max(1e-6 * ahead.objective, 1e-26)


def test_acceleration_by_a_given_rho():
    problem = random_problem(5, "squared", n=100, alpha=0.1)
    fit = {"tol": 0, "max_iter": 5}
    fits = [fastsum.minimize(problem, "acc-sgd", **fit, solver_options={"rho": r}) for r in (2, 50)]
    assert np.abs(fits[0].coef - fits[1].coef).max() > 1e-3
    for bad in (0.5, "large"):
        with pytest.raises(ValueError, match="rho must be a number >= 1"):
            fastsum.minimize(problem, "acc-sgd", solver_options={"rho": bad})


def test_acceleration_has_no_prox():
    with pytest.raises(ValueError, match=r"l1 penalty is not smooth. Solvers that can: .*'saga'"):
        fastsum.minimize(random_problem(5, penalty="l1"), "acc-sgd")


def test_line_search_is_sublinear_where_they_cannot():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 10))
    problem = fastsum.Problem(X, rng.standard_normal(60), loss="squared", alpha=0.01)
    best = fastsum.minimize(problem, tol=1e-12).objective
    gap = gaps(problem, best, (25, 400))
    assert 1e-6 * gap[0] < gap[1] < 0.5 * gap[0]


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize(
    ("name", "loss"),
    [("sgd", "squared"), ("sgd", "logistic"), ("sgd-linesearch", "squared")],
)
def test_some_digits(name, loss, penalty):
    problem = random_problem(4, loss, n=300, penalty=penalty, storage="csr", alpha=0.03)
    tol = 3 * SOLVERS[name].reaches
    result = fastsum.minimize(problem, name, tol=tol, max_iter=3000, refine=False)
    assert result.status is Status.CONVERGED
