"""Every loss of the registry: finite differences, conjugates by brute force, extremes, labels."""

import math

import numpy as np
import pytest
import scipy.optimize
from reference.losses import FORMULAS, formula

from fastsum import Problem
from fastsum.losses import LOSSES, get_loss

N_OUTPUTS = 3


def points(loss, n=12, scale=2.0):
    """(margins (C,), label) of some rows."""
    rng = np.random.default_rng(0)
    C = N_OUTPUTS if loss.coupled else 1
    for k in range(n):
        z = scale * rng.standard_normal(C)
        label = {"real": rng.normal(), "sign": 1.0 - 2 * (k % 2), "class": float(k % C)}
        yield z, float(k % 5) if loss.name == "poisson" else label[loss.domain]


def differences(f, z, h=1e-5):
    """Central differences of f along each coordinate, in the last axis."""
    steps = h * np.eye(len(z))
    return np.stack([(f(z + e) - f(z - e)) / (2 * h) for e in steps], axis=-1)


# Every loss with its default parameter, and others within the range of the points.
KINDS = {
    **LOSSES,
    **{
        f"{name}-{p}": get_loss(name, p)
        for name in LOSSES
        for p in (0.1, 0.7, 6.0)
        if LOSSES[name].default_param is not None
    },
}


@pytest.fixture(params=KINDS, name="loss")
def loss_fixture(request):
    return KINDS[request.param]


def kinks(loss):
    """Where the second derivative jumps, as y z or |z - y|."""
    p = loss.param
    return {
        "hinge": [1.0],
        "squared_hinge": [1.0],
        "huber": [p],
        "smoothed_hinge": [1.0, 1.0 - (p or 0.0)],
    }.get(loss.name, [])


def kinked(loss, z, y):
    at = abs(z[0] - y) if loss.name == "huber" else y * z[0]
    return any(abs(at - kink) < 1e-3 for kink in kinks(loss))


def test_derivative_is_the_slope_of_the_value(loss):
    for z, y in points(loss):
        slope = differences(lambda t, y=y: loss.value(t, y), z)
        np.testing.assert_allclose(loss.derivative(z, y), slope, atol=1e-8)


def test_second_is_the_slope_of_the_derivative(loss):
    for z, y in points(loss):
        if kinked(loss, z, y):
            continue
        slope = differences(lambda t, y=y: loss.derivative(t, y), z)
        np.testing.assert_allclose(loss.second(z, y), slope, atol=1e-7)


def test_curvature_is_the_largest_second_derivative(loss):
    if not loss.smooth:
        far = loss.derivative(300.0, 1.0) - loss.derivative(-300.0, 1.0)
        at = loss.derivative(1.0 + 1e-9, 1.0) - loss.derivative(1.0 - 1e-9, 1.0)
        assert max(far[0] / 600.0, at[0] / 2e-9) > 1e8  # steeper than any chord of a smooth one
        assert loss.kinked == (at[0] > 0.5)
        return
    largest = 0.0
    for scale in (0.01, 1.0, 5.0):
        for z, y in points(loss, n=60, scale=scale):
            top = np.linalg.eigvalsh(loss.second(z, y))[-1]
            assert top <= loss.curvature * (1 + 1e-12)
            largest = max(largest, top)
    # for the softmax it is attained where two classes share all the mass, for the others in the
    # curved piece, which these margins of y = 1 are in
    inside = {"huber": 1.0, "smoothed_hinge": 1.0 - (loss.param or 0.0) / 2}.get(loss.name, 0.0)
    tied = np.array([0.0, 0.0, -60.0]) if loss.coupled else np.array([inside])
    largest = max(largest, np.linalg.eigvalsh(loss.second(tied, 1.0))[-1])
    assert largest == pytest.approx(loss.curvature, rel=1e-6)


def test_conjugate_is_the_supremum(loss):
    """l*(u) = sup_z u z - l(z), by numerical maximisation at u inside the domain."""
    for z, y in points(loss, n=8):
        u = loss.derivative(z, y) * 0.8  # domains are convex and hold 0: still inside
        if loss.kinked:  # the supremum is at the kink
            assert loss.conjugate(u, y) == pytest.approx(u[0] * y - loss.value(y, y), abs=1e-12)
            continue
        best = scipy.optimize.minimize(
            lambda t, u=u, y=y: loss.value(t, y) - u @ t,
            np.zeros(len(z)),
            method="BFGS",
            options={"gtol": 1e-9},
        )
        assert loss.conjugate(u, y) == pytest.approx(-best.fun, abs=1e-7)


def test_fenchel_young_holds_with_equality_at_the_derivative(loss):
    pairs = list(points(loss))
    for z, y in pairs:
        u = loss.derivative(z, y)
        assert loss.value(z, y) + loss.conjugate(u, y) - z @ u == pytest.approx(0.0, abs=1e-12)
        for other, _ in pairs:
            assert loss.value(other, y) + loss.conjugate(u, y) - other @ u >= -1e-12


