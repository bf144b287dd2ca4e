"""Displays: lines are the data, axes say what they are, errors say what to do."""

import builtins

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt
import scipy.sparse as sp
from estimator_cases import BINARY, CLASSES, TARGET, TARGETS, X
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LassoCV

import fastsum
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


def test_more_names_than_colours():
    display = PathDisplay([1.0, 0.1], np.arange(24.0).reshape(12, 2) + 1).plot(n_names=12)
    styles = {(line.get_color(), line.get_linestyle()) for line in display.lines_}
    assert len(styles) == len(legend_of(display)) == 12


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
    with pytest.raises(TypeError, match=r"path must be what fastsum\.path returns, got Lasso"):
        PathDisplay.from_path(fastsum.Lasso().fit(X, TARGET))
    with pytest.raises(ValueError, match=r"coefs has shape \(4, 3\) for 2 alphas"):
        PathDisplay([1.0, 2.0], COEFS)


def test_displays_can_be_saved(tmp_path):
    path = PathDisplay.from_path(fastsum.path(X, TARGET, alphas=[0.1, 0.01]))
    for name, display in (
        ("path", path),
        ("cv", CVDisplay.from_estimator(LassoCV().fit(X, TARGET))),
    ):
        file = tmp_path / f"{name}.png"
        display.figure_.savefig(file)
        assert file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size > 5000
