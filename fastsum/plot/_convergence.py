"""Gap against passes or seconds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from fastsum.plot._axes import Display, axes_for

AXES = {"passes": "passes over the data", "seconds": "seconds"}


class ConvergenceDisplay(Display):
    """Certified gap of one or more fits against passes or seconds.

    Build it with `from_estimator` or `from_traces`; the constructor holds the data.

    Parameters
    ----------
    traces : dict of str to structured ndarray
        Traces (``trace_`` of an estimator, ``trace`` of a Result) by the name in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        One line a trace.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("agg")
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastsum import SAGAClassifier
    >>> from fastsum.plot import ConvergenceDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SAGAClassifier(alpha=0.1, random_state=0).fit((X - X.mean(0)) / X.std(0), y)
    >>> ConvergenceDisplay.from_estimator(model).ax_.get_yscale()
    'log'
    """

    def __init__(self, traces: Mapping[str, npt.NDArray[Any]]):
        if not isinstance(traces, Mapping):
            raise TypeError(
                f"traces must be a dict of traces by name, got {type(traces).__name__}: give "
                "{'name': trace}"
            )
        if not traces:
            raise ValueError("traces is empty; give at least one trace by name")
        for name, trace in traces.items():
            fields = getattr(trace, "dtype", np.dtype(float)).names or ()
            if not {"passes", "seconds", "gap"} <= set(fields):
                raise ValueError(
                    f"traces[{name!r}] is no trace: give trace_ of a fitted estimator or trace of "
                    "a Result"
                )
        self.traces = dict(traces)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, x: str = "passes", name: str | None = None, ax: Any = None
    ) -> ConvergenceDisplay:
        """Draws the trace of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of this library.
        x : {"passes", "seconds"}, default="passes"
            Horizontal axis.
        name : str, default=None
            Name in the legend; the estimator's class and solver if None.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : ConvergenceDisplay
        """
        check_is_fitted(estimator, "trace_")
        label = name or f"{type(estimator).__name__} ({estimator.solver_})"
        return cls({label: estimator.trace_}).plot(x=x, ax=ax)

    @classmethod
    def from_traces(
        cls, traces: Mapping[str, npt.NDArray[Any]], *, x: str = "passes", ax: Any = None
    ) -> ConvergenceDisplay:
        """Draws several traces.

        Parameters
        ----------
        traces : dict of str to structured ndarray
            Traces by the name in the legend.
        x : {"passes", "seconds"}, default="passes"
            Horizontal axis.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : ConvergenceDisplay
        """
        return cls(traces).plot(x=x, ax=ax)

    def plot(self, *, x: str = "passes", ax: Any = None) -> ConvergenceDisplay:
        """Draws the traces.

        Parameters
        ----------
        x : {"passes", "seconds"}, default="passes"
            Horizontal axis.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : ConvergenceDisplay
            This object with `ax_`, `figure_` and `lines_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if x not in AXES:
            raise ValueError(f"x={x!r} is unknown; choose one of {sorted(AXES)}")
        ax = axes_for(ax)
        self.lines_ = [self._draw(ax, name, trace, x) for name, trace in self.traces.items()]
        ax.set(xlabel=AXES[x], ylabel="certified gap", yscale="log")
        ax.legend()
        self._drawn_on(ax)
        return self

    @staticmethod
    def _draw(ax: Any, name: str, trace: npt.NDArray[Any], x: str) -> Any:
        """One line: the worst gap of the problems; gaps of exactly 0 have no place on it."""
        gap = trace["gap"] if trace["gap"].ndim == 1 else trace["gap"].max(axis=1)
        shown = np.where((gap > 0) & np.isfinite(gap), gap, np.nan)
        if np.isnan(shown).all():
            warnings.warn(
                f"{name} has no certified gap to draw: a fit has one if it has a penalty and made "
                "a pass",
                stacklevel=2,
            )
        (line,) = ax.plot(trace[x], shown, marker=".", label=name)
        return line
