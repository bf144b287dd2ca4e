"""The benchmark harness on tiny data: its formulas, our solvers in it, its commands. No timing."""

import json
import time

import numpy as np
import pytest
from benchmarks_package import FOLDER, _package  # noqa: F401 (a fixture)
from scipy.optimize import minimize as scipy_minimize
from sklearn.metrics import log_loss, mean_squared_error

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout: benchmarks/")


SIZES = "n_samples=60,n_features=4,condition=3"
TASKS = {
    "logistic_l2": 2,
    "logistic_l1": 2,
    "logistic_enet": 2,
    "ridge": 0,
    "lasso": 0,
    "multinomial_l2": 3,
}


def objective_of(task, fit_intercept=True):
    from benchmarks import registry

    objective = registry.objective(f"{task}[fit_intercept={fit_intercept}]")
    data = registry.dataset(f"simulated[{SIZES},n_classes={TASKS[task]}]").get_data()
    assert objective.skip(**data) == (False, None)
    objective.set_data(**data)
    return objective


def mean_loss(objective, coef, intercept):
    """The mean loss by scikit-learn's metrics."""
    z = objective.X @ coef + intercept
    if objective.loss == "squared":
        return mean_squared_error(objective.y, z) / 2
    if objective.loss == "logistic":
        return log_loss(objective.y, 1 / (1 + np.exp(-z)))
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    return log_loss(objective.y, odds / odds.sum(axis=1, keepdims=True))


def random_point(objective, rng):
    d, K = objective.X.shape[1], objective.n_outputs
    return rng.standard_normal((d, K) if K > 1 else d), rng.standard_normal(K)


@pytest.mark.parametrize("task", TASKS)
def test_value_agrees_with_metrics(task, rng):
    objective = objective_of(task)
    w, b = random_point(objective, rng)
    r = objective.l1_ratio
    expected = mean_loss(objective, w, b) + objective.alpha * (
        r * np.sum(np.abs(w)) + (1 - r) / 2 * np.sum(np.square(w))
    )
    assert objective.evaluate_result(w, b)["value"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_gap_bounds_the_suboptimality(task, fit_intercept, rng):
    """At random points: at least what a derivative-free descent of scipy's finds below them."""
    objective = objective_of(task, fit_intercept)
    d, K = objective.X.shape[1], objective.n_outputs

    def value(flat):
        W = flat.reshape(d + 1, K)
        w = W[:-1] if K > 1 else W[:-1, 0]
        return objective.evaluate_result(w, W[-1] * fit_intercept)["value"]

    for scale in (1.0, 0.01):
        w, b = random_point(objective, rng)
        w, b = scale * w, scale * b * fit_intercept
        found = objective.evaluate_result(w, b)
        start = np.concatenate([np.reshape(w, (d, K)), [b]]).ravel()
        lower = scipy_minimize(value, start, method="Powell", options={"maxiter": 5}).fun
        assert found["gap"] >= found["value"] - lower - 1e-12


@pytest.mark.parametrize("solver", ["auto", "saga", "svrg"])
@pytest.mark.parametrize("task", TASKS)
def test_our_solvers_are_judged_right(task, solver):
    """The gap recomputed from the coefficients is the certified one, and vanishes."""
    from benchmarks import registry

    objective = objective_of(task)
    ours = next(s for s in registry.solvers() if s.label == f"fastsum {solver}")
    problem = objective.get_objective()
    assert not ours.skip(**problem)[0]
    ours.set_objective(**problem)
    ours.run(1e-9)
    found = objective.evaluate_result(**ours.get_result())
    # the certificate takes the best dual point seen, so it may be the smaller one
    assert -1e-14 <= found["gap"] <= 1e-8 * objective.null_value()
    assert ours.certified <= 1e-9 * objective.null_value()
    assert found["value"] <= objective.null_value()


@pytest.mark.parametrize("task", TASKS)
def test_all_installed_solvers_reach_our_objective(task):
    """Units and signs of every peer: a wrong regularisation strength would show here."""
    from benchmarks import registry

    for fit_intercept in (True, False):
        objective = objective_of(task, fit_intercept)
        problem = objective.get_objective()
        for solver in registry.solvers():
            if solver.skip(**problem)[0] or solver.name == "skglm":  # compiles for seconds
                continue
            solver.set_objective(**problem)
            solver.run(2000 if solver.sampling_strategy == "iteration" else 1e-8)
            gap = objective.evaluate_result(**solver.get_result())["gap"]
            assert gap <= 1e-5 * objective.null_value(), solver.label


def test_specs_are_read():
    from benchmarks import registry

    assert registry.parse("a[n=3, x=0.5,flag=False,word=w8a]") == (
        "a",
        {"n": 3, "x": 0.5, "flag": False, "word": "w8a"},
    )
    assert registry.parse("a9a") == ("a9a", {})


def test_folder_says_why_it_has_no_data(monkeypatch):
    from benchmarks import registry

    monkeypatch.delenv("FASTSUM_TEST_DATA", raising=False)
    assert "FASTSUM_TEST_DATA" in registry.dataset("folder[file=w8a]").unavailable()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "command",
    ["per-pass", "per-gradient", "fixed-cost", "side-by-side", "own", "kernels", "grids"],
)
def test_commands_write_reports(command, tmp_path, monkeypatch):
    from benchmarks import __main__ as main

    for variable in main.THREAD_VARIABLES:
        monkeypatch.setenv(variable, "1")  # put back after the test
    settings = ["--small", "--repeats", "1", "--out", str(tmp_path)]
    assert main.main([command, *settings]) == 0
    record = json.loads((tmp_path / f"{command}.json").read_text())
    assert record["rows"] and record["machine"]["threads"] == (1 if "-" in command else 2)
    table = (tmp_path / f"{command}.md").read_text()
    assert table.count("\n| ") >= 2 + len(record["rows"])


