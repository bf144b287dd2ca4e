"""The scikit-learn contract: checks, containers, labels, pickles, routing, documentation."""

import contextlib
import doctest
import importlib
import pickle
import pkgutil

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from estimator_cases import (
    ALL_PAIRS,
    BINARY,
    EVERY,
    PAIRS,
    TARGET,
    X,
    is_classifier,
    labels,
    make,
)
from numpydoc.validate import validate
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

import fastsum

SKLEARN = parse_version(sklearn.__version__)
each_pair = pytest.mark.parametrize(("name", "solver"), ALL_PAIRS)
each_plain_pair = pytest.mark.parametrize(("name", "solver"), PAIRS)
each_name = pytest.mark.parametrize("name", EVERY)

# --- scikit-learn's checks ------------------------------------------------------------------------

EQUIVALENCE = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def checks(*, exact):
    """(estimator, check) pairs: the equivalence checks on exact instances, else all the others."""
    settings = {"tol": 1e-14, "max_iter": 100000} if exact else {}
    for pair in ALL_PAIRS:
        for estimator, check in estimator_checks_generator(make(*pair, **settings)):
            name = check.func.__name__
            if (name in EQUIVALENCE) == exact:
                extra = ",".join(f"{k}={v}" for k, v in check.keywords.items())
                yield pytest.param(estimator, check, id="-".join([*pair, name, extra]).strip("-"))


@pytest.mark.parametrize(("estimator", "check"), list(checks(exact=False)))
def test_checks_of_default_instances(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("estimator", "check"), list(checks(exact=True)))
def test_equivalence_checks_of_exact_instances(estimator, check):
    check(estimator)


# --- containers and labels ------------------------------------------------------------------------

EXACT = {"tol": 1e-12, "random_state": 0}


def fitted(name, solver, data, y=None, **settings):
    y = labels(name, several=False) if y is None else y
    return make(name, solver, **{**EXACT, "max_iter": 5000, **settings}).fit(data, y)


def int64_csr(data):
    matrix = sp.csr_array(data)
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    return matrix


def unsorted_csr(data):
    matrix = sp.csr_array(data)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[start:stop] = matrix.indices[start:stop][::-1].copy()
        matrix.data[start:stop] = matrix.data[start:stop][::-1].copy()
    matrix.has_sorted_indices = False
    return matrix


def with_duplicates(data):
    matrix = sp.coo_array(data)
    coords = tuple(np.concatenate([c, c]) for c in matrix.coords)
    return sp.coo_array((np.tile(matrix.data / 2, 2), coords), shape=data.shape)


CONTAINERS = {
    "F order": np.asfortranarray,
    "every other row": lambda data: np.repeat(data, 2, axis=0)[::2],
    "reversed columns": lambda data: np.ascontiguousarray(data[:, ::-1])[:, ::-1],
    "list": lambda data: data.tolist(),
    "longdouble": lambda data: data.astype(np.longdouble),
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "int64 csr": int64_csr,
    "unsorted csr": unsorted_csr,
    "csc_array": sp.csc_array,
    "csc_matrix": sp.csc_matrix,
    "coo with duplicates": with_duplicates,
    "lil": sp.lil_array,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
}


@each_pair
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_containers_agree(name, solver, container):
    data = CONTAINERS[container](X)
    expected = fitted(name, solver, X)
    model = fitted(name, solver, data)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(data), expected.predict(X), rtol=1e-5, atol=1e-5)


@each_pair
@pytest.mark.parametrize("n", [1, 3, 90])
def test_unsorted_rows_are_left_alone(name, solver, n):
    """scipy sorts in place when it likes, and the rows of a fit are the user's memory."""
    data, y = unsorted_csr(X), labels(name, several=False)
    data = (
        data[:n]
        if n == 90
        else sp.csr_array(
            (data.data[: data.indptr[n]], data.indices[: data.indptr[n]], data.indptr[: n + 1])
        )
    )
    before = [array.copy() for array in (data.data, data.indices, data.indptr)]
    with contextlib.suppress(ValueError):  # one row is too few for some
        fitted(name, solver, data, y[:n]).predict(data)
    for array, was in zip((data.data, data.indices, data.indptr), before, strict=True):
        np.testing.assert_array_equal(array, was)


