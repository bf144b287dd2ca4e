"""What a FastGridSearchCV fits together, and in how many threads."""

import warnings

import joblib
import numpy as np
import pytest
from estimator_cases import BINARY, CLASSES, TARGET, X
from grid_search_cases import (
    ALPHAS,
    TIGHT,
    assert_same,
    searches,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastsum
from fastsum import LogisticRegression
from fastsum.linear_model import _many
from fastsum.model_selection import FastGridSearchCV


@pytest.mark.parametrize(
    "settings", [{"step_size": 1e-3}, {"sampling": "uniform"}, {"max_iter": 0}]
)
def test_settings_that_cannot_be_shared(settings, solved):
    estimator = fastsum.SAGARegressor(**{"max_iter": 5, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fast, plain = searches(estimator, {"alpha": ALPHAS}, X, TARGET, cv=3)
    assert solved["shared"] == []
    assert_same(fast, plain)


def test_foreign_estimators_are_fitted_by_scikit_learn(solved):
    fast, plain = searches(Ridge(), {"alpha": [0.1, 1.0]}, X, TARGET)
    assert_same(fast, plain, atol=0)
    nested = FastGridSearchCV(GridSearchCV(fastsum.Ridge(), {"alpha": [1.0]}), {"cv": [2, 3]})
    nested.fit(X, TARGET)
    assert solved["shared"] == []
    # class_weight alone is not enough: the estimator must have an alpha or C of its own
    own_grid = fastsum.LogisticRegressionCV(Cs=[0.1, 1.0], **TIGHT)
    assert_same(*searches(own_grid, {"class_weight": [None, "balanced"]}, X, BINARY, cv=3))
    assert set(solved["shared"]) == {10}  # its own 5 folds and 2 Cs


class Powers(fastsum.Ridge):
    """A user's own estimator, with a `fit` of its own."""

    def __init__(self, alpha=1.0, power=1):
        super().__init__(alpha, **TIGHT)
        self.power = power

    def fit(self, X, y):
        return super().fit(X**self.power, y)

    def predict(self, X):
        return super().predict(X**self.power)


class Shifted(fastsum.Ridge):
    """With a `predict` of its own alone."""

    def predict(self, X):
        return super().predict(X) + 1.0


def test_what_a_subclass_does_is_done(solved):
    assert_same(*searches(Powers(), {"alpha": [0.1, 1.0], "power": [1, 3]}, X, TARGET))
    assert solved["shared"] == []
    assert_same(*searches(Shifted(**TIGHT), {"alpha": [0.1, 1.0]}, X, TARGET))
    assert solved["shared"] == [10]


@pytest.mark.parametrize("kind", [FastGridSearchCV, GridSearchCV])
@pytest.mark.parametrize("pipe", [False, True])
def test_jobs_change_nothing(kind, pipe):
    estimator = fastsum.LogisticRegression(**TIGHT)
    name = "C"
    if pipe:
        estimator, name = make_pipeline(StandardScaler(), estimator), "logisticregression__C"
    grid = {name: [0.1, 1.0]}
    two = kind(estimator, grid, n_jobs=2, cv=3, scoring="neg_log_loss").fit(X, BINARY)
    one = FastGridSearchCV(estimator, grid, cv=3, scoring="neg_log_loss").fit(X, BINARY)
    assert_same(two, one)


def test_fits_in_workers_use_one_thread():
    """n_jobs=None of an estimator is one thread where the jobs of a search run."""
    from fastsum.threads import resolve_n_threads

    threads = joblib.Parallel(n_jobs=2)(joblib.delayed(resolve_n_threads)(None) for _ in range(2))
    assert threads == [1, 1]
    scores = cross_val_score(
        FastGridSearchCV(fastsum.Ridge(**TIGHT), {"alpha": [0.1, 1.0]}), X, TARGET, n_jobs=2, cv=2
    )
    assert np.isfinite(scores).all()


def test_the_threads_of_a_shared_fit(monkeypatch):
    """The search's jobs if the estimator leaves its own open."""
    seen, solve_many = [], _many.solve_many

    def many(problems, *args, n_jobs, **kwargs):
        seen.append(n_jobs)
        return solve_many(problems, *args, n_jobs=n_jobs, **kwargs)

    monkeypatch.setattr(_many, "solve_many", many)
    for own, of_search in ((None, None), (None, 2), (1, 2)):
        FastGridSearchCV(
            fastsum.Ridge(n_jobs=own), {"alpha": [0.1, 1.0]}, n_jobs=of_search, cv=2
        ).fit(X, TARGET)
    assert seen == [None, 2, 1]


@pytest.mark.parametrize("values", [1, 10**6])
def test_margins_are_found_together(values, monkeypatch):
    """In few passes, for the very X only, with the numbers of each estimator alone."""
    models = [fastsum.LogisticRegression(C=c).fit(X, CLASSES) for c in (0.1, 1.0)]
    models.append(fastsum.FiniteSumClassifier("squared_hinge").fit(X, BINARY))
    expected = [model.decision_function(X) for model in models]
    passes, margins_of = [], _many.margins_of

    def counted(estimators, data):
        passes.append(len(estimators))
        return margins_of(estimators, data)

    monkeypatch.setattr(_many, "margins_of", counted)
    monkeypatch.setattr(_many, "SHARED_VALUES", values)
    with _many.shared_margins(models, X):
        assert passes == ([1, 1, 1] if values == 1 else [3])
        for model, scores in zip(models, expected, strict=True):
            np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-13)
            assert model.decision_function(X).shape == scores.shape
            half = model.decision_function(X[::2])
            np.testing.assert_allclose(half, scores[::2], rtol=1e-13)
    assert not any("_known_margins" in vars(model) for model in models)
    with _many.shared_margins(models, X[:, :3]), pytest.raises(ValueError, match="3 features"):
        models[0].decision_function(X[:, :3])


@pytest.mark.parametrize("pipe", [False, True])
def test_a_budget_of_memory_is_shown_and_kept(pipe, capsys):
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((300, 20)), rng.integers(0, 2, 300)
    model = make_pipeline(StandardScaler(), LogisticRegression()) if pipe else LogisticRegression()
    grid = {f"{'logisticregression__' * pipe}C": [0.1, 1.0, 10.0]}
    fits = FastGridSearchCV(model, grid, cv=3, verbose=1, memory_budget=1e8).fit(X, y)
    assert "at most about" in capsys.readouterr().err
    assert clone(fits).memory_budget == 1e8
    with pytest.raises(MemoryError, match=r"memory_budget is .* raise it, or solve fewer"):
        FastGridSearchCV(model, grid, cv=3, memory_budget=1e3).fit(X, y)
    with pytest.raises(ValueError, match="'memory_budget' parameter of FastGridSearchCV"):
        FastGridSearchCV(model, grid, memory_budget=0.0).fit(X, y)
