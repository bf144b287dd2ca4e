"""Displays: lines are the data, axes say what they are, errors say what to do."""

import builtins

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt
import scipy.sparse as sp
import sklearn
from estimator_cases import BINARY, CLASSES, TARGET, TARGETS, X
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNetCV, LassoCV, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

import fastsum
from fastsum.model_selection import FastGridSearchCV, one_standard_error
from fastsum.plot import ConvergenceDisplay, CVDisplay, PathDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    wide = np.random.default_rng(0).standard_normal((90, 1200))  # needs more than one certificate
    return fastsum.SAGAClassifier(alpha=0.1, tol=1e-8, random_state=0).fit(wide, BINARY)


def points(line, trace, x):
    """Coordinates of a line, and those of the trace where its gap has a place on a log axis."""
    gap = trace["gap"] if trace["gap"].ndim == 1 else trace["gap"].max(axis=1)
    shown = np.isfinite(line.get_ydata())
    drawn = np.column_stack([line.get_xdata(), line.get_ydata()])[shown]
    return drawn, np.column_stack([trace[x], gap])[(gap > 0) & np.isfinite(gap)]


@pytest.mark.parametrize(("x", "label"), [("passes", "passes over the data"), ("seconds",) * 2])
def test_from_estimator_draws_the_trace(model, x, label):
    display = ConvergenceDisplay.from_estimator(model, x=x)
    (line,) = display.lines_
    np.testing.assert_array_equal(*points(line, model.trace_, x))
    assert len(points(line, model.trace_, x)[0]) > 1
    assert display.ax_.get_xlabel() == label
    assert display.ax_.get_ylabel() == "certified gap"
    assert display.ax_.get_yscale() == "log"
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["SAGAClassifier (saga)"]
    assert display.figure_ is display.ax_.figure


def test_from_estimator_takes_a_name_and_axes(model):
    _, axes = plt.subplots()
    display = ConvergenceDisplay.from_estimator(model, name="mine", ax=axes)
    assert display.ax_ is axes and display.lines_[0].get_label() == "mine"


def test_from_traces_draws_each(model):
    other = fastsum.minimize(
        fastsum.Problem(X, BINARY, alpha=1e-3), "svrg", tol=1e-8, random_state=0
    )
    traces = {"saga": model.trace_, "svrg": other.trace}
    display = ConvergenceDisplay.from_traces(traces)
    assert [line.get_label() for line in display.lines_] == ["saga", "svrg"]
    for line, trace in zip(display.lines_, traces.values(), strict=True):
        np.testing.assert_array_equal(*points(line, trace, "passes"))


@pytest.mark.parametrize(
    "estimator",
    [
        fastsum.SAGAClassifier("logistic", alpha=1e-3, tol=1e-8).fit(X, CLASSES),
        fastsum.Ridge(tol=1e-8).fit(X, TARGETS),
    ],
    ids=["one-vs-rest", "two targets"],
)
def test_several_problems_show_the_worst_gap(estimator):
    assert estimator.trace_["gap"].ndim == 2
    (line,) = ConvergenceDisplay.from_estimator(estimator).lines_
    np.testing.assert_array_equal(*points(line, estimator.trace_, "passes"))


def test_gaps_of_zero_or_infinity_are_left_out():
    trace = fastsum.result.trace_dtype(1)
    rows = [("saga", 1.0, 0.1, 2.0, np.inf), ("saga", 2.0, 0.2, 1.0, 0.5), ("saga", 3.0, 0.3, 1, 0)]
    (line,) = ConvergenceDisplay.from_traces({"fit": np.array(rows, dtype=trace)}).lines_
    np.testing.assert_array_equal(line.get_ydata(), [np.nan, 0.5, np.nan])


def test_fit_without_a_certificate_says_so():
    noisy = np.random.default_rng(0).permutation(BINARY)
    estimator = fastsum.LogisticRegression(C=np.inf, max_iter=1000).fit(X, noisy)
    with pytest.warns(UserWarning, match="no certified gap.*penalty"):
        ConvergenceDisplay.from_estimator(estimator)


def test_plot_again_on_other_axes(model):
    display = ConvergenceDisplay({"fit": model.trace_})
    assert not hasattr(display, "ax_")
    first = display.plot().ax_
    assert display.plot(x="seconds").ax_ is not first


