"""The outer loop: exact continuation, statuses, tolerance, trace, callback, interrupts, threads."""

import re
import threading

import numpy as np
import pytest
from family import CORE, CORE_NAMES
from problems import LOSS_LAYOUTS, random_labels, random_problem
from reference import certificate as reference
from sklearn.exceptions import ConvergenceWarning

from fastsum import Problem, minimize
from fastsum.certificate import Certifier
from fastsum.columns import Columns
from fastsum.linear_model import FiniteSumRegressor
from fastsum.result import Status
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [("logistic", "single"), ("multinomial", "coupled"), ("squared", "multi")]


def assert_same_bits(one, two):
    np.testing.assert_array_equal(one.coef, two.coef)
    np.testing.assert_array_equal(one.intercept, two.intercept)
    np.testing.assert_array_equal(one.objective, two.objective)
    np.testing.assert_array_equal(one.state["weights"], two.state["weights"])
    assert one.state.keys() == two.state.keys()
    for name, value in one.state.items():
        # the dual value is history: one more look at a point may know it to one more bit
        if name == "dual":
            np.testing.assert_allclose(value, two.state[name], rtol=1e-15)
        else:
            np.testing.assert_array_equal(value, two.state[name], err_msg=name)


# ---- continuation


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize(("loss", "layout"), KINDS)
@pytest.mark.parametrize("name", CORE)
def test_passes_in_parts_equal_passes_at_once(name, loss, layout, storage, refine):
    # slow enough that no part converges; certificates come at 4, 8, 12, 16, 20, ... passes
    problem = random_problem(
        40, loss, layout, storage=storage, penalty="elasticnet", alpha=1e-4, n=300, d=40
    )
    settings = {"solver": name, "tol": 0.0, "random_state": 3, "refine": refine}
    for parts in [(5, 5), (3, 4), (8, 4), (1, 1, 1), (4, 4), (30, 33)]:
        once = minimize(problem, max_iter=sum(parts), **settings)
        result, made = None, 0
        for passes in parts:
            result = minimize(problem, max_iter=passes, init=result, **settings)
            made += result.n_iter
            if result.status.reached:
                break
        if result.status.reached:  # the end of a part is one more look at where the fit is
            assert once.status.reached and made <= once.n_iter
            assert made > 8 or loss == "squared"
            continue
        assert made == once.n_iter == sum(parts)
        assert_same_bits(once, result)


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize(("loss", "layout"), [("logistic", "single"), ("squared", "multi")])
def test_auto_continues_with_what_was_proven(loss, layout, penalty):
    problem = random_problem(40, loss, layout, penalty=penalty, alpha=1e-3, n=300, d=40)
    first = minimize(problem, max_iter=1, tol=1e-9)
    best = minimize(problem, tol=1e-12)
    # told of a better dual value, the fit knows more of the very same point
    told = {**first.state, "dual": best.state["dual"]}
    again = minimize(problem, init=told, max_iter=1, tol=1e3)
    assert again.n_iter == 0
    np.testing.assert_array_equal(again.coef, first.coef)
    bound = np.minimum(first.dual_gap, first.objective - best.state["dual"])
    np.testing.assert_allclose(again.dual_gap, bound.reshape(np.shape(again.dual_gap)), atol=1e-10)
    # another penalty proves nothing about this one
    other = random_problem(40, loss, layout, penalty=penalty, alpha=2e-3, n=300, d=40)
    moved = minimize(other, init=first, tol=1e-10)
    assert moved.status is Status.CONVERGED
    assert (moved.objective - reference.optimum(other) <= moved.dual_gap + 1e-9).all()
    # stopped at the end of a round, it ends where a fit without a stop does
    rest = minimize(problem, init=first, tol=1e-12)
    np.testing.assert_allclose(rest.objective, best.objective, rtol=1e-11)
    assert (rest.state["dual"] >= first.state["dual"]).all()


def test_the_seed_of_a_continuation_is_that_of_the_state():
    problem = random_problem(41)
    first = minimize(problem, "saga", tol=0, max_iter=3, random_state=0)
    before = {name: np.copy(value) for name, value in first.state.items()}
    a = minimize(problem, "saga", tol=0, max_iter=3, random_state=1, init=first)
    b = minimize(problem, "saga", tol=0, max_iter=3, random_state=2, init=first.state)
    assert_same_bits(a, b)
    for name, value in before.items():  # the state given is not touched
        np.testing.assert_array_equal(first.state[name], value)


