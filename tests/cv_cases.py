"""Data and settings that the tests of cross-validation share."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_classification

FORMS = {"dense": np.array, "sparse": sp.csr_array}
each_form = pytest.mark.parametrize("form", FORMS)
EXACT = {"tol": 1e-10, "max_iter": 5000}


def classification(n_classes, n=150, d=8, seed=0):
    X, y = make_classification(
        n,
        d,
        n_informative=5,
        n_classes=n_classes,
        weights=[0.5, 0.3][: n_classes - 1],
        flip_y=0.1,
        random_state=seed,
    )
    X[np.abs(X) < 0.3] = 0.0
    return X, np.array(["ant", "bee", "cat"])[y]


def weights_of(n):
    return np.random.default_rng(5).integers(0, 4, n).astype(float)


def regression(n=60, d=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + rng.standard_normal(d)
    X[rng.random(X.shape) < 0.4] = 0.0
    return X, X[:, :4] @ [3.0, -2.0, 1.0, 0.5] + rng.standard_normal(n) + 5.0