def test_picture_can_be_saved(model, tmp_path):
    path = tmp_path / "gap.png"
    ConvergenceDisplay.from_estimator(model).figure_.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def test_errors(model):
    with pytest.raises(NotFittedError):
        ConvergenceDisplay.from_estimator(fastsum.Lasso())
    with pytest.raises(ValueError, match=r"x='time' is unknown; choose one of \['passes', 'sec"):
        ConvergenceDisplay.from_estimator(model, x="time")
    with pytest.raises(ValueError, match="traces is empty; give at least one"):
        ConvergenceDisplay.from_traces({})
    with pytest.raises(ValueError, match=r"traces\['fit'\] is no trace: give trace_ of a fitted"):
        ConvergenceDisplay.from_traces({"fit": np.zeros(3)})
    with pytest.raises(ValueError, match=r"traces\['fit'\] is no trace"):
        ConvergenceDisplay.from_traces({"fit": model})
    with pytest.raises(TypeError, match=r"traces must be a dict.*got ndarray"):
        ConvergenceDisplay.from_traces(model.trace_)


def no_matplotlib(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize(
    "make",
    [
        lambda model: ConvergenceDisplay({"fit": model.trace_}),
        lambda model: PathDisplay([1.0], [[2.0]]),
        lambda model: CVDisplay({"": ([1.0], [[0.5, 0.6]])}),
    ],
    ids=["convergence", "path", "cv"],
)
def test_without_matplotlib(make, model, monkeypatch):
    display = make(model)
    no_matplotlib(monkeypatch)
    with pytest.raises(ImportError, match=r"pip install 'fastsum\[plot\]'"):
        display.plot()


# --- PathDisplay ----------------------------------------------------------------------------------

ALPHAS = [1.0, 0.1, 0.01]
COEFS = np.array([[0, 0, 0], [0, 2, 3], [0, 0, -5], [0, 1, 1.5]])


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("form", [np.array, sp.csc_array, sp.csr_array])
def test_path_lines_are_the_coefficients(form):
    display = PathDisplay(ALPHAS, form(COEFS)).plot(n_names=2)
    drawn = np.array([line.get_ydata() for line in display.lines_])
    np.testing.assert_array_equal(drawn, COEFS[1:])  # feature 0 is never used
    assert all(np.array_equal(line.get_xdata(), ALPHAS) for line in display.lines_)
    # the two largest have names, in the order in which they end
    assert legend_of(display) == ["x1", "x2"]
    assert display.lines_[2].get_color() == "0.75"
    assert display.ax_.get_xscale() == "log" and display.ax_.xaxis_inverted()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("alpha", "coefficient")
    assert display.figure_ is display.ax_.figure


def test_path_of_a_fit():
    found = fastsum.path(X, TARGET, alphas=np.geomspace(2, 0.01, 8))
    _, axes = plt.subplots()
    display = PathDisplay.from_path(found, ax=axes)
    assert display.ax_ is axes and display.ax_.get_title() == ""
    used = found.coefs.toarray()[np.any(found.coefs.toarray() != 0, axis=1)]
    np.testing.assert_array_equal([line.get_ydata() for line in display.lines_], used)
    display.plot(ax=axes)
    assert axes.xaxis_inverted()  # drawn twice, turned once


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")
def test_path_of_several_outputs():
    names = np.array(["ant", "bee", "cat"])
    found = fastsum.path(X, names[CLASSES], loss="multinomial", alphas=ALPHAS)
    for k, name in enumerate(names):
        display = PathDisplay.from_path(found, output=k)
        assert display.ax_.get_title() == f"class {name}"
        np.testing.assert_array_equal(display.coefs.toarray(), found.coefs[k].toarray())
    targets = fastsum.path(X, TARGETS, l1_ratio=0, alphas=[0.1, 0.0])
    with np.testing.assert_no_warnings():
        display = PathDisplay.from_path(targets, output=1)
    assert display.ax_.get_title() == "target 1"
    assert np.isnan(display.lines_[0].get_xdata()[1])  # alpha = 0 has no place
    with pytest.raises(ValueError, match="output=2 of a path with 2 outputs"):
        PathDisplay.from_path(targets, output=2)


def test_path_without_any_coefficient():
    display = PathDisplay([2.0, 1.0], sp.csc_array((3, 2))).plot()
    assert display.lines_ == [] and display.ax_.get_legend() is None


def test_path_errors():
    with pytest.raises(ValueError, match=r"coefs has shape \(4, 3\) for 2 alphas"):
        PathDisplay([1.0, 2.0], COEFS)


# --- CVDisplay ------------------------------------------------------------------------------------


def assert_curves(display, x, folds, chosen=None):
    """Lines are means over the last axis of folds (n_curves, n_values, n_folds)."""
    assert len(display.lines_) == len(display.bands_) == len(folds)
    for line, at, scores in zip(display.lines_, x, folds, strict=True):
        np.testing.assert_allclose(line.get_xdata(), at)
        np.testing.assert_allclose(line.get_ydata(), scores.mean(axis=1))
    if chosen is not None:
        np.testing.assert_allclose(np.ravel(display.chosen_.get_data()), chosen)


new_attributes = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="scikit-learn's own classes have neither alphas=int nor use_legacy_attributes",
)


