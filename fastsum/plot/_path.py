"""Coefficients against the strength of the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.plot._axes import Display, axes_for, legend_outside, weaker_to_the_right

GREY = "0.75"  # of the features without a name in the legend
DASHES = "-", "--", ":", "-."  # after every ten colours


class PathDisplay(Display):
    """Coefficients along a path, against alpha on a logarithmic axis.

    Build it with `from_path`; the constructor holds the data. The penalty gets weaker to the right.
    Alphas of 0 have no place on the axis.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Strengths of the penalty.
    coefs : array-like or sparse array of shape (n_features, n_alphas)
        Coefficients, a column an alpha.
    feature_names : array-like of shape (n_features,), default=None
        Names for the legend; "x0", "x1", ... if None.
    output_name : str, default=None
        Which of several targets or classes the coefficients belong to.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        One line a feature that is ever used, in the order of the features.

    See Also
    --------
    fastsum.path : Makes a path.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> import fastsum
    >>> from sklearn.datasets import load_diabetes
    >>> from fastsum.plot import PathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> display = PathDisplay.from_path(fastsum.path(X, y, alphas=20, eps=0.01))
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()][:3]
    ['s5', 'bmi', 'bp']
    """

    def __init__(
        self,
        alphas: npt.ArrayLike,
        coefs: Any,
        *,
        feature_names: Any = None,
        output_name: str | None = None,
    ):
        self.alphas = np.asarray(alphas, dtype=np.float64)
        self.coefs: Any = sp.csr_array(coefs) if sp.issparse(coefs) else np.asarray(coefs)
        if self.coefs.ndim != 2 or self.coefs.shape[1:] != self.alphas.shape:
            raise ValueError(
                f"coefs has shape {self.coefs.shape} for {self.alphas.size} alphas; give one row a "
                "feature and one column an alpha"
            )
        self.feature_names = feature_names
        self.output_name = output_name

    @classmethod
    def from_path(
        cls, path: Any, *, output: int = 0, n_names: int = 10, ax: Any = None
    ) -> PathDisplay:
        """Draws what `fastsum.path` returned.

        Parameters
        ----------
        path : RegularizationPath
            The solutions.
        output : int, default=0
            Which target or class to draw, if there are several.
        n_names : int, default=10
            Features named in the legend, those that are the largest somewhere on the path; the
            other lines are grey.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : PathDisplay
        """
        if not hasattr(path, "coefs"):
            raise TypeError(
                f"path must be what fastsum.path returns, got {type(path).__name__}: an estimator "
                "has the coefficients of one alpha only"
            )
        several = isinstance(path.coefs, list)
        outputs = path.coefs if several else [path.coefs]
        if not -len(outputs) <= output < len(outputs):
            raise ValueError(f"output={output} of a path with {len(outputs)} outputs")
        name = None
        if several:
            name = f"target {output}" if path.classes is None else f"class {path.classes[output]}"
        display = cls(
            path.alphas, outputs[output], feature_names=path.feature_names, output_name=name
        )
        return display.plot(n_names=n_names, ax=ax)

    def plot(self, *, n_names: int = 10, ax: Any = None) -> PathDisplay:
        """Draws the coefficients.

        Parameters
        ----------
        n_names : int, default=10
            Features named in the legend.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : PathDisplay
            This object with `ax_`, `figure_` and `lines_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_for(ax)
        used, values = self._used()
        alphas = np.where(self.alphas > 0, self.alphas, np.nan)
        named = np.argsort(-np.abs(values).max(axis=1, initial=0.0), kind="stable")[:n_names]
        rank = {int(i): k for k, i in enumerate(named)}
        self.lines_ = []
        for i, line in enumerate(values):
            style: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "zorder": 1}
            if i in rank:
                label = self._name(int(used[i]))
                style = {"color": f"C{rank[i]}", "linewidth": 1.6, "zorder": 2, "label": label}
                style["linestyle"] = DASHES[rank[i] // 10 % len(DASHES)]
            self.lines_ += ax.plot(alphas, line, **style)
        ax.axhline(0.0, color="black", linewidth=0.8, zorder=0)
        ax.set(ylabel="coefficient", title=self.output_name or "")
        weaker_to_the_right(ax, "alpha")
        if len(named):  # in the order of the lines at the right end
            handles = [self.lines_[i] for i in sorted(named, key=lambda i: -values[i, -1])]
            legend_outside(ax, handles, "right")
        self._drawn_on(ax)
        return self

    def _used(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Features that are not 0 all along, and their coefficients."""
        if sp.issparse(self.coefs):
            used = np.flatnonzero(abs(self.coefs).max(axis=1).toarray())
            return used, self.coefs[used].toarray()
        used = np.flatnonzero(self.coefs.any(axis=1))
        return used, self.coefs[used]

    def _name(self, j: int) -> str:
        return f"x{j}" if self.feature_names is None else str(self.feature_names[j])
