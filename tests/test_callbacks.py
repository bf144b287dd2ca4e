"""Scikit-learn's callbacks in fits: what they see, that they stop, that they change nothing."""

import numpy as np
import pytest
import sklearn
from scipy.special import log_expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

import fastsum
from fastsum.callbacks import EarlyStopping
from fastsum.solvers import SOLVER_NAMES, SOLVERS

HAVE = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(not HAVE, reason="scikit-learn 1.9 has them")

rng = np.random.default_rng(5)
X = rng.standard_normal((300, 6))
SIGN = np.where(X @ rng.standard_normal(6) + rng.standard_normal(300) > 0, 1, -1)
Y = np.where(SIGN > 0, "yes", "no")
ALPHA = 1e-2


def objective(coef, intercept):
    """Compute docs/maths.md eq. (1) with NumPy."""
    z = X @ np.ravel(coef) + np.ravel(intercept)
    return -np.mean(log_expit(SIGN * z)) + 0.5 * ALPHA * np.sum(np.square(coef))


class Recorder:
    """Keeps what the hooks get."""

    def __init__(self, stop_after=None):
        self.models, self.names, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.names.append("setup")

    def teardown(self, estimator, context):
        self.names.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.names.append(f"begin {context.task_name}")
        assert X is not None and len(X) == len(y)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.names.append(f"end {context.task_name}")
        if context.task_name == "certificate":
            self.models.append(fitted_estimator)
        return self.stop_after is not None and len(self.models) >= self.stop_after


def classifier(solver, **settings):
    return fastsum.FiniteSumClassifier(
        solver=solver, **{"alpha": ALPHA, "tol": 1e-6, "max_iter": 40, **settings}
    )


@needs_callbacks
@pytest.mark.parametrize("solver", sorted(SOLVER_NAMES))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_solver_shows_the_model_of_each_certificate(solver):
    model = classifier(solver, **({"l1_ratio": 1.0} if solver == "frank-wolfe" else {}))
    seen = Recorder()
    watched = clone(model).set_callbacks(seen).fit(X, Y)
    plain = clone(model).fit(X, Y)
    np.testing.assert_array_equal(watched.coef_, plain.coef_)  # looking changes nothing
    assert seen.names[:2] == ["setup", "begin fit"]
    assert seen.names[-2:] == ["end fit", "teardown"]
    assert len(seen.models) >= 1
    assert not hasattr(watched, "_callback_fit_ctx")
    for found in seen.models:
        assert found is not watched and set(found.predict(X)) <= {"yes", "no"}
        if solver != "frank-wolfe":
            value = objective(found.coef_, found.intercept_)
            assert value == pytest.approx(found.objective_, rel=1e-9)


@needs_callbacks
@pytest.mark.parametrize("solver", ["auto", "saga", "sdca", "katyusha", "lbfgs"])
def test_a_certificate_bounds_the_error_of_the_model_it_shows(solver):
    best = fastsum.minimize(fastsum.Problem(X, SIGN, alpha=ALPHA), "lbfgs", tol=1e-14)
    seen = Recorder()
    classifier(solver, max_iter=1000).set_callbacks(seen).fit(X, Y)
    least = objective(best.coef, best.intercept)
    for found in seen.models:
        assert objective(found.coef_, found.intercept_) - least <= found.dual_gap_ + 1e-13


@needs_callbacks
@pytest.mark.parametrize(
    ("model", "target"),
    [
        (classifier("saga", tol=1e-12), Y),
        (fastsum.LogisticRegression(tol=1e-12), Y),
        (fastsum.LogisticRegression(tol=1e-12), np.arange(300) % 3),
        (fastsum.FiniteSumRegressor(solver="svrg", tol=1e-12), X @ np.ones(6) + SIGN),
        (fastsum.HuberRegressor(tol=1e-12), X @ np.ones(6) + SIGN),
        (fastsum.FiniteSumRegressor(solver="saga", tol=1e-12), np.c_[X @ np.ones(6), SIGN]),
    ],
)
def test_a_true_answer_ends_the_fit(model, target):
    seen = Recorder(stop_after=1)
    stopped = clone(model).set_callbacks(seen).fit(X, target)
    assert len(seen.models) == 1
    assert stopped.status_ == "stopped"
    np.testing.assert_allclose(stopped.predict(X[:5]) == seen.models[0].predict(X[:5]), True)
    assert stopped.coef_.shape == seen.models[0].coef_.shape


