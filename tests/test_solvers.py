"""Every solver against its NumPy twin, planted optima and other libraries."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model as sk
from family import CORE, CORE_NAMES, assert_same_as_twin, no_memory
from in_turn import in_turn
from problems import DTYPES, LOSS_LAYOUTS, STORAGES, dense_values, planted, random_problem
from reference.arrays import arrays_of
from reference.certificate import optimum

import fastsum
from fastsum.penalties import PENALTIES
from fastsum.result import Status
from fastsum.sampling import KINDS
from fastsum.solvers import resolve_solver

SAMPLINGS = [kind for kind in KINDS if kind != "auto"]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE)
def test_kernel_is_its_twin(name, loss, layout, storage, monkeypatch):
    problem = random_problem(1, loss, layout, storage=storage, penalty="elasticnet")
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("weights", ["none", "random", "zeros"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("name", CORE)
def test_twin_with_weights_and_sampling(name, storage, weights, sampling, monkeypatch):
    problem = random_problem(2, "logistic", storage=storage, weights=weights)
    assert_same_as_twin(name, problem, sampling, monkeypatch)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", CORE)
def test_twin_with_every_penalty(name, penalty, fit_intercept, monkeypatch):
    problem = random_problem(
        3, "squared", storage="csr", penalty=penalty, fit_intercept=fit_intercept
    )
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize("layout", ["single", "one_vs_rest"])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("name", CORE)
def test_twin_over_several_blocks(name, weights, layout, monkeypatch):
    problem = random_problem(
        4, "logistic", layout, storage="csr", n_blocks=3, weights=weights, penalty="l1", alpha=0.02
    )
    assert len(problem.rows.blocks) == 3
    for sampling in SAMPLINGS:
        assert_same_as_twin(name, problem, sampling, monkeypatch)


@pytest.mark.parametrize(("loss", "layout"), [("logistic", "single"), ("multinomial", "coupled")])
@pytest.mark.parametrize("storage", STORAGES)
def test_svrg_without_stored_scalars(storage, loss, layout, monkeypatch):
    problem = random_problem(5, loss, layout, storage=storage, weights="zeros")
    assert_same_as_twin("svrg", problem, "importance", monkeypatch, store=False)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE)
def test_float32_stays_near_the_twin(name, loss, layout, storage, monkeypatch):
    problem = random_problem(6, loss, layout, storage=storage, dtype=np.float32)
    assert_same_as_twin(name, problem, "blocks", monkeypatch, tol=2e-4)


def test_multi_target_strengths_of_their_own(monkeypatch):
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, 3))
    alpha, ratio = [0.1, 0.0, 0.02], [1.0, 0.0, 0.5]
    problem = fastsum.Problem(X, Y, loss="squared", alpha=alpha, l1_ratio=ratio)
    for name in CORE:
        assert_same_as_twin(name, problem, "blocks", monkeypatch)


# ---- planted optima


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "none"])
@pytest.mark.parametrize("loss", [name for name, layout in LOSS_LAYOUTS if layout == "single"])
@pytest.mark.parametrize("name", CORE_NAMES)
def test_planted_optimum(name, loss, penalty, fit_intercept, weights):
    case = planted(8, loss, penalty=penalty, fit_intercept=fit_intercept, weights=weights)
    for refine in (True, False):
        result = fastsum.minimize(
            case.problem, name, tol=1e-10, max_iter=20000, random_state=0, refine=refine
        )
        assert result.status is Status.CONVERGED
        assert result.objective == pytest.approx(case.objective, rel=1e-9)
        assert result.objective - case.objective <= result.dual_gap + 1e-14
        np.testing.assert_allclose(result.coef, case.coef, rtol=0, atol=2e-4)
        assert result.intercept == pytest.approx(case.intercept, abs=2e-4)
        if not fit_intercept:
            assert result.intercept == 0


@pytest.mark.parametrize("name", CORE_NAMES)
def test_softmax_of_two_classes_is_logistic(name):
    # with w_1 = -w_0 = w / 2 the l2 penalties agree if that of the softmax is twice as strong
    case = planted(9, "logistic", weights="random")
    p = case.problem
    twice = fastsum.Problem(
        p.rows,
        (p.y > 0).astype(int),
        loss="multinomial",
        alpha=2 * p.penalty.alpha[0],
        sample_weight=p.sample_weight,
    )
    result = fastsum.minimize(twice, name, tol=1e-12, max_iter=20000, random_state=0)
    half = case.coef / 2
    np.testing.assert_allclose(result.coef, np.column_stack([-half, half]), atol=1e-5)
    b = case.intercept / 2
    np.testing.assert_allclose(result.intercept, [-b, b], atol=1e-5)
    assert result.objective == pytest.approx(case.objective, rel=1e-9)


# ---- other libraries


def objective(problem, coef, intercept):
    """Eq. (1) in NumPy, summed over the problems."""
    a = arrays_of(problem)
    w = np.asarray(coef, dtype=float).reshape(a.X.shape[1], -1)
    z = a.X @ w + intercept
    data = sum(a.s @ a.loss.value(a.Y[:, b], part) / a.S for b, part in enumerate(a.per_problem(z)))
    return data + (a.l1 * np.abs(w) + a.l2 / 2 * w**2).sum()


@pytest.mark.parametrize("weights", ["none", "random", "zeros"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_agrees_with_scikit_learn(name, storage, weights):
    options = {"storage": storage, "weights": weights, "n": 60}
    fit = {"tol": 1e-11, "max_iter": 20000, "random_state": 0}
    # ridge: sum s (y - xw)^2 + a ||w||^2 is 2 S times eq. (1) with alpha = a / S
    p = random_problem(10, "squared", alpha=0.1, **options)
    a = arrays_of(p)
    ridge = sk.Ridge(alpha=0.1 * a.S, solver="cholesky").fit(a.X, a.Y[:, 0], sample_weight=a.s)
    ours = fastsum.minimize(p, name, **fit)
    np.testing.assert_allclose(ours.coef, ridge.coef_, atol=1e-6)
    assert ours.intercept == pytest.approx(ridge.intercept_, abs=1e-6)
    # elastic net
    p = random_problem(11, "squared", alpha=0.1, penalty="elasticnet", **options)
    a = arrays_of(p)
    net = sk.ElasticNet(alpha=0.1, l1_ratio=0.6, tol=1e-14, max_iter=100000)
    net.fit(a.X, a.Y[:, 0], sample_weight=a.s)
    ours = fastsum.minimize(p, name, **fit)
    np.testing.assert_allclose(ours.coef, net.coef_, atol=1e-6)
    # multinomial: C sum s l + ||W||^2 / 2
    p = random_problem(12, "multinomial", "coupled", alpha=0.1, **options)
    a = arrays_of(p)
    soft = sk.LogisticRegression(C=1 / (0.1 * a.S), tol=1e-10, max_iter=10000)
    soft.fit(a.X, a.Y[:, 0], sample_weight=a.s)
    ours = fastsum.minimize(p, name, **fit)
    np.testing.assert_allclose(ours.coef.T, soft.coef_, atol=1e-5)
    np.testing.assert_allclose(
        ours.intercept - ours.intercept.mean(),
        soft.intercept_ - soft.intercept_.mean(),
        atol=1e-5,
    )


def test_agrees_with_cvxpy():
    cp = pytest.importorskip("cvxpy")
    for loss, penalty in [("squared_hinge", "elasticnet"), ("logistic", "l1")]:
        p = random_problem(13, loss, penalty=penalty, weights="random", alpha=0.05)
        a = arrays_of(p)
        w, b, y = cp.Variable(a.X.shape[1]), cp.Variable(), a.Y[:, 0]
        m = cp.multiply(y, a.X @ w + b)
        terms = cp.logistic(-m) if loss == "logistic" else cp.square(cp.pos(1 - m))
        h = a.l1[0] * cp.norm1(w) + a.l2[0] / 2 * cp.sum_squares(w)
        goal = cp.Problem(cp.Minimize(a.s @ terms / a.S + h))
        goal.solve(solver="CLARABEL")
        for name in CORE_NAMES:
            ours = fastsum.minimize(p, name, tol=1e-9, max_iter=20000, random_state=0)
            assert ours.objective == pytest.approx(goal.value, abs=1e-7)
            assert ours.objective - goal.value <= ours.dual_gap + 1e-7
            assert objective(p, ours.coef, ours.intercept) == pytest.approx(ours.objective)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_blocks_of_rows_give_the_same_answer(name, storage, dtype):
    whole, parts = (
        random_problem(14, storage=storage, dtype=dtype, weights="zeros", n_blocks=k, n=90)
        for k in (1, 3)
    )
    tol = 1e-12 if dtype == np.float64 else 1e-4
    fit = {"solver": name, "tol": tol, "max_iter": 5000, "random_state": 0}
    one, three = fastsum.minimize(whole, **fit), fastsum.minimize(parts, **fit)
    assert one.status.reached and three.status.reached
    np.testing.assert_allclose(three.coef, one.coef, atol=10 * np.sqrt(tol))
    assert three.objective == pytest.approx(one.objective, rel=max(tol, 1e-12))


@pytest.mark.filterwarnings("ignore:the objective grew")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE)
def test_huge_step_diverges_with_finite_coefficients(name, loss, layout, dtype):
    problem = random_problem(15, loss, layout, dtype=dtype, alpha=1e-6)
    result = fastsum.minimize(problem, name, step_size=1e8, random_state=0, refine=False)
    assert result.status is Status.DIVERGED
    assert np.isfinite(result.coef).all() and np.isfinite(result.intercept).all()
    null = objective(problem, np.zeros_like(result.coef), result.intercept * 0)
    assert objective(problem, result.coef, result.intercept) <= null * (1 + 1e-6)
    assert result.state == {}


def test_unknown_solver_lists_the_names():
    with pytest.raises(ValueError, match=r"solver='newton' is unknown.*'auto', 'saga', 'svrg'"):
        fastsum.minimize(random_problem(0), "newton")


def test_auto_leaves_mixed_penalties_to_a_method_whose_table_fits(monkeypatch):
    mixed = random_problem(16, "squared", "multi").with_penalty(0.1, [1.0, 0.0, 0.5])
    assert resolve_solver("auto", mixed).name == "saga"
    assert resolve_solver("auto", random_problem(16, "huber", penalty="l1")).name == "auto"
    coupled = random_problem(16, "multinomial", "coupled", penalty="l1")
    no_memory(monkeypatch)
    assert resolve_solver("auto", mixed).name == "svrg"
    assert resolve_solver("auto", coupled).name == "auto"
    with pytest.raises(MemoryError, match=r"gradient table needs .* GB .*solver='svrg'"):
        fastsum.minimize(coupled, "saga")


# ---- data in other forms


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_weights_are_repeated_rows(name, loss, layout, storage, penalty):
    base = random_problem(17, loss, layout, storage=storage)
    times = np.random.default_rng(17).integers(0, 4, len(base.y))
    times[:3] = 1  # of each class
    settings = {
        "loss": loss,
        "alpha": 0.05,
        "l1_ratio": 1.0 if penalty == "l1" else 0.0,
        "columns": base.columns,
    }
    X = dense_values(base.rows)
    X = X if storage == "dense" else sp.csr_array(X)
    some = np.repeat(np.arange(len(times)), times)
    weighted = fastsum.Problem(X, base.y, sample_weight=times, **settings)
    repeated = fastsum.Problem(X[some], base.y[some], **settings)
    fit = {"tol": 1e-10, "max_iter": 20000, "random_state": 0}
    one, two = fastsum.minimize(weighted, name, **fit), fastsum.minimize(repeated, name, **fit)
    np.testing.assert_allclose(one.objective, two.objective, rtol=1e-8)
    np.testing.assert_allclose(one.coef, two.coef, atol=2e-4)


@pytest.mark.parametrize(
    ("kind", "penalty", "n_jobs"), in_turn(LOSS_LAYOUTS, ["l2", "elasticnet"], [1, 2])
)
def test_auto_takes_int64_indices_and_float32(kind, penalty, n_jobs):
    base = random_problem(18, *kind, storage="csr", n=300, d=30, penalty=penalty)
    least = optimum(base)
    X = sp.csr_array(dense_values(base.rows))
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    for dtype, tol in ((np.float64, 1e-9), (np.float32, 1e-4)):
        problem = fastsum.Problem(
            X.astype(dtype),
            base.y,
            loss=kind[0],
            alpha=base.penalty.alpha,
            l1_ratio=base.penalty.l1_ratio,
            columns=base.columns,
        )
        result = fastsum.minimize(problem, tol=tol, n_jobs=n_jobs, random_state=0, max_iter=5000)
        assert result.status is Status.CONVERGED and result.coef.dtype == dtype
        assert (result.objective - least <= result.dual_gap + 1e-8).all()
        again = fastsum.minimize(problem, tol=tol, n_jobs=n_jobs, random_state=0, max_iter=5000)
        np.testing.assert_array_equal(again.coef, result.coef)
