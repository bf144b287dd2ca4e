"""FastGridSearchCV over pipelines: transformers are fitted once a fold and setting of theirs."""

import pickle

import numpy as np
from estimator_cases import BINARY, TARGET, X
from grid_search_cases import (
    TIGHT,
    WEIGHTS,
    assert_same,
    searches,
)
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

import fastsum
from fastsum.model_selection import FastGridSearchCV


class Scaled(TransformerMixin, BaseEstimator):
    """Counts its fits."""

    fits = transforms = 0

    def __init__(self, by=1.0):
        self.by = by

    def fit(self, X, y=None):
        Scaled.fits += 1
        self.scale_ = np.abs(X).max(axis=0) * self.by
        return self

    def transform(self, X):
        Scaled.transforms += 1
        return X / self.scale_


def test_pipeline_fits_its_transformers_once_a_fold_and_setting(solved):
    pipeline = Pipeline([("scale", Scaled()), ("fit", fastsum.LogisticRegression(**TIGHT))])
    grid = {
        "scale__by": [1.0, 5.0],
        "fit__C": [0.1, 1.0, 10.0],
        "fit__fit_intercept": [True, False],
    }
    Scaled.fits = Scaled.transforms = 0
    fast = FastGridSearchCV(pipeline, grid, cv=3, refit=False, return_train_score=True)
    fast.fit(X, BINARY)
    assert Scaled.fits == 3 * 2
    assert Scaled.transforms == 3 * 2 * 3  # to fit, to score the rows held out and those of the fit
    assert solved == {"shared": [3] * (3 * 2 * 2), "alone": 0}
    plain = GridSearchCV(pipeline, grid, cv=3, refit=False, return_train_score=True)
    assert_same(fast, plain.fit(X, BINARY))
    assert Scaled.fits == 3 * 2 + 36


def test_transformers_that_work_in_place():
    """Scaling twice what was scaled already would show."""
    scaler = StandardScaler(copy=False)
    pipeline = Pipeline([("first", scaler), ("fit", fastsum.Ridge(**TIGHT))])
    grid = {"first__with_std": [True, False], "fit__alpha": [0.1, 1.0, 10.0]}
    settings = {"cv": 3, "scoring": ["r2", "neg_max_error"], "refit": "r2"}
    assert_same(*searches(pipeline, grid, X.copy(), TARGET, **settings))


def test_steps_of_a_pipeline_can_be_searched():
    """Whole steps are parameters: some are ours, some scikit-learn's, some no transformer."""
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", fastsum.Ridge(**TIGHT))])
    grid = [
        {"scale": [StandardScaler(), MaxAbsScaler(), "passthrough"], "fit__alpha": [0.1, 1.0]},
        {"fit": [fastsum.Lasso(alpha=0.1, **TIGHT), Ridge(), fastsum.Lasso(alpha=0.3, **TIGHT)]},
        {"scale": [PCA(3)], "fit": [fastsum.ElasticNet(**TIGHT)], "fit__alpha": [0.1, 0.2]},
    ]
    fast, plain = searches(pipeline, grid, X, TARGET, cv=3)
    assert_same(fast, plain)
    pickle.loads(pickle.dumps(fast)).predict(X)


def test_pipeline_with_memory_and_sample_weight(tmp_path):
    pipeline = make_pipeline(StandardScaler(), fastsum.LogisticRegression(**TIGHT))
    pipeline.set_params(memory=str(tmp_path))
    grid = {"logisticregression__C": [0.1, 1.0]}
    params = {"logisticregression__sample_weight": WEIGHTS}
    fast, plain = searches(pipeline, grid, X, BINARY, params=params, cv=3)
    assert_same(fast, plain)
