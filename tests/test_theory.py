"""Rates as measured, small: the experiments of benchmarks/theory in seconds."""

import json

import numpy as np
import pytest
import scipy.optimize
from benchmarks_package import FOLDER, _package  # noqa: F401 (a fixture)

pytestmark = [
    pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout: benchmarks/"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def test_the_problem_is_what_it_says():
    from benchmarks.theory.problems import Ridge

    ridge = Ridge.make(n=64, d=20)
    found = np.sort(np.linalg.eigvalsh(ridge.X.T @ ridge.X / 64))[::-1]
    np.testing.assert_allclose(found, ridge.spectrum, atol=1e-14)
    np.testing.assert_allclose((ridge.X**2).sum(axis=1), 1.0)
    left = np.linalg.svd(ridge.X, full_matrices=False)[0]
    np.testing.assert_allclose(np.abs(left.T @ ridge.y), np.sqrt(64 / 20), rtol=1e-6)
    alpha = ridge.alpha(50.0, batch=True)
    assert ridge.spectrum[0] / (alpha + ridge.spectrum[-1]) == pytest.approx(50.0)
    best = scipy.optimize.minimize(ridge.objective, np.zeros(20), args=(alpha,), tol=1e-12).fun
    assert ridge.optimum(alpha) == pytest.approx(best, rel=1e-10)


# Powers of kappa where the laws are powers: (kappa / n or kappa, power).
POWERS = {
    "gd": ((30.0, 100.0, 300.0), 1.0),
    "fista": ((30.0, 300.0, 3000.0), 0.5),
    "sag": ((30.0, 100.0, 300.0), 1.0),
    "saga": ((30.0, 100.0, 300.0), 1.0),
    "svrg": ((30.0, 100.0, 300.0), 1.0),
    "sdca": ((30.0, 100.0, 300.0), 1.0),
    "miso": ((30.0, 100.0, 300.0), 1.0),
    "sarah": ((30.0, 100.0, 300.0), 1.0),
    "katyusha": ((300.0, 3000.0, 30000.0), 0.5),
    "point-saga": ((300.0, 3000.0, 30000.0), 0.5),
    "apcg": ((300.0, 3000.0, 30000.0), 0.5),
    "catalyst": ((1000.0, 8000.0, 64000.0), 0.5),  # two rounds on each subproblem
    "acc-prox-sdca": ((1000.0, 8000.0, 64000.0), 0.5),
}


@pytest.mark.parametrize("name", POWERS)
def test_counts_grow_as_the_law_says(name):
    from benchmarks.theory import counts, laws
    from benchmarks.theory.problems import Ridge

    ridge, (kappas, power) = Ridge.make(n=64), POWERS[name]
    law = next(law for law in laws.LAWS if law.method == name)
    kappas = np.array(kappas) * (64 if law.of_n else 1)
    measured, phases = zip(*(counts.measure(ridge, law, k) for k in kappas), strict=True)
    assert counts.slope(kappas, measured) == pytest.approx(power, abs=0.1)
    assert law.power == power
    assert not any(phases)


def test_interpolation_is_linear_and_the_logistic_loss_is_not():
    from benchmarks.theory import regimes

    curves = regimes.interpolation(200)
    passes, value = curves["least squares, consistent"]
    assert value[passes <= 12].min() <= 1e-12
    passes, value = curves["squared hinge, separable"]
    straight = np.polyfit(passes, np.log(value), 1)
    assert straight[0] <= -0.05
    assert np.corrcoef(passes, np.log(value))[0, 1] <= -0.95
    passes, value = curves["logistic, separable"]
    assert -1.2 <= np.polyfit(np.log(passes[2:]), np.log(value[2:]), 1)[0] <= -0.6


def test_l1_stays_below_the_bounds_of_the_theorems():
    from benchmarks.theory import regimes

    curves, _, L, size = regimes.l1(300)
    passes, value = curves["gd"]
    assert (value <= L * size / (2 * (passes - 1))).all()  # the first pass only looks
    passes, value = curves["fista"]
    assert (value <= 2 * L * size / passes**2).all()
    assert value[-1] <= 0.1 * curves["gd"][1][-1]


def test_certified_fits_go_to_the_maximum_margin():
    """Within 1 degree of a hard-margin SVM, of which the fit's own error is a hundredth."""
    from benchmarks.theory import regimes

    _, degrees, left_open = np.array(regimes.maximum_margin(10.0 ** -np.arange(4, 17, 4))).T
    assert (np.diff(degrees) < 0).all()
    assert degrees[-1] <= 1.0
    assert (left_open <= 0.01).all()
    steps, slow = regimes.gradient_descent(2000)
    assert (np.diff(slow[steps >= 4]) < 0).all()
    assert slow[-1] >= degrees[-1]


@pytest.mark.parametrize(
    "command", [["theory", "--only", "point-saga"], ["family", "--only", "a9a"]]
)
def test_commands_write_their_reports(command, tmp_path, monkeypatch):
    from benchmarks.__main__ import THREAD_VARIABLES, main

    for variable in THREAD_VARIABLES:  # which the command sets
        monkeypatch.setenv(variable, "1")
    assert main([*command, "--small", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / f"{command[0]}.json").read_text(encoding="utf-8"))
    assert record["rows"]
    assert (tmp_path / f"{command[0]}.png").stat().st_size > 10_000
    assert (tmp_path / f"{command[0]}.md").read_text(encoding="utf-8").count("|") > 20
