"""Every method of the registry that is not in test_solvers.py, each on a thin grid of problems."""

import numpy as np
import pytest
from family import EXACT, FAMILY, assert_same_as_twin
from in_turn import in_turn
from problems import LOSS_LAYOUTS, STORAGES, planted, random_problem
from reference import certificate as reference

import fastsum
from fastsum.result import Status
from fastsum.sampling import KINDS
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PENALTIES = ("l2", "l1", "elasticnet")


def skip_if_missing(name, problem):
    """Skips, with its own reason, a problem that the method does not serve."""
    missing = SOLVERS[name].missing(problem)
    if missing:
        pytest.skip(missing)


# ---- the same iterates as a twin in NumPy


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", FAMILY)
def test_kernel_is_its_twin(name, penalty, storage, monkeypatch):
    problem = random_problem(1, "logistic", storage=storage, penalty=penalty, weights="random")
    skip_if_missing(name, problem)
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", FAMILY)
def test_twin_of_every_loss(name, loss, layout, monkeypatch):
    problem = random_problem(2, loss, layout, storage="csr", penalty="l2")
    skip_if_missing(name, problem)
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize("sampling", [kind for kind in KINDS if kind != "auto"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", FAMILY)
def test_twin_over_blocks_with_zero_weights(name, fit_intercept, sampling, monkeypatch):
    problem = random_problem(
        3, "squared", storage="csr", weights="zeros", n_blocks=3, fit_intercept=fit_intercept
    )
    skip_if_missing(name, problem)
    assert_same_as_twin(name, problem, sampling, monkeypatch)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("name", FAMILY)
def test_float32_stays_near_the_twin(name, storage, monkeypatch):
    problem = random_problem(4, "logistic", storage=storage, dtype=np.float32)
    skip_if_missing(name, problem)
    assert_same_as_twin(name, problem, "blocks", monkeypatch, tol=2e-4)


# ---- optima


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ["squared", "logistic", "squared_hinge"])
@pytest.mark.parametrize("name", EXACT)
def test_planted_optimum(name, loss, penalty, fit_intercept):
    weights = "zeros" if fit_intercept else "none"
    case = planted(5, loss, penalty=penalty, fit_intercept=fit_intercept, weights=weights)
    skip_if_missing(name, case.problem)
    result = fastsum.minimize(
        case.problem, name, tol=1e-9, max_iter=20000, random_state=0, refine=False
    )
    assert result.status is Status.CONVERGED
    assert result.objective == pytest.approx(case.objective, rel=1e-8)
    assert result.objective - case.objective <= result.dual_gap + 1e-14
    np.testing.assert_allclose(result.coef, case.coef, rtol=0, atol=1e-3)
    assert result.intercept == pytest.approx(case.intercept, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "kind", "storage"), in_turn(FAMILY, LOSS_LAYOUTS, ["dense", "csr"])
)
def test_gap_bounds_the_suboptimality(name, kind, storage):
    problem = random_problem(6, *kind, storage=storage, alpha=0.1)
    skip_if_missing(name, problem)
    tol = max(1e-6, SOLVERS[name].reaches)
    result = fastsum.minimize(problem, name, tol=tol, max_iter=3000, random_state=0, refine=False)
    assert result.status.reached
    assert (result.objective - reference.optimum(problem) <= result.dual_gap + 1e-13).all()


# ---- the contract with the driver


@pytest.mark.parametrize(("loss", "layout"), [("logistic", "single"), ("squared", "multi")])
@pytest.mark.parametrize("name", FAMILY)
def test_a_resumed_fit_is_the_same_fit(name, loss, layout):
    problem = random_problem(7, loss, layout, storage="csr", penalty="elasticnet", alpha=0.01)
    skip_if_missing(name, problem)
    fit = {"tol": 0, "random_state": 0, "refine": False}
    whole = fastsum.minimize(problem, name, max_iter=11, **fit)
    part = fastsum.minimize(problem, name, max_iter=5, **fit)
    rest = fastsum.minimize(problem, name, max_iter=6, init=part, **fit)
    assert (whole.n_iter, part.n_iter, rest.n_iter) == (11, 5, 6)
    np.testing.assert_array_equal(rest.coef, whole.coef)
    np.testing.assert_array_equal(rest.intercept, whole.intercept)


@pytest.mark.parametrize("name", FAMILY)
def test_the_seed_decides(name):
    problem = random_problem(8, storage="csr")
    skip_if_missing(name, problem)
    fits = [fastsum.minimize(problem, name, tol=0, max_iter=3, random_state=4) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].coef, fits[1].coef)


@pytest.mark.filterwarnings("ignore:the objective grew")
@pytest.mark.parametrize(("loss", "layout"), [("squared", "single"), ("multinomial", "coupled")])
@pytest.mark.parametrize("name", [name for name in FAMILY if SOLVERS[name].takes_step])
def test_huge_step_diverges_with_finite_coefficients(name, loss, layout):
    problem = random_problem(9, loss, layout, alpha=1e-6)
    skip_if_missing(name, problem)
    result = fastsum.minimize(problem, name, step_size=1e8, random_state=0, refine=False)
    assert result.status is Status.DIVERGED
    assert np.isfinite(result.coef).all() and np.isfinite(result.intercept).all()


@pytest.mark.parametrize("name", [name for name in FAMILY if not SOLVERS[name].takes_step])
def test_a_step_size_without_a_use_is_refused(name):
    problem = random_problem(9, "logistic")
    skip_if_missing(name, problem)
    with pytest.raises(ValueError, match="step_size"):
        fastsum.minimize(problem, name, step_size=0.1)
