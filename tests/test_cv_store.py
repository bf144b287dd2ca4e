"""Cross-validation on a store: the folds, scores and models of the same rows in memory."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import dump_svmlight_file
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, KFold

import fastsum
from fastsum.model_selection import FastGridSearchCV
from fastsum.store import ingest

CV = KFold(3)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A store in several blocks, and its rows in memory, in its order."""
    folder, rng = tmp_path_factory.mktemp("cv"), np.random.default_rng(3)
    X = sp.random_array((300, 20), density=0.3, rng=rng, format="csr")
    y = np.digitize(X @ rng.normal(size=20) + 0.3 * rng.normal(size=300), [-0.5, 0.5])
    dump_svmlight_file(X, y, str(folder / "a.svm"), zero_based=False)
    data = ingest([folder / "a.svm"], folder / "s", n_features=20, shard_bytes=10_000)
    assert len(data) > 2
    dense = np.zeros((300, 20))
    dense[:, data.columns] = data.rows.matrix().toarray()
    return dense, data.y, data


ESTIMATORS = {
    "logistic": fastsum.LogisticRegressionCV(Cs=[0.1, 1.0], cv=CV, tol=1e-9),
    "log loss": fastsum.LogisticRegressionCV(
        Cs=[0.1, 1.0], l1_ratios=[0.5], cv=CV, tol=1e-9, scoring="neg_log_loss"
    ),
    "means": fastsum.LogisticRegressionCV(Cs=[0.1, 1.0], cv=CV, tol=1e-9, refit=False),
    "lasso": fastsum.LassoCV(alphas=8, cv=CV, tol=1e-9),
    "elastic net": fastsum.ElasticNetCV(l1_ratio=[0.3, 0.9], alphas=5, cv=CV, tol=1e-9),
    "ridge": fastsum.RidgeCV(alphas=[0.1, 10.0], cv=CV),
}


@pytest.mark.parametrize("two", [True, False], ids=["two", "three"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_store_is_searched_like_memory(pair, name, two):
    X, y, data = pair
    y = (y > 0).astype(float) if two else y.astype(float)
    whole = clone(ESTIMATORS[name]).fit(X, y)
    model = clone(ESTIMATORS[name]).fit(data, y)
    for found in ("C_", "alpha_", "alphas_", "l1_ratio_", "scores_", "mse_path_", "coefs_paths_"):
        if hasattr(whole, found):
            expected = getattr(whole, found)
            np.testing.assert_allclose(getattr(model, found), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-3, atol=1e-4)
    assert model.n_features_in_ == 20
    if not two:
        again = clone(ESTIMATORS[name]).fit(data)
        np.testing.assert_allclose(again.coef_, model.coef_, atol=1e-6)


def test_scikit_learn_chooses_the_same(pair):
    X, y, data = pair
    settings = {"Cs": [0.01, 1.0, 100.0], "cv": CV, "scoring": "neg_log_loss"}
    theirs = LogisticRegressionCV(
        **settings, tol=1e-10, max_iter=10_000, use_legacy_attributes=False, l1_ratios=(0,)
    ).fit(X, y)
    ours = fastsum.LogisticRegressionCV(**settings, tol=1e-10).fit(data)
    assert ours.C_ == theirs.C_
    np.testing.assert_allclose(ours.scores_, theirs.scores_, atol=1e-5)


def test_weights_and_default_folds(pair):
    X, y, data = pair
    s = np.random.default_rng(0).integers(0, 3, size=300).astype(float)
    a, b = (fastsum.LassoCV(alphas=5, cv=4, tol=1e-9).fit(Z, y, s) for Z in (X, data))
    np.testing.assert_allclose(b.mse_path_, a.mse_path_, rtol=1e-4)
    a, b = (
        fastsum.LogisticRegressionCV(Cs=[1e-4, 1.0, 100.0], tol=1e-9).fit(Z, y) for Z in (X, data)
    )
    np.testing.assert_allclose(b.scores_, a.scores_, atol=1e-3)


def test_very_many_columns(tmp_path):
    rng = np.random.default_rng(1)
    lines = [f"{k % 2} {1 + k % 3}:1 {4_000_000_000 + rng.integers(9)}:1" for k in range(120)]
    (tmp_path / "a.svm").write_text("\n".join(lines) + "\n")
    data = ingest([tmp_path / "a.svm"], tmp_path / "s", n_features=1 << 32)
    model = fastsum.LogisticRegressionCV(Cs=3, cv=3).fit(data)
    assert sp.issparse(model.coef_) and model.coefs_paths_ is None
    assert fastsum.LassoCV(alphas=4, cv=3).fit(data).coef_.shape == (1, 1 << 32)
    with pytest.raises(ValueError, match="use refit=True"):
        fastsum.LogisticRegressionCV(Cs=3, cv=3, refit=False).fit(data)


def test_what_is_refused_names_the_remedy(pair):
    _, _, data = pair
    with pytest.raises(ValueError, match="give cv"):
        fastsum.RidgeCV().fit(data)
    for search in (GridSearchCV, FastGridSearchCV):
        with pytest.raises(TypeError, match="LogisticRegressionCV"):
            search(fastsum.FiniteSumClassifier(), {"alpha": [1e-3, 1e-2]}).fit(data, data.y)
    with pytest.raises(ValueError, match="y has 3 values"):
        fastsum.LassoCV().fit(data, [1.0, 2.0, 3.0])