@pytest.mark.parametrize("name", CORE)
def test_another_alpha_keeps_the_tables(name):
    problem = random_problem(42, alpha=0.1)
    other = random_problem(42, alpha=0.02)
    first = minimize(problem, name, tol=0, max_iter=10, random_state=0, refine=False)
    kept = minimize(other, name, tol=0, max_iter=1, init=first, refine=False)
    assert kept.state["passes"] == 11
    fresh = minimize(other, name, tol=0, max_iter=1, init=(first.coef, first.intercept))
    assert fresh.state["passes"] == 1
    assert not np.array_equal(kept.coef, fresh.coef)
    if name == "svrg":  # pass 11 makes steps, from the snapshot of pass 10
        table = SOLVERS[name].tables[0]
        np.testing.assert_array_equal(kept.state[table], first.state[table])
    done = minimize(other, name, tol=1e-9, max_iter=3000, init=first)
    assert done.objective == pytest.approx(reference.optimum(other)[0], rel=1e-8)


def changed(problem, what):
    y, X = problem.y.copy(), problem.rows.columns(np.arange(problem.rows.n_cols))
    weights = None
    if what == "X":
        X[3, 2] += 0.5
    elif what == "y":
        y[:3] = -y[:3]
    elif what == "weights":
        weights = np.linspace(0.5, 2, len(y))
    return Problem(X, y, alpha=0.05, sample_weight=weights, fit_intercept=what != "intercept")


@pytest.mark.parametrize("what", ["X", "y", "weights", "intercept"])
@pytest.mark.parametrize("name", CORE)
def test_changed_data_keep_the_coefficients_only(name, what):
    problem = random_problem(43)
    other = changed(problem, what)
    assert problem.data_fingerprint() != other.data_fingerprint()
    first = minimize(problem, name, tol=1e-6, max_iter=500, random_state=0)
    again = minimize(other, name, tol=0, max_iter=2, init=first, random_state=0)
    assert again.state["passes"] == 2
    by_hand = minimize(
        other, name, tol=0, max_iter=2, init=(first.coef, first.intercept), random_state=0
    )
    np.testing.assert_array_equal(again.coef, by_hand.coef)
    done = minimize(other, name, tol=1e-10, max_iter=3000, init=first, random_state=0)
    assert done.objective == pytest.approx(reference.optimum(other)[0], rel=1e-9)


def test_the_same_data_elsewhere_have_the_same_fingerprint():
    a, b = random_problem(44, storage="csr"), random_problem(44, storage="csr", alpha=3.0)
    assert a.data_fingerprint() == b.data_fingerprint()
    dense = random_problem(44, storage="csr", dtype=np.float32)
    assert a.data_fingerprint() != dense.data_fingerprint()


def test_a_state_of_another_solver_gives_its_coefficients():
    problem = random_problem(45)
    first = minimize(problem, "saga", tol=1e-10, max_iter=2000, random_state=0)
    second = minimize(problem, "svrg", tol=1e-6, init=first, random_state=0)
    assert second.n_iter <= 4
    assert second.status is Status.CONVERGED


def test_a_warm_start_at_the_solution_stops_at_once():
    problem = random_problem(46)
    first = minimize(problem, "saga", tol=1e-10, max_iter=2000, random_state=0)
    again = minimize(problem, "saga", tol=1e-6, init=first)
    assert (again.n_iter, again.status) == (0, Status.CONVERGED)
    np.testing.assert_array_equal(again.coef, first.coef)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ((np.zeros(3), 0.0), r"init has coefficients of shape \(3,\).*needs \(7, 1\)"),
        ((np.full(7, np.nan), 0.0), "init holds NaN"),
    ],
)
def test_bad_init(init, message):
    with pytest.raises(ValueError, match=message):
        minimize(random_problem(0), init=init)


# ---- statuses, tolerance, trace


