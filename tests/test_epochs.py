"""Epochs of preconditioned SVRG: the kernel against its NumPy twin, and the phase around it."""

import numpy as np
import pytest
import scipy.optimize
from problems import DTYPES, LOSS_LAYOUTS, random_problem
from reference import certificate as reference
from reference.arrays import arrays_of
from reference.svrg_epoch import epoch

from fastsum._core import _phases
from fastsum.certificate import Certifier
from fastsum.solvers.phases import epochs as module
from fastsum.solvers.phases._plane import Plane
from fastsum.solvers.phases.epochs import Epochs

LOSSES = [loss for loss, layout in LOSS_LAYOUTS if layout == "single"]
TOL = {np.float64: 1e-11, np.float32: 2e-4}


def settings_of(problem, rng):
    """A metric, a step, factors of the rows and damping that a problem of 7 columns can stand."""
    a = arrays_of(problem)
    n, d = a.X.shape
    return {
        "P": rng.uniform(0.2, 1.0, d + 1),
        "eta": 0.1,
        "correction": a.s * (a.s > 0).sum() / a.S * rng.uniform(0.5, 1.0, n),
        "damping": rng.uniform(0.3, 1.0, d + 1),
    }


def run_kernel(problem, order, start, dtype, n_threads, n_merges, P, eta, correction, damping):
    """The kernel on arrays filled as its head says; the weights of every thread."""
    a, certifier = arrays_of(problem), Certifier(problem, 1)
    certifier(start[:, None].astype(dtype))
    held = np.hstack([a.held, np.ones((len(a.held), 1), dtype=bool)])
    mass = held[a.s > 0].mean(axis=0)
    D = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
    gradient = np.append(certifier.gradient[:, 0], 0.0)
    l2 = np.append(np.full(len(P) - 1, a.l2[0]), 0.0)
    one = np.column_stack([start, eta * P, eta * P * D * gradient, 1 / (1 + eta * P * D * l2)])
    packed = np.repeat(one[None], n_threads, axis=0).astype(dtype)
    _phases.svrg_epoch(
        problem.rows.blocks[0],
        problem.task,
        order,
        correction,
        certifier.derivatives[:, 0].astype(dtype),
        packed,
        start.astype(dtype),
        damping.astype(dtype),
        n_merges,
        n_threads,
    )
    return packed[:, :, 0]


def snapshot_of(problem, rng):
    """Random weights with the best intercept for them, (d + 1,), exact in the problem's dtype."""
    W = (rng.standard_normal((problem.rows.n_cols + 1, 1)) / 4).astype(problem.dtype)
    W[-1] = Certifier(problem, 1)(W).intercept if problem.fit_intercept else 0.0
    return W.astype(float)[:, 0]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", ["csr", "ones"])
@pytest.mark.parametrize("loss", LOSSES)
def test_kernel_is_its_twin(loss, storage, dtype, n_threads):
    rng = np.random.default_rng(0)
    problem = random_problem(1, loss, storage=storage, dtype=dtype, weights="zeros", alpha=0.2)
    order = rng.permutation(np.flatnonzero(problem.sample_weight > 0))
    start, given = snapshot_of(problem, rng), settings_of(problem, rng)
    given["n_merges"], given["n_threads"] = 4, n_threads
    expected = epoch(problem, order, start, **given)
    assert np.abs(expected - start).max() > 1e-3
    for w in run_kernel(problem, order, start, dtype, **given):
        np.testing.assert_allclose(w, expected, rtol=TOL[dtype], atol=TOL[dtype])


