"""`path` and `alpha_max` against brute force and scikit-learn's paths."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import BINARY, CLASSES, COUNTS, TARGET, TARGETS, X
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge, enet_path, lasso_path
from sklearn.svm import l1_min_c

import fastsum
from fastsum.losses import LOSSES
from fastsum.model_selection import FastGridSearchCV

# What these tests ask for may be below the floor of the arithmetic.
pytestmark = pytest.mark.filterwarnings("ignore:the certified gap is at the floor")

WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
NAMES = np.array(["ant", "bee", "cat"])
# loss, y
CASES = [
    ("squared", TARGET),
    ("squared", TARGETS),
    ("huber", TARGET),
    ("logistic", BINARY),
    ("logistic", NAMES[CLASSES]),
    ("multinomial", BINARY),
    ("multinomial", NAMES[CLASSES]),
    ("squared_hinge", BINARY),
    ("smoothed_hinge", CLASSES),
    ("poisson", COUNTS),
]


def case_id(value):
    return value if isinstance(value, str) else f"{np.shape(value)[1:]}{np.unique(value).size}"


def test_cases_hold_every_loss():
    assert {loss for loss, _ in CASES} == {name for name, loss in LOSSES.items() if not loss.kinked}


def estimator_of(loss, **settings):
    regression = LOSSES[loss].domain == "real"
    kind = fastsum.FiniteSumRegressor if regression else fastsum.FiniteSumClassifier
    return kind(loss, **settings)


# --- alpha_max ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "y"), CASES, ids=case_id)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_alpha_max_separates_no_coefficient_from_some(loss, y, weighted, fit_intercept, l1_ratio):
    settings = {"l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    weights = WEIGHTS if weighted else None
    top = fastsum.alpha_max(X, y, loss=loss, sample_weight=weights, **settings)
    assert isinstance(top, float) and 0 < top < np.inf
    for factor, expected in ((1.0 + 1e-9, False), (0.999, True)):
        fit = estimator_of(loss, alpha=factor * top, tol=1e-12, max_iter=20000, **settings)
        fit.fit(X, y, sample_weight=weights)
        assert bool(np.abs(fit.coef_).max() > 1e-7) is expected, factor


@pytest.mark.parametrize(
    "loss", [name for name, kind in LOSSES.items() if not (kind.coupled or kind.kinked)]
)
def test_alpha_max_is_the_slope_at_the_best_constant(loss):
    """By scipy: the constant that fits y best, and differences of the loss around it."""
    numbers = COUNTS if loss == "poisson" else TARGET
    y = numbers if LOSSES[loss].domain == "real" else 2.0 * BINARY - 1.0
    kind = LOSSES[loss]

    def value(margins):
        terms = [kind.value(z, label) for z, label in zip(margins, y, strict=True)]
        return WEIGHTS @ np.array(terms) / WEIGHTS.sum()

    best = minimize_scalar(lambda b: value(np.full(len(y), b)), bracket=(-3, 3), tol=1e-12).x
    h = 1e-5
    slopes = [(value(best + h * x) - value(best - h * x)) / (2 * h) for x in X.T]
    found = fastsum.alpha_max(X, y, loss=loss, l1_ratio=0.5, sample_weight=WEIGHTS)
    assert found == pytest.approx(np.max(np.abs(slopes)) / 0.5, rel=1e-5)


OFFSET = np.random.default_rng(2).standard_normal(len(X))
FACTORS = np.linspace(0.5, 2.0, X.shape[1])


@pytest.mark.parametrize(("loss", "y"), [("squared", TARGET), ("logistic", BINARY)])
@pytest.mark.parametrize("bounds", [{}, {"lower": 0.0}])
def test_offset_factors_and_bounds(loss, y, bounds):
    """alpha_max separates none from some, and each solution of a path is that of a fit."""
    own = {"penalty_factor": FACTORS, **bounds}
    top = fastsum.alpha_max(X, y, loss=loss, offset=OFFSET, **own)
    for factor, expected in ((1.0 + 1e-9, False), (0.999, True)):
        fit = estimator_of(loss, alpha=factor * top, l1_ratio=1.0, tol=1e-12, **own)
        fit.fit(X, y, offset=OFFSET)
        assert bool(np.abs(fit.coef_).max() > 1e-7) is expected, factor
    found = fastsum.path(X, y, loss=loss, alphas=4, eps=0.05, tol=1e-12, offset=OFFSET, **own)
    assert found.alphas[0] == pytest.approx(top)
    for k, alpha in enumerate(found.alphas):
        fit = estimator_of(loss, alpha=alpha, l1_ratio=1.0, tol=1e-12, **own)
        fit.fit(X, y, offset=OFFSET)
        np.testing.assert_allclose(
            found.coefs[:, [k]].toarray().T, np.atleast_2d(fit.coef_), atol=1e-6
        )
        assert found.intercepts[k] == pytest.approx(float(np.ravel(fit.intercept_)[0]), abs=1e-6)


def test_alpha_max_without_a_penalty_on_a_feature():
    with pytest.raises(ValueError, match="penalty_factor=0"):
        fastsum.alpha_max(X, TARGET, penalty_factor=np.arange(X.shape[1]))


def test_alpha_max_is_that_of_scikit_learn():
    top = fastsum.alpha_max(X, TARGET)
    assert fastsum.alpha_max(sp.csr_array(X), TARGET) == pytest.approx(top)
    centred = X - X.mean(axis=0), TARGET - TARGET.mean()
    _, coefs, _ = lasso_path(*centred, alphas=[1.0001 * top, 0.999 * top], tol=1e-12)
    assert [bool(column.any()) for column in coefs.T] == [False, True]
    top = fastsum.alpha_max(X, BINARY, loss="squared_hinge", fit_intercept=False)
    smallest = l1_min_c(X, BINARY, loss="squared_hinge", fit_intercept=False)
    assert 1 / (top * len(X)) == pytest.approx(smallest)


def test_alpha_max_without_l1_is_infinite():
    assert fastsum.alpha_max(X, TARGET, l1_ratio=0) == np.inf
    assert fastsum.alpha_max(X, np.ones(len(X)), l1_ratio=0) == 0.0


# --- path -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, np.asfortranarray])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_path_of_the_squared_loss_is_that_of_scikit_learn(form, l1_ratio):
    found = fastsum.path(form(X), TARGET, alphas=12, l1_ratio=l1_ratio, tol=1e-10)
    centred, y = X - X.mean(axis=0), TARGET - TARGET.mean()
    top = np.abs(centred.T @ y).max() / len(y) / l1_ratio
    np.testing.assert_allclose(found.alphas, top * np.logspace(0, -3, 12), rtol=1e-10)
    settings = {"l1_ratio": l1_ratio, "alphas": found.alphas, "tol": 1e-12, "max_iter": 10**5}
    _, coefs, _ = enet_path(centred, y, **settings)
    assert isinstance(found.coefs, sp.csc_array) and found.coefs.shape == coefs.shape
    np.testing.assert_allclose(found.coefs.toarray(), coefs, atol=1e-5)
    assert found.coefs[:, [0]].nnz == 0
    np.testing.assert_allclose(found.intercepts, TARGET.mean() - X.mean(axis=0) @ coefs, atol=1e-4)


@pytest.mark.parametrize(("loss", "y"), CASES, ids=case_id)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_each_alpha_is_a_fit_of_its_own(loss, y, l1_ratio):
    given = [0.003, 0.3, 0.03]
    settings = {"l1_ratio": l1_ratio, "tol": 1e-11, "max_iter": 20000}
    found = fastsum.path(X, y, loss=loss, alphas=given, sample_weight=WEIGHTS, **settings)
    np.testing.assert_array_equal(found.alphas, [0.3, 0.03, 0.003])
    coefs = found.coefs if isinstance(found.coefs, list) else [found.coefs]
    assert all(sp.issparse(coef) == (l1_ratio > 0) for coef in coefs)
    for k, alpha in enumerate(found.alphas):
        fit = estimator_of(loss, alpha=alpha, **settings).fit(X, y, sample_weight=WEIGHTS)
        column = [coef.toarray()[:, k] if sp.issparse(coef) else coef[:, k] for coef in coefs]
        np.testing.assert_allclose(np.atleast_2d(fit.coef_), column, atol=1e-4)
        np.testing.assert_allclose(
            np.ravel(fit.intercept_), np.atleast_2d(found.intercepts)[:, k], atol=1e-4
        )
        np.testing.assert_allclose(fit.objective_, found.objectives[..., k], rtol=1e-9)
        assert np.shape(fit.dual_gap_) == np.shape(found.gaps[..., k])
    assert (found.gaps >= 0).all() and (found.gaps <= 1e-8).all()
    assert found.n_iter.shape == (3,) and (found.n_iter >= 0).all()


def test_ridge_path_by_scikit_learn():
    found = fastsum.path(X, TARGETS, l1_ratio=0, alphas=[1.0, 0.1], tol=1e-12)
    for k, alpha in enumerate(found.alphas):
        ridge = Ridge(alpha=alpha * len(X)).fit(X, TARGETS)
        np.testing.assert_allclose([c[:, k] for c in found.coefs], ridge.coef_, atol=1e-6)
        np.testing.assert_allclose(found.intercepts[:, k], ridge.intercept_, atol=1e-6)


def test_classes_and_names_are_kept():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    found = fastsum.path(frame, NAMES[CLASSES], loss="multinomial", alphas=4)
    np.testing.assert_array_equal(found.classes, NAMES)
    np.testing.assert_array_equal(found.feature_names, list("abcdef"))
    assert len(found.coefs) == 3 and found.intercepts.shape == (3, 4) and found.gaps.shape == (4,)
    assert repr(found).startswith("RegularizationPath(4 alphas from ") and "3 outputs" in repr(
        found
    )
    plain = fastsum.path(X, TARGET, alphas=1)
    assert plain.classes is None and plain.feature_names is None
    assert plain.alphas == fastsum.alpha_max(X, TARGET)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.coefs[2].toarray(), found.coefs[2].toarray())


@pytest.mark.parametrize(("loss", "y"), CASES, ids=case_id)
def test_default_path_is_quiet(loss, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastsum.path(X, y, loss=loss, alphas=5)


def test_float32_is_kept():
    found = fastsum.path(X.astype(np.float32), TARGET, alphas=3)
    assert found.coefs.dtype == np.float32 and found.gaps.dtype == np.float64


def test_constant_target():
    found = fastsum.path(X, np.ones(len(X)), alphas=3)
    assert found.coefs.nnz == 0 and (found.alphas > 0).all()
    np.testing.assert_allclose(found.intercepts, 1.0)


def test_path_serves_as_a_grid():
    alphas = fastsum.path(X, TARGET, alphas=5).alphas
    search = FastGridSearchCV(fastsum.Lasso(tol=1e-8), {"alpha": alphas}).fit(X, TARGET)
    assert search.best_params_["alpha"] in alphas


def test_errors():
    with pytest.raises(ValueError, match=r"alphas=100 needs l1_ratio > 0.*Give the strengths"):
        fastsum.path(X, TARGET, l1_ratio=0)
    for alphas, message in (
        ([1.0, -1.0], r"alphas\[1\] == -1.0, must be >= 0"),
        ([[1.0], [2.0]], r"alphas\[0\] must be an instance of float, not list"),
        ([1.0, np.nan], r"alphas\[1\] == nan, must be a finite number"),
        ([], "alphas is empty; give at least one value"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            fastsum.path(X, TARGET, alphas=alphas)
    with pytest.raises(ValueError, match="The 'alphas' parameter of path must be"):
        fastsum.path(X, TARGET, alphas=0)
    with pytest.raises(ValueError, match="The 'loss' parameter of alpha_max must be"):
        fastsum.alpha_max(X, TARGET, loss="poisson_")
    with pytest.raises(ValueError, match="The 'eps' parameter of path"):
        fastsum.path(X, TARGET, eps=1.0)
    with pytest.raises(ValueError, match="only one class"):
        fastsum.path(X, np.ones(len(X)), loss="logistic")
    with pytest.raises(ValueError, match=r"loss_param=2\.0 has no meaning"):
        fastsum.alpha_max(X, TARGET, loss_param=2.0)


def test_a_path_keeps_to_its_budget_of_memory(capsys):
    fastsum.path(X, TARGET, alphas=3, memory_budget=1e8, verbose=1)
    assert "at most about" in capsys.readouterr().err
    with pytest.raises(MemoryError, match="memory_budget"):
        fastsum.path(X, TARGET, alphas=3, memory_budget=10.0)
    with pytest.raises(ValueError, match="'memory_budget' parameter of path"):
        fastsum.path(X, TARGET, alphas=3, memory_budget=-1.0)
