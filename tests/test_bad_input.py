"""Bad input: an error that names the argument and the remedy, and user data stay untouched."""

import numpy as np
import pytest
import scipy.sparse as sp

import fastsum

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3))
Y = np.arange(12) % 2
TARGET = X[:, 0] + 0.1 * RNG.standard_normal(12)

CLASSIFIERS = (fastsum.SAGAClassifier, fastsum.SVRGClassifier, fastsum.LogisticRegression)
REGRESSORS = (
    fastsum.SAGARegressor,
    fastsum.SVRGRegressor,
    fastsum.Ridge,
    fastsum.Lasso,
    fastsum.ElasticNet,
)
ESTIMATORS = CLASSIFIERS + REGRESSORS


def labels_for(cls):
    return Y if cls in CLASSIFIERS else TARGET


def fit_with(cls):
    """Fits an estimator class as a function of X, y and weights."""

    def fit(X, y=None, sample_weight=None):
        return cls().fit(X, labels_for(cls) if y is None else y, sample_weight=sample_weight)

    return fit


def problem(X, y=None, sample_weight=None):
    """The same through the engine."""
    return fastsum.Problem(X, Y if y is None else y, sample_weight=sample_weight)


def with_name(function, name):
    function.__name__ = name
    return function


ENTRIES = [with_name(fit_with(cls), cls.__name__) for cls in ESTIMATORS] + [problem]
each_entry = pytest.mark.parametrize("fit", ENTRIES, ids=lambda f: f.__name__)
each_estimator = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda c: c.__name__)
containers = pytest.mark.parametrize("container", [np.array, sp.csr_array, sp.csr_matrix])


# --- values of X, y and weights -------------------------------------------------------------------


@each_entry
@containers
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_nan_and_infinity_in_X(fit, container, value, word):
    bad = X.copy()
    bad[4, 1] = value
    with pytest.raises(ValueError, match=word):
        fit(container(bad))
    with pytest.raises(ValueError, match=word):
        fit(container(np.full_like(X, value)))


@each_entry
def test_nan_in_y(fit):
    y = TARGET.copy()
    y[3] = np.nan
    with pytest.raises(ValueError, match=r"y contains NaN"):
        fit(X, y)


@each_entry
@containers
@pytest.mark.parametrize(("shape", "what"), [((0, 3), "sample"), ((12, 0), "feature")])
def test_no_rows_or_no_columns(fit, container, shape, what):
    with pytest.raises(ValueError, match=rf"0 {what}\(s\).*minimum of 1"):
        fit(container(np.empty(shape)), Y[: shape[0]])


@each_entry
def test_y_of_the_wrong_length(fit):
    with pytest.raises(ValueError, match=r"\b8\b"):
        fit(X, Y[:8])


@each_entry
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(12), "sample_weight holds negative values; weights must be >= 0"),
        (np.where(np.arange(12) == 2, np.nan, 1), "sample_weight (contains|holds) NaN"),
        (np.where(np.arange(12) == 2, np.inf, 1), "sample_weight (contains|holds).*infinity"),
        (np.zeros(12), "(?i)sample.weight.*(zero for all rows|at least one non-zero)"),
        (np.ones(5), r"sample_weight.*\(5,\)"),
        (np.ones((12, 2)), "(?i)sample.weight.*(2D|shape)"),
    ],
    ids=["negative", "nan", "inf", "zero", "length", "2d"],
)
def test_weights(fit, weights, message):
    with pytest.raises(ValueError, match=message):
        fit(X, sample_weight=weights)


@each_estimator
def test_weights_whose_sum_overflows(cls):
    with pytest.raises(ValueError, match="sample_weight sums to infinity; divide"):
        fit_with(cls)(X, sample_weight=np.full(12, 1e308))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_one_class(cls):
    with pytest.raises(ValueError, match="only one class: spam"):
        cls().fit(X, np.full(12, "spam"))
    with pytest.raises(ValueError, match=r"positive weight.*only one class: 1"):
        cls().fit(X, Y, sample_weight=Y)