def improved(problem, n_threads, monkeypatch=None, seed=0):
    """The snapshot, the point after one call of the phase, and the order of rows and arguments."""
    certifier = Certifier(problem, n_threads)
    W = snapshot_of(problem, np.random.default_rng(3))[:, None].astype(problem.dtype)
    certificate = certifier(W)
    calls = []
    if monkeypatch is not None:
        kernel = _phases.svrg_epoch
        monkeypatch.setattr(
            module._phases, "svrg_epoch", lambda *args: (calls.append(args), kernel(*args))
        )
    phase = Epochs(problem, certifier, n_threads, seed)
    there, passes = phase.improve(W, certificate, np.zeros(1), 10)
    assert passes == 1
    return W, there, certificate, certifier(there), calls


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("loss", LOSSES)
def test_phase_steps_in_the_metric_of_the_hessian(
    loss, weights, fit_intercept, n_threads, monkeypatch
):
    problem = random_problem(
        2, loss, storage="csr", weights=weights, fit_intercept=fit_intercept, alpha=0.3, n=90
    )
    W, there, *_, calls = improved(problem, n_threads, monkeypatch)
    (_, _, order, correction, _, packed, _, damping, n_merges, _) = calls[0]
    a = arrays_of(problem)
    assert sorted(order) == np.flatnonzero(a.s > 0).tolist()
    # c_i <= s_i n / S, and eta c_i L_i <= 1 in the metric: no step passes the minimum of its row
    z = (a.X @ W[:-1].astype(float) + W[-1])[:, 0]
    second = np.array(
        [problem.loss.second(z_i, y_i)[0, 0] for z_i, y_i in zip(z, a.Y[:, 0], strict=True)]
    )
    h = (a.s * second / a.S) @ a.X**2
    P = 1 / (h + (1 + module.SHIFT) * a.l2[0])
    bound = a.s * (a.s > 0).sum() / a.S
    L = bound * problem.loss.curvature * (a.X**2 @ P)
    eta = module.STEP / (L.sum() / (a.s > 0).sum())
    np.testing.assert_allclose(correction, bound / np.maximum(1.0, eta * L), rtol=1e-10)
    rate_b = packed[0, -1, 1]  # the intercept moves in the metric of its own curvature
    assert rate_b == pytest.approx(eta / (a.s @ second / a.S) if fit_intercept else 0.0)
    expected = epoch(
        problem, order, W[:, 0], P=np.append(P, rate_b / eta), eta=eta, correction=correction,
        damping=damping, n_merges=n_merges, n_threads=n_threads,
    )  # fmt: skip
    np.testing.assert_allclose(packed[0, :, 0], expected, atol=1e-10)
    # then the best point on the line from the snapshot through the end of the epoch
    w, step = W[:, 0].astype(float), expected - W[:, 0]

    def along(t):
        point = w + t * step
        return reference.objectives(problem, point[:-1], point[-1:])[0]

    least = scipy.optimize.minimize_scalar(along, bracket=(0.0, 1.0), tol=1e-12).fun
    gained = along(0.0) - least
    assert reference.objectives(problem, there[:-1, 0], there[-1])[0] <= least + 0.03 * gained
    if not fit_intercept:
        assert there[-1] == 0


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_point_of_a_plane(loss, weights, fit_intercept):
    rng = np.random.default_rng(8)
    problem = random_problem(
        9, loss, storage="csr", weights=weights, fit_intercept=fit_intercept, alpha=0.1, n=90
    )
    a, plane = arrays_of(problem), Plane(2)
    w, *steps = rng.standard_normal((3, a.X.shape[1] + 1)) / 4
    for v in (w, *steps):
        v[-1] *= fit_intercept
    margins = [a.X @ v[:-1] + v[-1] for v in (w, *steps)]
    first, z = plane.best(problem, w, margins[0], steps[0], margins[1])
    np.testing.assert_allclose(z, a.X @ first[:-1] + first[-1], atol=1e-12)
    taken = first - w
    second, z = plane.best(problem, first, z, steps[1], margins[2])
    np.testing.assert_allclose(z, a.X @ second[:-1] + second[-1], atol=1e-12)

    def value(t):
        point = first + t[0] * steps[1] + t[1] * taken
        return reference.objectives(problem, point[:-1], point[-1:])[0]

    least = scipy.optimize.minimize(value, np.zeros(2), method="Nelder-Mead", tol=1e-10).fun
    there = reference.objectives(problem, second[:-1], second[-1:])[0]
    assert least - 1e-9 <= there <= least + 0.03 * (value(np.zeros(2)) - least) + 1e-9
    np.testing.assert_allclose(plane.last, second - first, atol=1e-14)
    plane.forget()
    assert plane.last.size == plane.slope.size == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", ["csr", "ones"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_epoch_gains_and_repeats_its_bits(storage, dtype, n_threads):
    problem = random_problem(4, storage=storage, dtype=dtype, alpha=0.01, n=2000, d=60)
    _, there, before, after, _ = improved(problem, n_threads)
    assert there.dtype == dtype
    least = reference.optimum(problem)
    assert after.objective - least < 0.2 * (before.objective - least)
    np.testing.assert_array_equal(improved(problem, n_threads)[1], there)
    assert not np.array_equal(improved(problem, n_threads, seed=1)[1], there)


def test_an_epoch_at_the_optimum_stays_there():
    problem = random_problem(5, "squared", storage="csr", alpha=0.5)
    a = arrays_of(problem)
    X = np.hstack([a.X, np.ones((len(a.X), 1))])
    H = X.T @ X / a.S + np.diag([*a.l2.repeat(7), 0.0])
    best = np.linalg.solve(H, X.T @ a.Y[:, 0] / a.S)[:, None]
    certifier = Certifier(problem, 2)
    there, _ = Epochs(problem, certifier, 2).improve(best, certifier(best), np.zeros(1), 10)
    np.testing.assert_allclose(there, best, atol=1e-12)


def test_a_failure_halves_the_step(monkeypatch):
    problem = random_problem(6, storage="csr", n=200)
    certifier = Certifier(problem, 1)
    W = np.zeros((8, 1))
    certificate, phase = certifier(W), Epochs(problem, certifier, 1)
    rates, kernel = [], _phases.svrg_epoch
    monkeypatch.setattr(
        module._phases, "svrg_epoch", lambda *args: (rates.append(args[5][0, 0, 1]), kernel(*args))
    )
    phase.improve(W, certificate, np.zeros(1), 10)
    phase.failed(np.array([True]))
    certifier(W)
    phase.improve(W, certificate, np.zeros(1), 10)
    assert rates[1] == pytest.approx(rates[0] / 2)


@pytest.mark.parametrize("change", ["dense", "l1", "several", "coupled", "free"])
def test_what_epochs_do_not_serve(change):
    settings = {
        "dense": {"storage": "dense"},
        "l1": {"penalty": "elasticnet"},
        "several": {"layout": "one_vs_rest"},
        "coupled": {"loss": "multinomial", "layout": "coupled"},
        "free": {"penalty": "none"},
    }[change]
    assert Epochs.serves(random_problem(7, storage="csr"))
    assert not Epochs.serves(random_problem(7, **{"storage": "csr", **settings}))