@pytest.mark.parametrize(
    ("name", "u", "y"),
    [
        ("logistic", [0.1], 1.0),
        ("logistic", [-1.1], 1.0),
        ("logistic", [1.1], -1.0),
        ("multinomial", [0.1, -0.1, 0.0], 0.0),
        ("multinomial", [-1.2, 0.6, 0.6], 0.0),
        ("squared_hinge", [0.1], 1.0),
        ("squared_hinge", [-0.1], -1.0),
        ("huber", [1.36], 3.0),
        ("huber", [-1.36], 3.0),
        ("smoothed_hinge", [0.1], 1.0),
        ("smoothed_hinge", [-1.1], 1.0),
        ("hinge", [0.1], 1.0),
        ("hinge", [1.1], -1.0),
        ("poisson", [-2.1], 2.0),
        ("poisson", [-0.1], 0.0),
    ],
)
def test_conjugate_is_infinite_outside_its_domain(name, u, y):
    assert LOSSES[name].conjugate(np.array(u), y) == np.inf


@pytest.mark.parametrize(
    ("name", "u", "y", "value"),
    [
        ("logistic", [0.0], 1.0, 0.0),
        ("logistic", [-1.0], 1.0, 0.0),
        ("multinomial", [0.0, 0.0, 0.0], 1.0, 0.0),
        ("multinomial", [1.0, -1.0, 0.0], 1.0, 0.0),
        ("squared_hinge", [0.0], 1.0, 0.0),
        ("squared_hinge", [-2.0], 1.0, -1.0),
        ("squared", [0.0], 3.0, 0.0),
        ("huber", [0.0], 3.0, 0.0),
        ("huber", [1.35], 0.0, 1.35**2 / 2),
        ("smoothed_hinge", [0.0], 1.0, 0.0),
        ("smoothed_hinge", [-1.0], 1.0, -0.5),
        ("hinge", [0.0], 1.0, 0.0),
        ("hinge", [-1.0], 1.0, -1.0),
        ("poisson", [0.0], 3.0, 0.0),
        ("poisson", [0.0], 0.0, 0.0),
        ("poisson", [-3.0], 3.0, 3.0 - 3.0 * math.log(3.0)),  # NumPy's log differs by CPU
    ],
)
def test_conjugate_at_the_border_of_its_domain(name, u, y, value):
    got = LOSSES[name].conjugate(np.array(u), y)
    assert got == pytest.approx(value, rel=4e-15, abs=0)  # a logarithm differs by CPU level


def test_extreme_margins_stay_finite(loss):
    if loss.name == "poisson":  # e^z: no gap is asked for where it is beyond all numbers
        for y in (0.0, 3.0):
            assert np.isfinite([loss.value(z, y) for z in (-1e6, -1e3, 1e3, 1e6)]).all()
            assert loss.derivative(-1e6, y)[0] == pytest.approx(-y, abs=1e-300)
        return
    C = N_OUTPUTS if loss.coupled else 1
    for size in (1e3, 1e6):
        for direction in (np.ones(C), -np.ones(C), *np.eye(C), *-np.eye(C)):
            for _, y in points(loss, n=3):
                z = size * direction
                u = loss.derivative(z, y)
                for result in (loss.value(z, y), u, loss.second(z, y)):
                    assert np.isfinite(result).all()
                assert loss.value(z, y) >= 0
                fenchel_young = loss.value(z, y) + loss.conjugate(u, y) - z @ u
                assert abs(fenchel_young) <= 1e-12 * max(1.0, (z @ z))
                assert np.linalg.eigvalsh(loss.second(z, y))[0] >= -1e-15


def test_saturated_probabilities_keep_their_digits():
    # e^-50 is far below eps: 1 - p would be 0 or rounding
    small = np.exp(-50.0)
    assert LOSSES["logistic"].derivative([50.0], 1.0)[0] == pytest.approx(-small, rel=1e-12)
    u = LOSSES["multinomial"].derivative([50.0, 0.0], 0.0)
    np.testing.assert_allclose(u, [-small, small], rtol=1e-12)
    assert LOSSES["logistic"].value([50.0], 1.0) == pytest.approx(small, rel=1e-12)


def test_agrees_with_the_formulas_of_the_docs(loss):
    if loss.name not in FORMULAS:
        pytest.skip("no formula in tests/reference/losses.py")
    reference = formula(loss)
    for z, y in points(loss, n=20):
        row, label = z[None, :], np.array([y])
        assert loss.value(z, y) == pytest.approx(reference.value(label, row)[0], rel=1e-12)
        u = reference.derivative(label, row)
        np.testing.assert_allclose(loss.derivative(z, y), u[0], rtol=1e-12, atol=1e-15)
        expected = reference.conjugate(label, 0.7 * u)[0]
        assert loss.conjugate(0.7 * u[0], y) == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs extended precision")