def test_one_class_in_a_problem():
    for weights in (Y, None):
        with pytest.raises(ValueError, match="y has a single class"):
            fastsum.Problem(X, Y if weights is not None else 0 * Y, sample_weight=weights)


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_class_weight_values(cls, weight):
    with pytest.raises(ValueError, match=r"class_weight of class 0 must be a finite number >= 0"):
        cls(class_weight={0: weight, 1: 1.0}).fit(X, Y)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_class_weights_that_leave_one_class_or_none(cls):
    with pytest.raises(ValueError, match=r"at least 2 classes.*hold only one class: 1"):
        cls(class_weight={0: 0.0, 1: 1.0}).fit(X, Y)
    with pytest.raises(ValueError, match=r"at least 2 classes.*hold only one class: none"):
        cls(class_weight={0: 0.0, 1: 0.0}).fit(X, Y)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_class_weight_without_a_class(cls):
    with pytest.raises(ValueError, match=r"class.*0.*class_weight"):
        cls(class_weight={1: 2.0, 7: 1.0}).fit(X, Y)


# --- labels and losses ----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_real_targets_for_a_classifier(cls):
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        cls().fit(X, TARGET)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_strings_for_a_regressor(cls):
    with pytest.raises(ValueError, match="'a'"):
        cls().fit(X, np.array(list("ab") * 6))


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("logistic", TARGET, r"needs labels y in .*loss='squared'"),
        ("logistic", np.arange(12) % 3, "3 distinct values.*use loss='multinomial'"),
        ("logistic", list("ab") * 6, r"needs labels y in \{-1, 1\} or \{0, 1\}"),
        ("squared_hinge", TARGET, r"loss='squared_hinge' needs labels"),
        ("multinomial", TARGET, "class codes 0, ..., C - 1; encode other"),
        ("multinomial", np.arange(12) % 2 * 2, r"classes \[1\] of y have no row.*renumber"),
        ("probit", TARGET, r"loss='probit' is unknown; choose one of .*logistic"),
    ],
)
def test_labels_that_do_not_fit_the_loss(loss, y, message):
    with pytest.raises(ValueError, match=message):
        fastsum.Problem(X, y, loss=loss)


def test_loss_of_the_other_kind():
    with pytest.raises(ValueError, match=r"'loss' parameter of SAGAClassifier.*'squared'"):
        fastsum.SAGAClassifier("squared").fit(X, Y)
    with pytest.raises(ValueError, match=r"'loss' parameter of SVRGRegressor.*'logistic'"):
        fastsum.SVRGRegressor("logistic").fit(X, TARGET)


# --- malformed sparse matrices --------------------------------------------------------------------


def broken(**arrays):
    """A CSR matrix with arrays put into it behind scipy's back."""
    matrix = sp.csr_matrix(X)
    for name, values in arrays.items():
        setattr(matrix, name, values)
    return matrix


GOOD = sp.csr_matrix(X)


def replaced(array, position, value, dtype=None):
    out = array.astype(dtype or array.dtype)
    out[position] = value
    return out