@each_pair
def test_read_only_memory_map(name, solver, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    y = labels(name, several=False).copy()
    y.setflags(write=False)
    model = fitted(name, solver, mapped, y)
    np.testing.assert_array_equal(model.coef_, fitted(name, solver, X).coef_)
    assert "no copy" in repr(fastsum.Problem(mapped, BINARY))


@each_pair
@pytest.mark.parametrize("kind", [np.int64, np.int8, bool])
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_integers_and_booleans(name, solver, kind, form):
    data = X.astype(kind)
    model, expected = fitted(name, solver, form(data)), fitted(name, solver, data.astype(float))
    assert model.coef_.dtype == np.float64
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-5, atol=1e-6)


@each_pair
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_float32_is_kept(name, solver, form):
    model = fitted(name, solver, form(X.astype(np.float32)), tol=1e-6)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, fitted(name, solver, X).coef_, rtol=2e-2, atol=2e-3)


@each_name
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names(name, frame):
    columns = [f"column {j}" for j in range(X.shape[1])]
    data = pd.DataFrame(X, columns=columns) if frame is pd.DataFrame else pl.DataFrame(X, columns)
    model = make(name, getattr(fastsum, name)._solver).fit(data, labels(name, several=False))
    assert list(model.feature_names_in_) == columns
    with pytest.raises(ValueError, match="feature names"):
        model.predict(data[columns[::-1]])


@pytest.mark.parametrize("name", [n for n in EVERY if is_classifier(n)])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("kind", ["str", "object", "float", "bool", "series"])
def test_labels_of_any_kind(name, several, kind):
    if kind == "bool" and several:
        return
    names = np.array(["cat", "dog", "eel"])
    codes = labels(name, several=several)
    y = {
        "str": names[codes],
        "object": names.astype(object)[codes],
        "float": codes * 2.0 - 1,
        "bool": codes > 0,
        "series": pd.Series(names[codes], dtype="category"),
    }[kind]
    solver = getattr(fastsum, name)._solver
    model, plain = make(name, solver, tol=1e-8), make(name, solver, tol=1e-8)
    model.set_params(max_iter=1000).fit(X, y)
    plain.set_params(max_iter=1000).fit(X, codes)
    np.testing.assert_array_equal(model.classes_, np.unique(np.asarray(y)))
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_array_equal(model.predict(X), model.classes_[plain.predict(X)])


# --- clone, pickle --------------------------------------------------------------------------------


@each_plain_pair
def test_pickles_hold_no_tables_and_go_on_from_the_coefficients(name, solver):
    data, y = np.tile(X, (30, 1)), np.tile(labels(name, several=False), 30)
    model = make(name, solver, warm_start=True, tol=1e-8, max_iter=3000).fit(data, y)
    text = pickle.dumps(model)
    assert len(text) < 10_000 < 8 * len(data), "the solver's tables are in the pickle"
    copy = pickle.loads(text)
    np.testing.assert_array_equal(copy.predict(data), model.predict(data))
    copy.set_params(max_iter=1, tol=1e9).fit(data, y)
    fresh = clone(copy).fit(data, y)
    assert copy.objective_ < 0.5 * (model.objective_ + fresh.objective_)


@each_plain_pair
def test_clone_is_unfitted_and_equal(name, solver):
    model = make(name, solver, tol=1e-3, warm_start=True).fit(X, labels(name))
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "coef_")
    np.testing.assert_array_equal(copy.fit(X, labels(name)).coef_, model.coef_)


# --- routing --------------------------------------------------------------------------------------


