"""`partial_fit`: steps as in NumPy, scikit-learn's conventions, and what more rows are good for."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from problems import random_problem
from reference import stream as twins
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier

import fastsum
from fastsum import FiniteSumClassifier, FiniteSumRegressor, SVRGClassifier, SVRGRegressor
from fastsum.result import Status
from fastsum.solvers.stream import STREAMS

SIZES = (30, 17, 41, 60, 5, 90)
GRID = [
    ("logistic", "single", "dense", "l2"),
    ("logistic", "one_vs_rest", "csr", "elasticnet"),
    ("multinomial", "coupled", "ones", "l2"),
    ("squared", "multi", "csr", "l1"),
    ("huber", "single", "csr", "none"),
]
each_stream = pytest.mark.parametrize("name", STREAMS)


@pytest.mark.parametrize("weights", ["none", "random"])
@pytest.mark.parametrize(("loss", "layout", "storage", "penalty"), GRID)
@each_stream
def test_steps_are_those_of_the_twin(name, loss, layout, storage, penalty, weights):
    settings = {"storage": storage, "penalty": penalty, "weights": weights, "offset": True}
    batches = [random_problem(k, loss, layout, n=n, **settings) for k, n in enumerate(SIZES)]
    stream = STREAMS[name](None, 1)
    state = stream.start(np.zeros((8, batches[0].K)), 3)
    expected = getattr(twins, name)(batches, 3)
    for problem, weights_there in zip(batches, expected, strict=True):
        result = stream.take(problem, state)
        np.testing.assert_allclose(state["weights"], weights_there, rtol=1e-9, atol=1e-12)
        assert result.status is Status.STREAM and np.all(np.isinf(result.dual_gap))
    assert np.abs(state["weights"]).max() > 1e-2


def population(rng, n, w):
    X = rng.standard_normal((n, len(w)))
    return X, (X @ w + rng.logistic(size=n) > 0).astype(int)


@each_stream
def test_more_rows_are_closer_to_the_population(name):
    """Excess risk of logistic regression falls about as 1 / n over two decades of rows."""
    w = np.array([1.0, -2.0, 0.5, 0.0, 1.5])
    rng = np.random.default_rng(0)
    X, _ = population(rng, 200_000, w)
    p = expit(X @ w)
    excess = []
    for n in (300, 30_000):
        ratios = []
        for seed in range(3):
            model = FiniteSumClassifier("logistic", solver=name, alpha=0.0, random_state=seed)
            rng = np.random.default_rng(seed + 1)
            for _ in range(n // 100):
                model.partial_fit(*population(rng, 100, w), classes=[0, 1])
            z = model.decision_function(X)
            risk = np.logaddexp(0, z) - p * z
            ratios.append(risk.mean() - (np.logaddexp(0, X @ w) - p * (X @ w)).mean())
        excess.append(np.mean(ratios))
    assert 0 <= excess[1] < 0.1 * excess[0] and excess[1] < 2e-3


def some(n=60, seed=0):
    return population(np.random.default_rng(seed), n, np.array([2.0, -1.0, 0.0]))


def test_classes_follow_scikit_learn():
    X, y = some()
    for model in (SGDClassifier(), FiniteSumClassifier(solver="sgd"), SVRGClassifier()):
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            clone(model).partial_fit(X, y)
        model.partial_fit(X, y, classes=[0, 1, 2])
        model.partial_fit(X, y).partial_fit(X, y, classes=[2, 1, 0])
        assert model.coef_.shape == (3, 3)
        with pytest.raises(ValueError, match="is not the same as on last call"):
            model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="not among the classes"):
        model.partial_fit(X, y + 7)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        SVRGClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="3 features"):
        model.partial_fit(X[:, :2], y)


def test_only_streaming_solvers_have_it():
    for model in (FiniteSumClassifier(), FiniteSumRegressor(solver="saga"), fastsum.Ridge()):
        assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as raised:
        _ = FiniteSumClassifier().partial_fit
    assert "needs all rows at once" in str(raised.value.__cause__)
    X, y = some()
    with pytest.raises(ValueError, match="hinge"):
        FiniteSumClassifier("hinge", solver="sgd").partial_fit(X, y, classes=[0, 1])


@each_stream
def test_weights_of_classes_and_rows(name):
    X, y = some()
    s = np.where(y == 1, 3.0, 1.0)
    one = FiniteSumClassifier(solver=name, class_weight={1: 3.0})
    two = FiniteSumClassifier(solver=name)
    for _ in range(3):
        one.partial_fit(X, y, classes=[0, 1])
        two.partial_fit(X, y, classes=[0, 1], sample_weight=s)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    # rows of weight 0 are absent
    keep = np.arange(60) % 2 == 0
    three, four = (FiniteSumClassifier(solver=name) for _ in range(2))
    three.partial_fit(X, y, [0, 1], sample_weight=keep.astype(float))
    four.partial_fit(X[keep], y[keep], [0, 1])
    np.testing.assert_allclose(three.coef_, four.coef_, rtol=1e-12)


@each_stream
def test_streams_go_on_after_a_pickle_and_begin_anew_after_a_fit(name):
    X, y = some(200)
    model = FiniteSumClassifier(solver=name, alpha=0.01)
    for part in range(3):
        rows = slice(40 * part, 40 * part + 40)
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(sp.csr_array(X[120:]), y[120:])
    np.testing.assert_array_equal(model.coef_, again.coef_)
    assert model.status_ is Status.STREAM and model.dual_gap_ == np.inf and model.n_iter_ == 1
    assert np.isfinite(model.objective_) and model.trace_["phase"][0] == "stream"
    fitted = model.fit(X, y)
    assert fitted.status_ is not Status.STREAM and np.isfinite(fitted.dual_gap_)
    # the fit is the start of the next stream
    near = np.abs(clone(fitted).fit(X, y).partial_fit(X, y).coef_ - fitted.coef_).max()
    assert near < 0.5 * np.abs(fitted.coef_).max()


@each_stream
def test_dtype_is_that_of_the_first_batch(name):
    X, y = some()
    model = FiniteSumClassifier(solver=name).partial_fit(X.astype(np.float32), y, [0, 1])
    assert model.partial_fit(X, y).coef_.dtype == np.float32


@pytest.mark.parametrize("model", [FiniteSumRegressor(solver="sgd"), SVRGRegressor()])
def test_regressors_take_targets_and_offsets(model):
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((4000, 3)), np.array([[1.0, 0.0], [-1.0, 2.0], [0.5, 0.5]])
    o = rng.standard_normal(4000)
    Y = X @ w + o[:, None] + 3.0 + 0.1 * rng.standard_normal((4000, 2))
    for part in range(0, 4000, 100):
        rows = slice(part, part + 100)
        model.partial_fit(X[rows], Y[rows], offset=o[rows])
    np.testing.assert_allclose(model.coef_.T, w, atol=0.05)
    np.testing.assert_allclose(model.intercept_, 3.0, atol=0.05)