@pytest.fixture
def new_shapes():
    return {"use_legacy_attributes": False, "max_iter": 5000, "scoring": "neg_log_loss"}


@new_attributes
def test_cv_of_a_classifier(new_shapes):
    model = LogisticRegressionCV(Cs=4, l1_ratios=(0.0,), **new_shapes).fit(X, BINARY)
    display = CVDisplay.from_estimator(model)
    best = model.scores_.mean(axis=(0, 1)).max()
    assert_curves(display, [model.Cs_], np.moveaxis(model.scores_, 0, 2), [model.C_, best])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("C", "neg_log_loss")
    assert not display.ax_.xaxis_inverted()
    assert legend_of(display) == [f"chosen: C = {model.C_:.3g}"]


@new_attributes
def test_cv_of_a_classifier_with_l1_ratios(new_shapes):
    model = LogisticRegressionCV(Cs=3, l1_ratios=(0.0, 0.5), solver="saga", **new_shapes)
    model.fit(X, CLASSES)
    display = CVDisplay.from_estimator(model)
    folds = np.moveaxis(model.scores_, 0, 2)
    assert_curves(display, [model.Cs_] * 2, folds, [model.C_, folds.mean(axis=2).max()])
    assert legend_of(display)[:2] == ["l1_ratio=0", "l1_ratio=0.5"]


@new_attributes
def test_cv_of_a_regressor():
    model = LassoCV(alphas=6).fit(X, TARGET)
    display = CVDisplay.from_estimator(model)
    best = model.mse_path_.mean(axis=1).min()
    assert_curves(display, [model.alphas_], model.mse_path_[None], [model.alpha_, best])
    assert display.ax_.get_ylabel() == "mean squared error" and display.ax_.xaxis_inverted()
    model = ElasticNetCV(alphas=5, l1_ratio=[0.3, 0.9]).fit(X, TARGET)
    display = CVDisplay.from_estimator(model)
    best = model.mse_path_.mean(axis=2).min()
    assert_curves(display, model.alphas_, model.mse_path_, [model.alpha_, best])
    shared = ElasticNetCV(alphas=[0.1, 1.0], l1_ratio=[0.3, 0.9]).fit(X, TARGET)
    assert_curves(CVDisplay.from_estimator(shared), [shared.alphas_] * 2, shared.mse_path_)


def test_cv_of_ridge():
    for y in (TARGET, TARGETS):
        model = RidgeCV(alphas=[0.1, 1.0, 50.0], store_cv_results=True).fit(X, y)
        errors = model.cv_results_.reshape(len(X), -1, 3).mean(axis=1)
        display = CVDisplay.from_estimator(model)
        best = errors.mean(axis=0).min()
        assert_curves(display, [model.alphas], errors.T[None], [model.alpha_, best])


def test_cv_of_our_estimators():
    """Their attributes have scikit-learn's shapes."""
    model = fastsum.LogisticRegressionCV(Cs=3, l1_ratios=(0.0, 0.5), max_iter=5000).fit(X, CLASSES)
    display = CVDisplay.from_estimator(model)
    folds = np.moveaxis(model.scores_, 0, 2)
    assert_curves(display, [model.Cs_] * 2, folds, [model.C_, folds.mean(axis=2).max()])
    assert display.ax_.get_ylabel() == "neg_log_loss"
    model = fastsum.ElasticNetCV(alphas=5, l1_ratio=[0.3, 0.9]).fit(X, TARGET)
    best = model.mse_path_.mean(axis=2).min()
    display = CVDisplay.from_estimator(model)
    assert_curves(display, model.alphas_, model.mse_path_, [model.alpha_, best])
    model = fastsum.RidgeCV(store_cv_results=True).fit(X, TARGET)
    assert_curves(CVDisplay.from_estimator(model), [model.alphas], model.cv_results_.T[None])


def test_bands_are_a_standard_error():
    scores = np.array([[0.5, 0.7, 0.9], [0.2, 0.2, 0.2]])
    display = CVDisplay({"": ([0.1, 1.0], scores)}).plot()
    error = np.sqrt(((scores[0] - 0.7) ** 2).sum() / 2) / np.sqrt(3)
    y = display.bands_[0].get_paths()[0].vertices[:, 1]
    assert (y.max(), y.min()) == (pytest.approx(0.7 + error), pytest.approx(0.2))
    assert display.chosen_ is None and display.ax_.get_legend() is None
    one_fold = CVDisplay({"": ([0.1, 1.0], scores[:, :1])}).plot()
    assert np.ptp(one_fold.bands_[0].get_paths()[0].vertices[:, 1]) == pytest.approx(0.3)