@pytest.mark.parametrize("y", [1e-8, 1.0, 37.0, 1e6])
def test_poisson_keeps_its_digits_near_its_minimum(y):
    """e^z - y z cancels there, the deviance is no more than rounding of z allows."""
    r = np.concatenate([-np.logspace(-3, 1, 300), np.logspace(-3, 1, 300)])
    z = np.log(y) + r
    exact = y * (np.expm1(z.astype(np.longdouble) - np.log(np.longdouble(y))))
    exact -= y * (z.astype(np.longdouble) - np.log(np.longdouble(y)))
    value = np.array([LOSSES["poisson"].value(t, y) for t in z])
    slope = np.abs(y * np.expm1(r)) * np.spacing(np.abs(z) + abs(np.log(y)))
    assert (np.abs(value - exact) <= 4 * slope + 8 * np.finfo(float).eps * np.abs(exact)).all()


def test_poisson_counts_are_checked():
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(ValueError, match="needs y >= 0, got -1"):
        Problem(X, [0, 1, -1, 2], loss="poisson")
    for y, weights in (([0, 0, 0, 0], None), ([0, 0, 0, 5], [1, 1, 1, 0])):
        with pytest.raises(ValueError, match="all y with a positive weight are 0"):
            Problem(X, y, loss="poisson", sample_weight=weights)
    with pytest.raises(ValueError, match="all y with a positive weight are 0"):
        Problem(X, [[0, 1]] * 3 + [[0, 2]], loss="poisson")
    with pytest.raises(ValueError, match="all y with a positive weight are 0"):
        Problem(X, [0, 0, 0, 5], loss="poisson").with_weights([1, 1, 1, 0])


def test_a_moved_corner_is_a_proximal_point():
    """hinge.smoothed: the Moreau envelope of z -> l(z + gamma u), but for a constant."""
    hinge, rng = LOSSES["hinge"], np.random.default_rng(0)
    for y in (1.0, -1.0):
        for a, gamma in zip(rng.uniform(0, 1, 8), 10.0 ** rng.uniform(-3, 1, 8), strict=True):
            loss, label = hinge.smoothed(gamma, np.array([[y]]), np.array([[-y * a]]))
            for b in np.linspace(0, 1, 9):
                v = -y * b
                expected = hinge.conjugate(v, y) + gamma / 2 * ((b - a) ** 2 - a**2)
                assert loss.conjugate(v, label[0, 0]) == pytest.approx(expected, abs=1e-12)
            for z in rng.uniform(-3, 3, 8):
                u = loss.derivative(z, label[0, 0])
                young = loss.value(z, label[0, 0]) + loss.conjugate(u, label[0, 0]) - u[0] * z
                assert young == pytest.approx(0.0, abs=1e-12)
                assert loss.dual_feasible(3 * u, label[0])[0] == pytest.approx(
                    np.clip(3 * u[0], min(0, -y), max(0, -y))
                )


# ---- labels


def test_binary_labels_are_mapped(loss):
    if loss.domain != "sign":
        return
    for labels in ([0, 1, 1], [-1, 1, 1], [False, True, True], [0.0, 1.0, 1.0]):
        np.testing.assert_array_equal(loss.encode(np.array(labels)), [-1.0, 1.0, 1.0])


def test_labels_that_do_not_fit_are_refused(loss):
    X = np.arange(8.0).reshape(4, 2)
    bad = {
        "sign": [[1, 2, 1, 2], [0, 1, 2, 1], [-1, 0, 1, 0], [0.5, 1, 0.5, 1]],
        "class": [[0.5, 1, 0, 1], [-1, 1, 0, 1], [0, 0, 0, 0]],
        "real": [],
    }
    for labels in bad[loss.domain]:
        with pytest.raises(ValueError, match=f"loss='{loss.name}' needs .*y"):
            Problem(X, labels, loss=loss.name)
    with pytest.raises(ValueError, match=r"y has 3 values for the 4 rows"):
        Problem(X, [0, 1, 1], loss=loss.name)
    with pytest.raises(ValueError, match=r"(?i)nan"):
        Problem(X, [0, 1, np.nan, 1], loss=loss.name)


def test_a_class_without_weight_is_refused():
    X = np.arange(8.0).reshape(4, 2)
    for name in ("logistic", "squared_hinge"):
        with pytest.raises(ValueError, match=r"single class"):
            Problem(X, [1, 1, 1, 1], loss=name)
        with pytest.raises(ValueError, match=r"single class with a positive weight"):
            Problem(X, [0, 1, 1, 1], loss=name, sample_weight=[0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"classes \[1\] of y have no row"):
        Problem(X, [0, 2, 0, 2], loss="multinomial")


def test_unknown_loss_lists_the_registry():
    with pytest.raises(ValueError, match="loss='probit' is unknown") as error:
        get_loss("probit")
    assert all(name in str(error.value) for name in LOSSES)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs extended precision")
def test_logistic_to_the_last_digits():
    """Its own exp and log1p, against extended precision: a few units in the last place."""
    loss, z = LOSSES["logistic"], np.linspace(-45.0, 45.0, 2001)
    e = np.exp(-z.astype(np.longdouble))
    exact = np.log1p(e), -e / (1 + e), e / (1 + e) ** 2
    found = [(loss.value(t, 1.0), loss.derivative(t, 1.0)[0], loss.second(t, 1.0)[0, 0]) for t in z]
    for got, true in zip(np.array(found).T, exact, strict=True):
        assert float(np.abs((got - true) / true).max()) < 4 * np.finfo(float).eps
