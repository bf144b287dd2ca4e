"""What is special to methods of full gradients: tries of steps, restarts, norms, line searches."""

import numpy as np
import pytest
from family import assert_same_as_twin
from problems import LOSS_LAYOUTS, random_problem
from reference.certificate import optimum

import fastsum
from fastsum.result import Status
from fastsum.solvers import SOLVERS
from fastsum.solvers.full_gradient.frank_wolfe import best_in_triangle

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def passes(problem, name, tol=1e-8):
    result = fastsum.minimize(problem, name, tol=tol, max_iter=20000, refine=False)
    assert result.status is Status.CONVERGED
    return result.n_iter


def spread_out(ratio, l1_ratio=0.0):
    """Orthogonal columns with curvatures from 1 to 1 / ratio."""
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((200, 20)))
    s = np.geomspace(1, 1 / ratio, 20) ** 0.5
    X, y = np.sqrt(200) * U * s, np.sqrt(200) * U @ np.ones(20)
    return fastsum.Problem(
        X, y, loss="squared", alpha=1 / ratio, l1_ratio=l1_ratio, fit_intercept=False
    )


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_fista_takes_the_root_of_the_passes(l1_ratio):
    problem = spread_out(300.0, l1_ratio)
    assert passes(problem, "fista") <= passes(problem, "gd") / 3


def test_steps_beyond_the_curvature_are_made_again():
    problem = spread_out(100.0)
    method = SOLVERS["gd"](problem, sampling="auto", step_size=None, n_threads=1)
    state = method.start(np.zeros((21, 1)), np.random.default_rng(0))
    values = []
    for _ in range(40):
        method.advance(state, 1)
        w = state["weights"][:-1]
        z = problem.rows.margins(state["weights"], 1, np.empty((200, 1)))
        values.append(((z - problem.y[:, None]) ** 2).mean() / 2 + 0.005 * (w**2).sum())
    assert (np.diff(values) <= 1e-14).all()
    assert 0.01 * method.top < state["lipschitz"][0] <= method.top


@pytest.mark.parametrize("name", ["gd", "fista", "lbfgs"])
def test_columns_far_from_zero_cost_nothing(name):
    """The intercept is the best one for each w: a shift of X shifts only that."""
    near = random_problem(1, "logistic", n=100)
    X = near.rows.matrix()
    far = fastsum.Problem(X + 30.0, near.y, alpha=0.05)
    counts = [passes(problem, name, 1e-6) for problem in (near, far)]
    assert counts[1] <= 4 * counts[0]


def test_lbfgs_needs_few_passes():
    problem = spread_out(1e4)
    assert passes(problem, "lbfgs") <= passes(problem, "fista") / 2


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_frank_wolfe_of_every_loss_is_its_twin(loss, layout, penalty, monkeypatch):
    problem = random_problem(2, loss, layout, storage="csr", penalty=penalty, weights="zeros")
    assert_same_as_twin("frank-wolfe", problem, "blocks", monkeypatch, tol=1e-9)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "squared_hinge"])
def test_frank_wolfe_reaches_some_digits(loss, penalty):
    problem = random_problem(3, loss, penalty=penalty, alpha=0.05)
    result = fastsum.minimize(problem, "frank-wolfe", tol=1e-3, max_iter=3000, refine=False)
    assert result.status is Status.CONVERGED
    assert result.objective - optimum(problem)[0] <= result.dual_gap + 1e-14


@pytest.mark.parametrize(("name", "penalty"), [("frank-wolfe", "l2"), ("lbfgs", "l1")])
def test_penalties_out_of_reach(name, penalty):
    with pytest.raises(ValueError, match=r"cannot serve this problem.*Solvers that can.*fista"):
        fastsum.minimize(random_problem(4, penalty=penalty), name)


def test_the_best_point_of_a_triangle():
    rng = np.random.default_rng(0)
    grid = np.array([(a, b) for a in np.linspace(0, 1, 201) for b in np.linspace(0, 1 - a, 201)])
    for _ in range(50):
        A, g, x = rng.standard_normal((2, 2)), rng.standard_normal(2), rng.random(2) / 2
        H = A @ A.T
        step = grid - x
        least = (step @ g + 0.5 * np.einsum("ni,ij,nj->n", step, H, step)).min()
        y = best_in_triangle(x, g, H) - x
        assert g @ y + 0.5 * y @ H @ y <= least + 1e-12