@pytest.mark.filterwarnings("ignore")
def test_peers_keeps_what_is_not_asked_for(tmp_path, monkeypatch):
    """Ours and a peer reach the target; --ours-only leaves the peer's stored times alone."""
    from benchmark_utils import standings

    from benchmarks import __main__ as main

    for variable in main.THREAD_VARIABLES:
        monkeypatch.setenv(variable, "2")
    command = ["peers", "--small", "--out", str(tmp_path)]

    def rows():
        return json.loads((tmp_path / "peers.json").read_text())["rows"]

    assert main.main([*command, "--solver", "fastsum", "learn lbfgs", "scikit-learn cd"]) == 0
    first = rows()
    assert main.main([*command, "--ours-only"]) == 0
    assert {name: set(row["curves"]) for name, row in first.items()} == {
        "small-l2-1": {"fastsum estimators", "scikit-learn lbfgs"},
        "small-lasso-0.1": {"fastsum estimators", "scikit-learn cd"},
    }
    for name, row in rows().items():
        ours, (peer,) = "fastsum estimators", set(row["curves"]) - {"fastsum estimators"}
        assert row["curves"][peer] == first[name]["curves"][peer]
        level = row["best"] + 1e-4 * (row["null"] - row["best"])
        # ours only: a busy machine may cut the peer off
        assert min(value for _, value, _ in row["curves"][ours]["rungs"]) <= level
    found = list(standings.lines(rows()))
    assert [line["row"].rstrip("*") for line in found] == ["small-l2-1", "small-lasso-0.1"]
    assert (tmp_path / "peers.png").exists() and "small-l2-1" in (tmp_path / "peers.md").read_text()


def test_a_fit_that_hangs_is_cut_off():
    from benchmark_utils.base import LinearSolver
    from benchmark_utils.contest import CutOff, Entrant

    class Slow(LinearSolver):
        name, solver = "slow", ""

        def run(self, knob):
            time.sleep(knob)
            self.coef, self.intercept = np.zeros(4), 0.0

        def ladder(self):
            return [0.0]

    entrant = Entrant(Slow(), objective_of("ridge").get_objective())
    seconds, result = entrant.run(0.0, 10.0)
    assert seconds < 10.0 and result["coef"].shape == (4,)
    with pytest.raises(CutOff):
        entrant.run(60.0, 0.1)
    assert entrant.process is None  # the next run starts another
    assert entrant.run(0.0, 10.0)[1]["intercept"] == 0.0
    entrant.close()


def test_standings_on_planted_times():
    """The fastest setting at the target counts, by its median; a peer ahead is named."""
    from benchmark_utils import standings

    def curve(*rungs):
        return {
            "rungs": [list(rung) for rung in rungs],
            "ended": "",
            "run": "a",
        }

    ours = curve((1e-2, 1.5, [0.1]), (1e-4, 1.00005, [0.3, 9.0, 0.3]))
    fast = curve((1, 1.01, [0.05]), (2, 1.00009, [0.15]), (4, 1.0, [0.2]))
    late = curve((1, 1.0, [2.0]))
    row = {"targets": [1e-4], "wanted": 2.0, "judged": True, "null": 2.0, "best": 1.0}
    row["curves"] = {"fastsum estimators": ours, "fast": fast, "late": late}
    (line,) = standings.lines({"row": row})
    assert (line["ours"], line["best peer"], line["its seconds"]) == (0.3, "fast", 0.15)
    assert line["ratio"] == 0.5 and line["next peers"] == "late 2"
    assert standings.behind([line]) == [line]
    assert "geometric mean of the ratios, at most 5 each, 0.5" in standings.totals([line])[0]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