@each_plain_pair
def test_weights_are_routed_through_pipeline_and_grid_search(name, solver):
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    y = labels(name, several=False)
    grid = (
        {"C": [0.1, 1.0]} if name in ("LogisticRegression", "LinearSVC") else {"alpha": [0.01, 0.1]}
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(name, solver, tol=1e-6, max_iter=3000).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        steps = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), model)
        last = steps.steps[-1][0]
        search = GridSearchCV(steps, {f"{last}__{k}": v for k, v in grid.items()}, cv=3)
        search.fit(X, y, sample_weight=weights)
        best = search.best_estimator_
        scaled = best[0].transform(X)
        expected = clone(best[-1]).fit(scaled, y, sample_weight=weights)
    np.testing.assert_array_equal(best[-1].coef_, expected.coef_)
    assert abs(expected.coef_ - clone(best[-1]).fit(scaled, y).coef_).max() > 1e-3


# --- documentation --------------------------------------------------------------------------------


@each_name
def test_html_view_shows_parameters(name):
    html = make(name, getattr(fastsum, name)._solver, tol=0.0125)._repr_html_()
    assert name in html and "0.0125" in html
    if SKLEARN >= parse_version("1.8"):  # from then on with the descriptions
        assert "The fit ends when the certified gap" in html


def public_objects():
    read_only = {"RegularizationPath", "Result", "Status"}  # made by functions
    for name in set(fastsum.__all__) - read_only:
        if callable(getattr(fastsum, name)):
            yield f"fastsum.{name}"
    for name in EVERY:
        cls = getattr(fastsum, name)
        for method in ("fit", "predict", "decision_function", "predict_proba", "sparsify"):
            if hasattr(cls, method):
                yield f"fastsum.{name}.{method}"
    yield from ("fastsum.plot.ConvergenceDisplay", "fastsum.datasets.make_click_log")
    yield from ("fastsum.datasets.load_example", "fastsum.certificate.Certifier")
    yield from ("fastsum.plot.CVDisplay", "fastsum.plot.CVDisplay.from_search")
    yield from ("fastsum.plot.PathDisplay", "fastsum.plot.PathDisplay.from_path")
    yield "fastsum.model_selection.FastGridSearchCV"
    yield "fastsum.model_selection.one_standard_error"


# Of numpydoc's rules: parameters documented and only they, sections in order, returns described.
RULES = {"GL01", "GL06", "GL07", "GL08", "PR01", "PR02", "PR03", "PR04", "RT01", "SS01", "SS05"}
RULES -= {"GL01", "SS05"}  # the summary may stand in the first line; "Fits the model." is one


@pytest.mark.parametrize("path", sorted(set(public_objects())))
def test_docstrings_document_every_parameter(path):
    errors = [e for e in validate(path)["errors"] if e[0] in RULES]
    assert not errors


@each_name
def test_attributes_are_documented(name):
    model = make(name, getattr(fastsum, name)._solver)
    model.fit(pd.DataFrame(X).rename(columns=str), labels(name, several=False))
    documented = type(model).__doc__.split("Attributes\n")[1]
    for attribute in vars(model):
        if attribute.endswith("_") and not attribute.startswith("_"):
            assert f"\n{attribute} :" in documented, attribute
    assert "<p:" not in type(model).__doc__ and "<a:" not in type(model).__doc__


MODULES = ["fastsum", *(m.name for m in pkgutil.walk_packages(fastsum.__path__, "fastsum."))]


@pytest.mark.parametrize("module", [m for m in MODULES if not m.endswith("__main__")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_examples_in_docstrings(module):
    found = importlib.import_module(module)
    if module.endswith("_kernels"):
        return  # compiled; its functions carry no examples
    assert doctest.testmod(found).failed == 0


def test_target_column_is_taken_as_a_vector():
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        fastsum.LogisticRegression().fit(X, BINARY[:, None])
    assert fastsum.Lasso(alpha=0.1).fit(X, TARGET[:, None]).coef_.shape == (X.shape[1],)