def test_every_status():
    problem = random_problem(47, n=200, d=20, alpha=1e-3)
    free = random_problem(47, n=200, d=3, penalty="none")
    single = random_problem(47, n=200, d=20, alpha=1e-3, dtype=np.float32)
    fits = {
        Status.CONVERGED: lambda: minimize(problem),
        Status.PRECISION: lambda: minimize(single, "saga", tol=1e-9, refine=False),
        Status.STATIONARY: lambda: minimize(free),
        Status.MAX_ITER: lambda: minimize(problem, tol=0, max_iter=3),
        Status.TIME: lambda: minimize(problem, tol=0, max_time=1e-9),
        Status.STOPPED: lambda: minimize(problem, tol=0, callback=lambda info: True),
        Status.DIVERGED: lambda: minimize(problem, "saga", step_size=1e9, refine=False),
    }
    assert fits.keys() == set(Status) - {Status.STREAM}  # of partial_fit
    for status, fit in fits.items():
        result = fit()
        assert result.status is status
        assert result.message and np.isfinite(result.coef).all()
        assert result.status.reached == (status in ("converged", "precision", "stationary"))


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_all_that_the_arithmetic_gives_ends_a_fit(name, loss, layout, offset):
    """Far columns make a far b, and the rounding of the slope in b is multiplied by it."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((100, 3))
        y = random_labels(rng, X, loss, layout)
        columns = Columns.one_vs_rest(int(y.max()) + 1) if layout == "one_vs_rest" else None
        problem = Problem(X + offset, y, loss=loss, alpha=0.01, columns=columns)
        fit = {"tol": 1e-14, "max_iter": 1000, "random_state": 0, "refine": True}
        result = minimize(problem, name, **fit)
        assert result.status in (Status.CONVERGED, Status.PRECISION)
        assert result.n_iter <= 500
        if not offset:
            assert (result.dual_gap <= 32 * np.finfo(float).eps * result.objective).all()


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_tol_is_relative_to_what_there_is_to_gain(name, loss, layout, tol, refine):
    problem = random_problem(48, loss, layout, alpha=0.02)
    result = minimize(problem, name, tol=tol, random_state=0, refine=refine)
    assert result.status is Status.CONVERGED
    least = reference.optimum(problem)
    w = np.zeros((7, problem.K))
    null = reference.objectives(problem, w, Certifier(problem, 1).null.intercept)
    assert (result.objective - least <= tol * (null - least) * (1 + 1e-6) + 1e-12).all()
    # eq. (8) with the best dual value, which the reported gap gives at this point
    dual = result.objective - result.dual_gap
    assert (result.dual_gap <= tol * (null - dual) * (1 + 1e-9) + 1e-15).all()


@pytest.mark.parametrize("factor", [1e-3, 50.0])
def test_tol_does_not_depend_on_the_units(factor):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 5)), rng.standard_normal(60)
    one = minimize(Problem(X, y, loss="squared", alpha=0.1), random_state=0, refine=False)
    scaled = Problem(X, factor * y, loss="squared", alpha=0.1)
    two = minimize(scaled, random_state=0, refine=False)
    assert one.n_iter == two.n_iter
    np.testing.assert_allclose(two.coef, factor * one.coef, rtol=1e-9)


@pytest.mark.parametrize(("loss", "layout"), KINDS)
def test_trace(loss, layout):
    problem = random_problem(49, loss, layout, n=100, alpha=1e-4)
    result = minimize(problem, "saga", tol=0, max_iter=40, random_state=0, refine=False)
    trace, B = result.trace, problem.columns.n_problems
    assert trace.dtype.names == ("phase", "passes", "seconds", "objective", "gap")
    assert trace["objective"].shape == trace["gap"].shape == ((len(trace), B)[: 1 + (B > 1)])
    assert set(trace["phase"]) == {"saga"}
    assert trace["passes"].tolist() == [4, 8, 12, 16, 20, 25, 31, 38, 40]
    assert (np.diff(trace["seconds"]) >= 0).all()
    assert trace["passes"][-1] == result.n_iter == 40
    np.testing.assert_array_equal(trace["objective"][-1], result.objective)
    np.testing.assert_array_equal(trace["gap"][-1], result.dual_gap)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("name", CORE)
def test_n_iter_is_max_iter_if_stopped_by_it(name, refine):
    problem = random_problem(50, n=300, d=40, alpha=1e-5)
    for max_iter in (1, 2, 5, 11):
        with pytest.warns(ConvergenceWarning):
            result = minimize(problem, name, tol=0, max_iter=max_iter, refine=refine)
        assert (result.n_iter, result.status) == (max_iter, Status.MAX_ITER)
        assert isinstance(result.n_iter, int)


def test_refinement_is_named_in_the_trace_and_never_worse():
    problem = random_problem(51, n=200, d=10, alpha=1e-4)
    result = minimize(problem, "saga", tol=1e-10, max_iter=500, random_state=0, refine=True)
    plain = minimize(problem, "saga", tol=1e-10, max_iter=500, random_state=0)
    assert set(result.trace["phase"]) - {"saga"} <= {"newton", "extrapolation"}
    assert "newton" in result.trace["phase"]
    assert result.n_iter < plain.n_iter
    assert set(plain.trace["phase"]) == {"saga"}


def test_who_refines():
    """A method named in `minimize` does not; an estimator does, and "auto" where it names one."""
    X, y = np.random.default_rng(0).standard_normal((2, 200, 10))
    y = y[:, 0]
    fit = {"tol": 1e-10, "max_iter": 500}
    alone = minimize(Problem(X, y, loss="squared", alpha=1e-4), "saga", **fit)
    model = FiniteSumRegressor(alpha=1e-4, solver="saga", **fit).fit(X, y)
    mixed = Problem(X, np.stack([y, y], 1), loss="squared", alpha=1e-4, l1_ratio=[0.0, 1.0])
    left = minimize(mixed, **fit)
    assert set(alone.trace["phase"]) == {"saga"} and left.solver == "saga"
    for trace in (model.trace_, left.trace):
        assert {"newton", "extrapolation"} & set(trace["phase"])


def test_extrapolation_serves_where_newton_is_too_dear():
    problem = random_problem(52, n=400, d=120, alpha=1e-3, loss="squared", storage="csr")
    options = {"solver": "saga", "tol": 1e-10, "max_iter": 3000, "random_state": 0}
    options["refine"] = True
    result = minimize(problem, **options)
    assert "extrapolation" in minimize(problem, **options).trace["phase"]
    assert result.objective == pytest.approx(reference.optimum(problem)[0], rel=1e-9)


# ---- callback, warnings


def test_callback_sees_every_certificate():
    problem, seen = random_problem(53, n=100, alpha=1e-4), []

    def look(info):
        assert info.coef.shape == (7,)
        with pytest.raises(ValueError, match="read-only"):
            info.coef[0] = 1.0
        own = reference.objectives(problem, info.coef, info.intercept)[0]
        assert info.objective == pytest.approx(own, rel=1e-12)
        seen.append((info.passes, info.objective, info.gap))
        assert info.seconds >= 0 and info.target >= 0
        return len(seen) == 3

    result = minimize(problem, "saga", tol=0, callback=look, random_state=0, refine=False)
    assert result.status is Status.STOPPED
    assert (result.n_iter, len(seen)) == (12, 3)
    trace = result.trace
    assert seen == list(zip(trace["passes"], trace["objective"], trace["gap"], strict=True))


def warning_of(*args, **kwargs):
    with pytest.warns(ConvergenceWarning) as caught:
        minimize(*args, **kwargs)
    assert {w.category for w in caught} == {ConvergenceWarning}  # and no rounding noise of numpy's
    return str(caught[0].message)


def test_warnings_say_how_far_why_and_what_to_do():
    problem = random_problem(54, n=200, d=20, alpha=1e-4)
    text = warning_of(problem, "saga", tol=1e-9, max_iter=5, refine=False)
    assert re.search(r"saga stopped at max_iter after 5 passes \(certified gap \d.*tol asks", text)
    for remedy in ("conditioning", "StandardScaler", "raise max_iter", "raise tol"):
        assert remedy in text
    text = warning_of(problem, tol=0, max_time=1e-9)
    assert "stopped at max_time" in text and "raise max_time" in text
    text = warning_of(problem, "saga", step_size=1e9, refine=False)
    assert "grew without bound" in text and "step_size" in text
    single = random_problem(47, n=200, d=20, alpha=1e-3, dtype=np.float32)
    text = warning_of(single, "saga", tol=1e-9, refine=False, random_state=0)
    assert "floor of float32" in text and "float64" in text
    free = random_problem(54, penalty="none")
    assert "subgradient norm" in warning_of(free, "saga", tol=1e-12, max_iter=2, refine=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tol": -1}, "tol must be a finite number >= 0, got -1"),
        ({"tol": np.nan}, "tol must be a finite number"),
        ({"max_iter": -1}, "max_iter must be an integer >= 0, got -1"),
        ({"max_iter": 1.5}, "max_iter must be an integer"),
        ({"max_time": 0}, "max_time must be a positive number or None, got 0"),
        ({"step_size": -1.0}, "step_size must be a positive number or None"),
        ({"sampling": "cyclic"}, "sampling='cyclic' is unknown; choose one of"),
        ({"n_jobs": 0}, "n_jobs must not be 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        minimize(random_problem(0), **settings)


# ---- randomness and threads


@pytest.mark.parametrize("name", CORE)
def test_random_state_decides_the_bits(name):
    problem = random_problem(55, n=100)
    fit = lambda seed: minimize(problem, name, tol=0, max_iter=6, random_state=seed)  # noqa: E731
    assert_same_bits(fit(1), fit(1))
    assert_same_bits(fit(np.random.RandomState(1)), fit(np.random.RandomState(1)))
    assert not np.array_equal(fit(1).coef, fit(2).coef)


@pytest.mark.parametrize("name", CORE_NAMES)
def test_two_threads_inside_a_fit_repeat_their_bits(name):
    problem = random_problem(56, n=500, storage="csr", d=20)
    options = {"solver": name, "tol": 0, "max_iter": 6, "random_state": 0}
    one, two, again = (minimize(problem, n_jobs=k, **options) for k in (1, 2, 2))
    assert_same_bits(two, again)
    np.testing.assert_allclose(two.coef, one.coef, rtol=1e-9, atol=1e-12)


def test_fits_in_two_threads_equal_fits_in_turn():
    problems = [random_problem(57, "logistic", n=2000), random_problem(58, "squared", "multi")]
    fit = lambda k: minimize(problems[k], tol=0, max_iter=40, random_state=k)  # noqa: E731
    in_turn, at_once = [fit(0), fit(1)], [None, None]

    def work(k):
        at_once[k] = fit(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, two in zip(in_turn, at_once, strict=True):
        assert_same_bits(one, two)