@pytest.mark.parametrize("kind", [GridSearchCV, FastGridSearchCV])
def test_search_has_a_curve_for_each_setting(kind):
    grid = [
        {"C": [1.0, 0.01, 0.1], "class_weight": [None, "balanced"]},
        {"fit_intercept": [False]},
    ]
    search = kind(fastsum.LogisticRegression(), grid, cv=3).fit(X, BINARY)
    display = CVDisplay.from_search(search)
    scores = np.column_stack([search.cv_results_[f"split{k}_test_score"] for k in range(3)])
    balanced = [c.get("class_weight") == "balanced" for c in search.cv_results_["params"]]
    order = [1, 2, 0]  # by C
    folds = [scores[:6][~np.array(balanced[:6])][order], scores[:6][balanced[:6]][order]]
    at = [search.best_params_["C"], search.best_score_]
    assert_curves(display, [[0.01, 0.1, 1.0]] * 2, folds, at)
    assert legend_of(display)[:2] == ["class_weight=None", "class_weight=balanced"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("C", "score")


def test_search_with_several_metrics():
    search = FastGridSearchCV(
        fastsum.Lasso(),
        {"alpha": ALPHAS, "tol": [1e-6]},
        scoring=["r2", "neg_max_error"],
        refit="r2",
    ).fit(X, TARGET)
    display = CVDisplay.from_search(search)
    assert display.ax_.get_ylabel() == "r2" and legend_of(display)[0] == "tol=1e-06"
    other = CVDisplay.from_search(search, metric="neg_max_error")
    means = search.cv_results_["mean_test_neg_max_error"][::-1]
    np.testing.assert_allclose(other.lines_[0].get_ydata(), means)
    with pytest.raises(
        ValueError, match=r"metric='mse' was not measured.*\['neg_max_error', 'r2'\]"
    ):
        CVDisplay.from_search(search, metric="mse")
    unchosen = FastGridSearchCV(fastsum.Lasso(), {"alpha": ALPHAS}, scoring=["r2"], refit=False)
    with pytest.raises(ValueError, match="metric=False was not measured"):
        CVDisplay.from_search(unchosen.fit(X, TARGET))
    assert CVDisplay.from_search(unchosen, metric="r2").chosen_ is None


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")
def test_search_by_the_rule_and_along_another_parameter():
    grid = {"alpha": np.logspace(-3, 1, 9)}
    search = FastGridSearchCV(fastsum.Lasso(), grid, refit=one_standard_error).fit(X, TARGET)
    chosen = CVDisplay.from_search(search).chosen_.get_xdata()
    np.testing.assert_allclose(chosen, search.best_params_["alpha"])
    search = FastGridSearchCV(fastsum.ElasticNet(alpha=0.1), {"l1_ratio": [0.1, 0.9]})
    with pytest.raises(ValueError, match=r"0 parameters called C or alpha \[\].*parameter="):
        CVDisplay.from_search(search.fit(X, TARGET))
    assert CVDisplay.from_search(search, parameter="l1_ratio").ax_.get_xlabel() == "l1_ratio"
    with pytest.raises(ValueError, match=r"parameter='beta' is not in the grid: \['l1_ratio'\]"):
        CVDisplay.from_search(search, parameter="beta")


@new_attributes
def test_cv_errors():
    with pytest.raises(NotFittedError):
        CVDisplay.from_estimator(LassoCV())
    with pytest.raises(NotFittedError):
        CVDisplay.from_search(FastGridSearchCV(fastsum.Lasso(), {"alpha": ALPHAS}))
    with pytest.raises(TypeError, match="Lasso has no cross-validation of its own"):
        CVDisplay.from_estimator(fastsum.Lasso().fit(X, TARGET))
    settings = {"l1_ratios": (0.0,), "scoring": "accuracy", "use_legacy_attributes": True}
    old = LogisticRegressionCV(Cs=2, **settings).fit(X, BINARY)
    with pytest.raises(ValueError, match="use_legacy_attributes=False"):
        CVDisplay.from_estimator(old)
    with pytest.raises(ValueError, match="store_cv_results=True"):
        CVDisplay.from_estimator(RidgeCV().fit(X, TARGET))
    with pytest.raises(ValueError, match="curves is empty"):
        CVDisplay({})
    with pytest.raises(ValueError, match=r"curves\['a'\] has \(2,\) strengths and \(3, 1\) scores"):
        CVDisplay({"a": ([1, 2], [[1], [2], [3]])})


def test_displays_can_be_saved(tmp_path):
    path = PathDisplay.from_path(fastsum.path(X, TARGET, alphas=[0.1, 0.01]))
    for name, display in (
        ("path", path),
        ("cv", CVDisplay.from_estimator(LassoCV().fit(X, TARGET))),
    ):
        file = tmp_path / f"{name}.png"
        display.figure_.savefig(file)
        assert file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size > 5000
