"""Scores of a cross-validation over the grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from fastsum.model_selection._rules import (
    scores_of_splits,
    standard_error,
    strength,
    value_of,
)
from fastsum.plot._axes import Display, axes_for, legend_outside, weaker_to_the_right

FloatArray = npt.NDArray[np.float64]
MAX_LABEL = 60  # characters of a name in the legend


class CVDisplay(Display):
    """Mean score over the folds against the strength of the penalty, and its standard error.

    Build it with `from_estimator` or `from_search`; the constructor holds the data. The penalty
    gets weaker to the right.

    Parameters
    ----------
    curves : dict of str to (x, scores)
        By the name in the legend: strengths, (n_values,), and scores, (n_values, n_folds).
    chosen : tuple of str and float, default=None
        Name of the curve and strength of the chosen point.
    x_name : {"alpha", "C"} or str, default="alpha"
        What the strengths are. An axis of alpha runs from greater to smaller values.
    y_name : str, default="score"
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        One line a curve.
    bands_ : list of matplotlib PolyCollection
        One band a curve: a standard error of the mean on both sides.
    chosen_ : matplotlib Line2D or None
        The mark of the chosen point.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from fastsum import ElasticNet
    >>> from fastsum.model_selection import FastGridSearchCV
    >>> from fastsum.plot import CVDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> grid = {"alpha": np.logspace(-4, 0, 9), "l1_ratio": [0.5, 0.9]}
    >>> display = CVDisplay.from_search(FastGridSearchCV(ElasticNet(), grid).fit(X, y))
    >>> [line.get_label() for line in display.lines_]
    ['l1_ratio=0.5', 'l1_ratio=0.9']
    """

    def __init__(
        self,
        curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
        *,
        chosen: tuple[str, float] | None = None,
        x_name: str = "alpha",
        y_name: str = "score",
    ):
        if not curves:
            raise ValueError("curves is empty; give at least one curve by name")
        self.curves = {
            name: (np.asarray(x, dtype=np.float64), np.asarray(scores, dtype=np.float64))
            for name, (x, scores) in curves.items()
        }
        for name, (x, scores) in self.curves.items():
            if x.ndim != 1 or scores.ndim != 2 or len(x) != len(scores):
                raise ValueError(
                    f"curves[{name!r}] has {x.shape} strengths and {scores.shape} scores; give one "
                    "row of scores a strength and one column a fold"
                )
        self.chosen, self.x_name, self.y_name = chosen, x_name, y_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> CVDisplay:
        """Draws the cross-validation of a fitted estimator with CV in its name.

        Parameters
        ----------
        estimator : estimator
            A fitted LogisticRegressionCV, LassoCV, ElasticNetCV or RidgeCV, of this library or of
            scikit-learn (LogisticRegressionCV with ``use_legacy_attributes=False``).
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : CVDisplay
        """
        check_is_fitted(estimator)
        if hasattr(estimator, "Cs_"):
            display = cls(**_of_classifier(estimator))
        elif hasattr(estimator, "mse_path_"):
            display = cls(**_of_lasso(estimator))
        elif hasattr(estimator, "alpha_"):
            display = cls(**_of_ridge(estimator))
        else:
            raise TypeError(
                f"{type(estimator).__name__} has no cross-validation of its own: give an estimator "
                "such as LassoCV, or a grid search to CVDisplay.from_search"
            )
        return display.plot(ax=ax)

    @classmethod
    def from_search(
        cls, search: Any, *, parameter: str | None = None, metric: str | None = None, ax: Any = None
    ) -> CVDisplay:
        """Draws a grid search.

        Parameters
        ----------
        search : FastGridSearchCV or GridSearchCV
            The fitted search.
        parameter : str, default=None
            The horizontal axis; the one parameter called C or alpha if None. There is a curve for
            each setting of the others.
        metric : str, default=None
            Which of several metrics; the one that chose the best candidate if None.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : CVDisplay
        """
        check_is_fitted(search, "cv_results_")
        if metric is None:
            metric = search.refit if getattr(search, "multimetric_", False) else "score"
        results = search.cv_results_
        scores = scores_of_splits(results, metric)
        name = strength(results, parameter)
        label = _Label(results["params"], name)
        rows: dict[str, list[int]] = {}
        for i, candidate in enumerate(results["params"]):
            if name in candidate:
                rows.setdefault(label(candidate), []).append(i)
        values = {i: value_of(results["params"][i], name) for ids in rows.values() for i in ids}
        curves = {}
        for curve, ids in rows.items():
            ids = sorted(ids, key=values.__getitem__)
            curves[curve] = [values[i] for i in ids], scores[:, ids].T
        best = getattr(search, "best_index_", None)
        chosen = None
        if best in values:
            chosen = label(results["params"][best]), values[best]
        scoring = search.scoring if isinstance(search.scoring, str) else "score"
        y_name = scoring if metric == "score" else metric
        return cls(curves, chosen=chosen, x_name=name, y_name=y_name).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> CVDisplay:
        """Draws the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : CVDisplay
            This object with `ax_`, `figure_`, `lines_`, `bands_` and `chosen_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_for(ax)
        self.lines_, self.bands_, self.chosen_ = [], [], None
        for name, (x, scores) in self.curves.items():
            mean, error = scores.mean(axis=1), standard_error(scores.T)
            at = np.where(x > 0, x, np.nan)
            short = name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 3]}..."
            label = short or "_mean"  # _: not in a legend
            (line,) = ax.plot(at, mean, marker=".", label=label)
            self.lines_.append(line)
            band = ax.fill_between(
                at, mean - error, mean + error, color=line.get_color(), alpha=0.15, linewidth=0
            )
            self.bands_.append(band)
        ax.set(ylabel=self.y_name)
        weaker_to_the_right(ax, self.x_name)
        if self.chosen is not None:
            self._mark(ax)
        handles = [line for line, name in zip(self.lines_, self.curves, strict=True) if name]
        if len(handles) > 1:
            handles += [self.chosen_] * (self.chosen_ is not None)
            widest = max(len(line.get_label()) for line in handles)
            legend_outside(ax, handles, "below", ncols=2 if widest <= MAX_LABEL // 2 else 1)
        elif self.chosen_ is not None or handles:
            ax.legend()
        self._drawn_on(ax)
        return self

    def _mark(self, ax: Any) -> None:
        """A line at the chosen strength, and a ring where it meets its curve."""
        name, at = self.chosen or ("", np.nan)
        x, scores = self.curves[name]
        short = self.x_name.rpartition("__")[2]
        if 0 < at < np.inf:  # else it has no place on the axis
            ax.axvline(at, color="black", linestyle="--", linewidth=0.9, zorder=0)
        on_curve = np.isclose(x, at, rtol=1e-9)
        height = scores.mean(axis=1)[on_curve][:1]
        (self.chosen_,) = ax.plot(
            [at][: len(height)],
            height,
            marker="o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=1.4,
            color="black",
            linestyle="--",
            linewidth=0.9,
            label=f"chosen: {short} = {at:.3g}",
        )


class _Label:
    """Names the settings of a candidate beside the parameter `name`, by short names if they do."""

    def __init__(self, candidates: list[dict[str, Any]], name: str):
        self.name = name
        self.count = Counter(key.rpartition("__")[2] for key in set().union(*candidates))

    def __call__(self, candidate: dict[str, Any]) -> str:
        parts = []
        for key, value in candidate.items():
            short = key.rpartition("__")[2]
            if key != self.name:
                parts.append(f"{short if self.count[short] == 1 else key}={value}")
        return " ".join(", ".join(parts).split())


def _of_classifier(estimator: Any) -> dict[str, Any]:
    """Scores (n_folds, n_l1_ratios, n_cs)."""
    if isinstance(estimator.scores_, dict):
        raise ValueError(
            "scores_ has the shapes of old: fit LogisticRegressionCV with "
            "use_legacy_attributes=False"
        )
    ratios = np.ravel(estimator.l1_ratios_)
    several = len(ratios) > 1
    names = [f"l1_ratio={ratio:g}" if several else "" for ratio in ratios]
    scores = np.moveaxis(estimator.scores_, 0, 2)
    curves = {name: (estimator.Cs_, scores[k]) for k, name in enumerate(names)}
    chosen = names[0]
    if several:
        chosen = names[int(np.argmin(np.abs(ratios - estimator.l1_ratio_)))]
    scoring = getattr(estimator, "scoring", None)
    known = isinstance(scoring, str) and scoring != "warn"
    return {
        "curves": curves,
        "chosen": (chosen, float(estimator.C_)),
        "x_name": "C",
        "y_name": scoring if known else "score",
    }


def _of_lasso(estimator: Any) -> dict[str, Any]:
    """Squared errors ([n_l1_ratios,] n_alphas, n_folds)."""
    several = estimator.mse_path_.ndim == 3
    errors = estimator.mse_path_ if several else estimator.mse_path_[None]
    alphas = np.broadcast_to(estimator.alphas_, errors.shape[:2])
    names, chosen = [""], ""
    if several:
        names = [f"l1_ratio={ratio:g}" for ratio in np.ravel(estimator.l1_ratio)]
        chosen = f"l1_ratio={estimator.l1_ratio_:g}"
    return {
        "curves": {name: (alphas[k], errors[k]) for k, name in enumerate(names)},
        "chosen": (chosen, float(estimator.alpha_)),
        "y_name": "mean squared error",
    }


def _of_ridge(estimator: Any) -> dict[str, Any]:
    """Squared errors of the rows left out, (n_samples, [n_targets,] n_alphas)."""
    errors = getattr(estimator, "cv_results_", None)
    if estimator.cv is not None:
        raise ValueError(
            f"{type(estimator).__name__} keeps no scores of its folds: fit with cv=None and "
            "store_cv_results=True, or give a grid search over alpha to CVDisplay.from_search"
        )
    if (
        errors is None
        or getattr(estimator, "scoring", None) is not None
        or np.ndim(estimator.alpha_)
    ):
        raise ValueError(
            "no squared errors were kept: fit with store_cv_results=True, scoring=None and one "
            "alpha for all targets"
        )
    errors = errors.mean(axis=1) if errors.ndim == 3 else errors
    return {
        "curves": {"": (np.ravel(estimator.alphas), errors.T)},
        "chosen": ("", float(estimator.alpha_)),
        "y_name": "mean squared error",
    }
