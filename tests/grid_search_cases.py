"""Data, settings and comparisons that the tests of grid searches share."""

import numpy as np
from estimator_cases import X
from sklearn.model_selection import GridSearchCV

from fastsum.model_selection import FastGridSearchCV

TIGHT = {"tol": 1e-10, "max_iter": 20000}
TIGHTER = {"tol": 1e-13, "max_iter": 20000}  # where coefficients or unbounded scores are compared
NAMES = np.array(["ant", "bee", "cat"])
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(0, 4, len(X)).astype(float)
GROUPS = RNG.integers(0, 9, len(X))
ALPHAS = [1e-3, 0.3, 0.03]


def assert_same(fast, plain, atol=1e-6):
    """cv_results_ and what follows from it; times are each search's own."""
    assert list(fast.cv_results_) == list(plain.cv_results_)
    for key, values in plain.cv_results_.items():
        if key.endswith("_time"):
            assert np.all(fast.cv_results_[key] >= 0)
        elif key == "params":
            np.testing.assert_equal(fast.cv_results_[key], values)
        elif key.startswith("param_"):
            np.testing.assert_array_equal(fast.cv_results_[key].mask, values.mask)
            np.testing.assert_equal(fast.cv_results_[key].tolist(), values.tolist())
        elif key.startswith("rank_"):
            np.testing.assert_array_equal(fast.cv_results_[key], values)
        else:
            np.testing.assert_allclose(fast.cv_results_[key], values, rtol=0, atol=atol)
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_", "n_splits_"):
        assert hasattr(fast, name) == hasattr(plain, name)
        if name == "best_score_" and hasattr(plain, name):
            np.testing.assert_allclose(fast.best_score_, plain.best_score_, rtol=0, atol=atol)
        elif hasattr(plain, name):
            np.testing.assert_equal(getattr(fast, name), getattr(plain, name))


def searches(estimator, grid, data, y, *, params=None, **settings):
    """Both searches, fitted."""
    kinds = FastGridSearchCV, GridSearchCV
    return [kind(estimator, grid, **settings).fit(data, y, **(params or {})) for kind in kinds]
