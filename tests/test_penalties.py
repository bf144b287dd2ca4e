"""Every penalty of the registry: prox, conjugate and value against brute force; bad strengths."""

import numpy as np
import pytest
import scipy.optimize
from problems import L1_RATIOS

from fastsum import Problem
from fastsum.penalties import PENALTIES, make_penalty

POINTS = (-30.0, -1.3, -0.5, -0.2, 0.0, 1e-9, 0.21, 0.5, 0.7, 4.0)


@pytest.fixture(params=PENALTIES, name="name")
def name_fixture(request):
    return request.param


@pytest.fixture(name="penalty")
def penalty_fixture(name):
    return make_penalty(0.0 if name == "none" else 0.5, L1_RATIOS[name])


def formula(penalty, w):
    """Eq. (1) for one coefficient."""
    alpha, ratio = penalty.alpha[0], penalty.l1_ratio[0]
    return alpha * (ratio * abs(w) + (1 - ratio) / 2 * w**2)


def minimum(f, low, high):
    """(argmin, min) of a convex f: a fine grid, then a bounded search around its best point."""
    grid = np.linspace(low, high, 4001)
    k = int(np.argmin([f(w) for w in grid]))
    bounds = grid[max(k - 1, 0)], grid[min(k + 1, 4000)]
    found = scipy.optimize.minimize_scalar(
        f, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    return (found.x, found.fun) if found.fun < f(grid[k]) else (grid[k], f(grid[k]))


def test_make_penalty_names_the_kind(name, penalty):
    assert penalty.name == name
    assert type(penalty) is PENALTIES[name]


def test_value(penalty):
    for w in POINTS:
        assert penalty.value(w) == pytest.approx(formula(penalty, w), rel=1e-14)


@pytest.mark.parametrize("step", [0.1, 1.0, 20.0])
def test_prox_minimises(penalty, step):
    for x in POINTS:
        goal = lambda w, x=x: step * formula(penalty, w) + (w - x) ** 2 / 2  # noqa: E731
        reached = penalty.prox(x, step)
        best, value = minimum(goal, -abs(x) - 0.01, abs(x) + 0.01)
        assert goal(reached) <= value + 1e-12
        assert reached == pytest.approx(best, abs=1e-5)


def test_prox_is_exactly_zero_inside_the_threshold():
    penalty = make_penalty(0.5, 1.0)
    assert penalty.prox(0.49, 1.0) == 0.0
    assert penalty.prox(-0.5, 1.0) == 0.0
    assert penalty.prox(0.51, 1.0) == pytest.approx(0.01)


def test_conjugate_is_the_supremum(name, penalty):
    bound = {"none": 0.0, "l1": 0.5}.get(name, np.inf)
    for v in POINTS:
        if abs(v) > bound:
            assert penalty.conjugate(v) == np.inf
            continue
        _, value = minimum(lambda w, v=v: formula(penalty, w) - v * w, -200.0, 200.0)
        assert penalty.conjugate(v) == pytest.approx(-value, rel=1e-8, abs=1e-10)


def test_fenchel_young_is_zero_at_the_prox(penalty):
    # p = prox(x) means x - p is a subgradient at p
    for x in POINTS:
        p = penalty.prox(x, 1.0)
        v = x - p
        assert penalty.value(p) + penalty.conjugate(v) - p * v == pytest.approx(0.0, abs=1e-12)


def test_strengths_of_several_problems():
    penalty = make_penalty([0.0, 1.0, 2.0], [0.0, 1.0, 0.25], 3)
    assert penalty.name == "elasticnet"
    np.testing.assert_allclose(penalty.l1, [0.0, 1.0, 0.5])
    np.testing.assert_allclose(penalty.l2, [0.0, 0.0, 1.5])
    assert penalty.value(2.0, 2) == pytest.approx(0.5 * 2 + 1.5 * 2)
    assert penalty.prox(3.0, 2.0, 1) == pytest.approx(1.0)
    wide = make_penalty(0.3, 0.0, 4)
    assert wide.alpha.shape == wide.l2.shape == (4,)


@pytest.mark.parametrize("alpha", [-1e-9, np.nan, np.inf, [0.1, -0.1]])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match=r"alpha must be finite and in \[0, inf\), got"):
        make_penalty(alpha, 0.0, np.size(alpha))


@pytest.mark.parametrize("ratio", [-0.1, 1.1, np.nan])
def test_bad_l1_ratio(ratio):
    with pytest.raises(ValueError, match=r"l1_ratio must be finite and in \[0, 1\], got"):
        make_penalty(1.0, ratio)
    with pytest.raises(ValueError, match=r"l1_ratio must be"):
        Problem(np.eye(2), [0, 1], l1_ratio=ratio)


def test_wrong_number_of_strengths():
    with pytest.raises(ValueError, match="alpha must be a number or have 3 values"):
        make_penalty([1.0, 2.0], 0.0, 3)
    with pytest.raises(ValueError, match="l1_ratio must be a number or have 1 values"):
        make_penalty(1.0, [0.0, 0.5])
