"""Generated click logs and the shipped example data."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fastsum.datasets import load_example, make_click_log

# --- make_click_log -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def click_log():
    return make_click_log(60_000, 20_000, random_state=0)


def test_rows_hold_exactly_one_per_field(click_log):
    X, y = click_log
    assert isinstance(X, sp.csr_matrix) and X.shape == (60_000, 20_000)
    assert X.dtype == np.float32 and X.indices.dtype == np.int32 and y.dtype == np.int8
    assert np.array_equal(np.diff(X.indptr), np.full(60_000, 39))
    assert np.all(X.data == 1)
    columns = X.indices.reshape(60_000, 39)
    assert columns.min() >= 0 and columns.max() < 20_000
    assert np.all(np.diff(columns, axis=1) > 0), "sorted and distinct"
    # fields own disjoint, contiguous, increasing ranges of columns
    assert np.all(columns.max(axis=0)[:-1] < columns.min(axis=0)[1:])


def test_flags_of_the_matrix_are_true(click_log):
    X, _ = click_log
    fresh = sp.csr_matrix((X.data, X.indices.copy(), X.indptr), shape=X.shape)
    assert fresh.has_canonical_format and X.has_canonical_format and X.has_sorted_indices


def test_fields_are_few_small_and_many_large(click_log):
    X, _ = click_log
    columns = X.indices.reshape(-1, 39)
    used = np.array([np.unique(columns[:, j]).size for j in range(39)])
    assert (used < 20).sum() >= 5 and (used > 200).sum() >= 15


def test_values_within_a_field_follow_zipf(click_log):
    """Frequencies against ranks have slope about -1 on a log-log scale."""
    X, _ = click_log
    last = X.indices.reshape(-1, 39)[:, -1]  # the largest field, of about 2,300 columns
    counts = np.sort(np.unique(last, return_counts=True)[1])[::-1]
    rank = np.arange(1, 201)
    slope = np.polyfit(np.log(rank + 0.5), np.log(counts[:200]), 1)[0]
    assert -1.15 < slope < -0.85
    # common values are spread over the field, not gathered at its start
    top = np.unique(last, return_counts=True)[0][np.argsort(-np.bincount(last)[np.unique(last)])]
    assert np.ptp(top[:20]) > 0.5 * np.ptp(last)


@pytest.mark.parametrize("rate", [0.003, 0.03, 0.5])
def test_click_rate_holds(rate):
    n = 100_000
    _, y = make_click_log(n, 5_000, click_rate=rate, random_state=1)
    assert set(np.unique(y)) == {0, 1}
    assert abs(y.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)


def test_labels_carry_signal(click_log):
    """An independent solver learns from one half what ranks the other half."""
    X, y = click_log
    model = LogisticRegression(C=0.05, max_iter=200).fit(X[:40_000], y[:40_000])
    assert roc_auc_score(y[40_000:], model.decision_function(X[40_000:])) > 0.65


def test_same_seed_same_data():
    first, again = (make_click_log(20_000, 3_000, random_state=7) for _ in range(2))
    other = make_click_log(20_000, 3_000, random_state=8)
    assert np.array_equal(first[0].indices, again[0].indices)
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0].indices, other[0].indices)


@pytest.mark.parametrize("seed", [np.random.default_rng(3), np.random.RandomState(3), None])
def test_other_kinds_of_seed(seed):
    X, y = make_click_log(100, 200, n_fields=3, random_state=seed)
    assert X.nnz == 300 and y.shape == (100,)


@pytest.mark.parametrize(("n_features", "n_fields"), [(39, 39), (40, 39), (78, 39), (1, 1), (7, 2)])
def test_smallest_sizes(n_features, n_fields):
    X, _ = make_click_log(500, n_features, n_fields=n_fields, random_state=0, dtype=np.float64)
    assert X.shape == (500, n_features) and X.dtype == np.float64
    assert np.array_equal(np.asarray(X.sum(axis=1)).ravel(), np.full(500, n_fields))
    X.check_format(full_check=True)
    # every column can occur: 500 rows see all of these few values
    assert np.unique(X.indices).size == n_features


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be an integer"),
        ({"n_features": 38}, ValueError, "raise n_features or lower n_fields"),
        ({"n_features": 2**31}, ValueError, r"below 2\*\*31"),
        ({"n_fields": 0}, ValueError, "n_fields must be at least 1"),
        ({"n_fields": True}, TypeError, "n_fields must be an integer"),
        ({"click_rate": 0.0}, ValueError, "click_rate"),
        ({"click_rate": 1.0}, ValueError, "click_rate"),
        ({"click_rate": np.nan}, ValueError, "click_rate"),
        ({"click_rate": "3%"}, ValueError, "click_rate"),
        ({"dtype": np.int32}, ValueError, "dtype must be float32 or float64"),
        ({"random_state": -1}, TypeError, "random_state"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_bad_parameters_are_named(change, error, text):
    arguments = {"n_samples": 100, "n_features": 1000} | change
    with pytest.raises(error, match=text):
        make_click_log(**arguments)


# --- load_example ---------------------------------------------------------------------------------


def test_a9a():
    data = load_example("a9a")
    assert data.data.shape == (32_561, 123) and data.data.nnz == 451_592
    assert data.data_test.shape == (16_281, 123) and data.data_test.nnz == 225_732
    # the published class counts, and the published first row: "-1 3:1 11:1 14:1 19:1 39:1 ..."
    assert {int(c): int((data.target == c).sum()) for c in (-1, 1)} == {-1: 24_720, 1: 7_841}
    assert {int(c): int((data.target_test == c).sum()) for c in (-1, 1)} == {-1: 12_435, 1: 3_846}
    assert data.target[0] == -1 and data.data[0].indices[:5].tolist() == [2, 10, 13, 18, 38]
    assert np.all(data.data.data == 1)
    assert "Becker" in data.DESCR and "creativecommons.org/licenses/by/4.0" in data.DESCR


def test_open_bandit_women():
    data = load_example("open_bandit_women")
    assert data.data.shape == (20_000, 118) and data.data.nnz == 121_027
    assert np.bincount(data.target).tolist() == [19_908, 92]
    assert np.bincount(data.policy).tolist() == [10_000, 10_000]
    # a uniformly random choice among 46 items
    assert np.allclose(data.propensity[data.policy == 0], 1 / 46)
    assert "ZOZO" in data.DESCR and "creativecommons.org/licenses/by/4.0" in data.DESCR


@pytest.mark.parametrize("name", ["a9a", "open_bandit_women"])
def test_return_X_y(name):
    X, y = load_example(name, return_X_y=True)
    bunch = load_example(name)
    assert (X != bunch.data).nnz == 0 and np.array_equal(y, bunch.target)


def test_two_loads_share_nothing():
    first = load_example("open_bandit_women")
    first.data.data[:] = 0
    assert load_example("open_bandit_women").data.data.sum() > 0


def test_unknown_example():
    with pytest.raises(ValueError, match=r"one of \['a9a', 'open_bandit_women'\], got 'iris'"):
        load_example("iris")


def test_linear_model_on_a9a_scores_as_published():
    """Linear classifiers reach 84.5 to 85.5 % on the a9a test set: the rows fit the labels."""
    data = load_example("a9a")
    model = LogisticRegression(C=1.0, max_iter=500).fit(data.data, data.target)
    assert 0.845 < model.score(data.data_test, data.target_test) < 0.855