@needs_callbacks
@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_scikit_learns_own_callbacks_follow_a_fit(solver, capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    l1_ratio = 1.0 if solver == "frank-wolfe" else 0.0
    model = classifier(solver, tol=1e-2, max_iter=1000, l1_ratio=l1_ratio)
    model.set_callbacks(ProgressBar(), monitor).fit(X, Y)
    rows = monitor.get_logs().data
    assert rows[0]["task_name"] == "fit" and len(rows) >= 2
    assert rows[0]["accuracy"] == model.score(X, Y)
    assert rows[0]["neg_log_loss"] == pytest.approx(
        np.mean(np.log(model.predict_proba(X)[np.arange(300), (SIGN > 0).astype(int)]))
    )


@needs_callbacks
def test_a_search_of_scikit_learn_propagates_them():
    from sklearn.callback import ProgressBar

    search = GridSearchCV(classifier("saga", tol=1e-2), {"alpha": [0.1, 0.01]}, cv=2)
    if not hasattr(search, "set_callbacks"):
        pytest.skip("this GridSearchCV takes no callbacks")
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    assert search.best_params_["alpha"] in (0.1, 0.01)


# --- early stopping -------------------------------------------------------------------------------


@needs_callbacks
def test_early_stopping_ends_when_the_held_out_score_falls():
    """More columns than rows and hardly a penalty: the held-out loss turns up early."""
    local = np.random.default_rng(0)
    A = local.standard_normal((400, 150))
    y = (A[:, 0] + 2 * local.standard_normal(400) > 0).astype(int)
    stop = EarlyStopping(A[200:], y[200:], scoring="neg_log_loss", patience=2)
    model = fastsum.SAGAClassifier(alpha=1e-7, tol=1e-10, max_iter=5000).set_callbacks(stop)
    model.fit(A[:200], y[:200])
    assert model.status_ == "stopped"
    best = int(np.argmax(stop.scores_))
    assert best == len(stop.scores_) - 3  # and the two that were no better
    p = model.predict_proba(A[200:])[np.arange(200), y[200:]]
    assert stop.scores_[-1] == pytest.approx(np.mean(np.log(p)))
    assert np.isfinite(model.dual_gap_) and model.dual_gap_ > 0


@needs_callbacks
def test_early_stopping_leaves_a_fit_that_gets_better():
    stop = EarlyStopping(X, Y, scoring="neg_log_loss", patience=3)
    model = fastsum.SAGAClassifier(alpha=ALPHA, tol=1e-3).set_callbacks(stop).fit(X, Y)
    assert model.status_ == "converged" and stop.scores_ == sorted(stop.scores_)


@pytest.mark.parametrize("settings", [{"patience": 0}, {"min_improvement": -1.0}])
def test_early_stopping_checks_its_parameters(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        EarlyStopping(X, Y, **settings)


def test_cross_validated_estimators_say_why_not():
    with pytest.raises(NotImplementedError, match="GridSearchCV"):
        fastsum.RidgeCV().set_callbacks(EarlyStopping(X, SIGN))


def test_older_scikit_learn_is_told_of(monkeypatch):
    """The stand-in of versions before 1.9, loaded as if there were no sklearn.callback."""
    import importlib.util
    import sys

    import fastsum.linear_model._callbacks as real

    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("stand_in", real.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    estimator = module.CallbackSupport()
    assert estimator.set_callbacks() is estimator
    with pytest.raises(NotImplementedError, match=r"1\.9"):
        estimator.set_callbacks(EarlyStopping(X, Y))
    assert module.with_callbacks(len) is len
    assert module.FitTask(estimator, X, Y, None, None).callback is None