MALFORMED = {
    "index too large": (
        {"indices": replaced(GOOD.indices, 4, 99)},
        "indices of X out of range: 99 at position 4, but X has 3 columns",
    ),
    "index negative": (
        {"indices": replaced(GOOD.indices, 4, -1)},
        "indices of X out of range: -1 at position 4",
    ),
    "pointer decreases": (
        {"indptr": replaced(GOOD.indptr, 3, 2)},
        r"indptr of X \(its row pointers\) must start at 0 and never decrease.*rebuild",
    ),
    "pointer negative": ({"indptr": replaced(GOOD.indptr, 1, -3)}, "indptr of X.*never decrease"),
    "pointer does not start at 0": ({"indptr": replaced(GOOD.indptr, 0, 1)}, "must start at 0"),
    "pointer past the end": (
        {"indptr": replaced(GOOD.indptr, -1, 999)},
        "indptr of X.*reaches past the 36 stored",
    ),
    "pointer overflows": (
        {
            "indptr": replaced(GOOD.indptr, -1, 1 << 62, np.int64),
            "indices": GOOD.indices.astype(np.int64),
        },
        "indptr of X.*reaches past the 36 stored",
    ),
    "too few pointers": ({"indptr": GOOD.indptr[:4]}, "indptr of X has 4 entries.*needs 13"),
    "float indices": (
        {"indices": GOOD.indices.astype(float)},
        "indices of X must be integers, got float64: build.*int32 or int64",
    ),
    "float pointers": ({"indptr": GOOD.indptr.astype(float)}, "indptr of X must be integers"),
    "too few values": ({"data": GOOD.data[:5]}, "5 values for 36 indices; they must match"),
}


@each_entry
@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_csr(fit, fault):
    arrays, message = MALFORMED[fault]
    with pytest.raises(ValueError, match=message):
        fit(broken(**arrays))


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_csr_in_predict(fault):
    arrays, message = MALFORMED[fault]
    for model in (fastsum.LogisticRegression().fit(X, Y), fastsum.Lasso().fit(X, TARGET)):
        with pytest.raises(ValueError, match=message):
            model.predict(broken(**arrays))


@pytest.mark.parametrize("form", ["csc", "coo", "bsr"])
def test_malformed_other_formats(form):
    matrix = GOOD.asformat(form)
    if form == "coo":
        matrix.coords = (matrix.coords[0], replaced(matrix.coords[1], 4, 99))
    else:
        matrix.indices = replaced(matrix.indices, 0, 99)
    with pytest.raises(ValueError, match=r"(indices|coordinates) of X"):
        fastsum.LogisticRegression().fit(matrix, Y)


@each_entry
@pytest.mark.parametrize("form", ["csr", "coo"])
def test_more_columns_than_the_index_type_numbers(fit, form):
    d = 2**31 + 10
    ids = np.append(np.arange(11) % 3, d - 1)
    matrix = sp.coo_array((np.ones(12), (np.arange(12), ids)), shape=(12, d)).asformat(form)
    with pytest.raises(ValueError, match=r"X has 2,147,483,658 columns.*hash them to fewer"):
        fit(matrix)


# --- the user's data ------------------------------------------------------------------------------


def unsorted_with_duplicates(form):
    rows = np.repeat(np.arange(12), 4)
    columns = np.tile([2, 0, 1, 0], 12)
    matrix = sp.coo_array((RNG.standard_normal(48), (rows, columns)), shape=(12, 3))
    if form != "csr":
        return matrix.asformat(form)
    return sp.csr_array((matrix.data, columns, np.arange(0, 49, 4)), shape=(12, 3))


def arrays_of(data):
    if isinstance(data, np.ndarray):
        return [data]
    names = ("data", "indices", "indptr", "row", "col")
    return [getattr(data, name) for name in names if hasattr(data, name)]


@each_estimator
@pytest.mark.parametrize("form", ["C", "F", "int", "csr", "csc", "coo"])
def test_user_data_stay_as_they_are(cls, form):
    if form in ("csr", "csc", "coo"):
        data = unsorted_with_duplicates(form)
    else:
        data = np.array(X * 8, order="F" if form == "F" else "C")
        data = data.astype(np.int64) if form == "int" else data
    y, weights = labels_for(cls).copy(), RNG.uniform(0, 2, 12)
    before = [array.copy() for array in (*arrays_of(data), y, weights)]
    model = cls(max_iter=3, tol=1e6).fit(data, y, sample_weight=weights)
    model.predict(data)
    for old, new in zip(before, (*arrays_of(data), y, weights), strict=True):
        np.testing.assert_array_equal(old, new)
        assert old.dtype == new.dtype
