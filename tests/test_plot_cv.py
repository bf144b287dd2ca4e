"""CVDisplay: curves are the scores over the folds, the chosen point is marked."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt
import sklearn
from estimator_cases import BINARY, CLASSES, TARGET, TARGETS, X
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNetCV, LassoCV, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import fastsum
from fastsum.model_selection import FastGridSearchCV, one_standard_error
from fastsum.plot import CVDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


ALPHAS = [1.0, 0.1, 0.01]


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


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


def test_settings_of_two_steps_with_one_name():
    """Short names would make one curve of two; long ones are cut in the legend."""
    steps = [
        ("a", StandardScaler()),
        ("b", StandardScaler()),
        ("fit", fastsum.LogisticRegression()),
    ]
    grid = [
        {"fit__C": [0.1, 1.0], "a__with_std": [False]},
        {
            "fit__C": [0.1, 1.0],
            "b__with_std": [False],
            "a": [Pipeline([("x" * 70, "passthrough")])],
        },
    ]
    search = FastGridSearchCV(Pipeline(steps), grid, cv=3).fit(X, BINARY)
    display = CVDisplay.from_search(search)
    scores = np.column_stack([search.cv_results_[f"split{k}_test_score"] for k in range(3)])
    assert_curves(display, [[0.1, 1.0]] * 2, [scores[:2], scores[2:]])
    first, second, chosen = legend_of(display)
    assert first == "a__with_std=False" and second.startswith("a=Pipeline(steps=[")
    assert len(second) == 60 and second.endswith("...") and chosen.startswith("chosen: C = ")


def box_of_legend(display):
    display.figure_.canvas.draw()
    return display.ax_.get_legend().get_window_extent()


@pytest.mark.parametrize("n_curves", [2, 7])
def test_legend_hides_nothing(n_curves):
    curves = {f"setting {k} of the others": ([0.1, 1.0], [[k, k + 1]] * 2) for k in range(n_curves)}
    display = CVDisplay(curves, chosen=("setting 0 of the others", 0.1)).plot()
    legend, figure = box_of_legend(display), display.figure_.bbox
    label = display.ax_.xaxis.label.get_window_extent()
    assert legend.y1 <= label.y0 and figure.x0 <= legend.x0 and legend.x1 <= figure.x1
    assert figure.y0 <= legend.y0
    _, axes = plt.subplots()  # without a layout there is no room outside
    legend = box_of_legend(CVDisplay(curves).plot(ax=axes))
    assert axes.bbox.x0 <= legend.x0 and legend.y0 >= axes.bbox.y0


@pytest.mark.parametrize(("name", "at"), [("alpha", 0.0), ("C", np.inf)])
def test_chosen_point_off_the_axis(name, at):
    """It is named in the legend, and moves no limit."""
    curves = {"": ([at, 0.1, 1.0], [[1.0, 2.0]] * 3)}
    display = CVDisplay(curves, chosen=("", at), x_name=name).plot()
    display.figure_.canvas.draw()
    assert legend_of(display) == [f"chosen: {name} = {at:g}"]
    left, right = sorted(display.ax_.get_xlim())
    assert 0.05 < left < 0.1 and 1.0 < right < 2.0


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
    with pytest.raises(ValueError, match="RidgeCV keeps no scores of its folds: fit with cv=None"):
        CVDisplay.from_estimator(fastsum.RidgeCV(cv=3).fit(X, TARGET))
    with pytest.raises(ValueError, match="curves is empty"):
        CVDisplay({})
    with pytest.raises(ValueError, match=r"curves\['a'\] has \(2,\) strengths and \(3, 1\) scores"):
        CVDisplay({"a": ([1, 2], [[1], [2], [3]])})
