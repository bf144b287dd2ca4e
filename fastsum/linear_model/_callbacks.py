"""Scikit-learn's callbacks (from its 1.9 on) in the fits of the estimators.

A fit is a task, and each of its certificates a subtask: `ProgressBar`, `ScoringMonitor` and
`fastsum.callbacks.EarlyStopping` see the model as it would be had the fit ended there. It works for
every solver, since all of them run in one outer loop.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from fastsum.result import Result, Status, trace_dtype
from fastsum.solvers._progress import Progress

try:
    from sklearn.callback import CallbackSupportMixin as _Support
    from sklearn.callback import with_callbacks as with_callbacks
except ImportError:  # scikit-learn < 1.9

    class _Support:  # type: ignore[no-redef]
        """Says what is missing."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Sets callbacks, which takes scikit-learn 1.9.

            Parameters
            ----------
            *callbacks : callback instances
                None is accepted here.

            Returns
            -------
            self : object
                The estimator itself.

            Raises
            ------
            NotImplementedError
                If there are callbacks: update scikit-learn, or use `minimize(callback=...)`.
            """
            if callbacks:
                raise NotImplementedError(
                    "callbacks of estimators need scikit-learn 1.9 or newer: update it, or use "
                    "fastsum.minimize(problem, callback=...)"
                )
            return self

    def with_callbacks(method: Any) -> Any:
        """Leaves a fit as it is."""
        return method


CallbackSupport: Any = _Support

Unpack = Callable[[Any, Result], None]  # (estimator, result): sets coef_ and its kin


class FitTask:
    """One fit as a task of scikit-learn's callbacks; does nothing where there are none.

    Parameters
    ----------
    estimator : estimator
        What is fitted, decorated by `with_callbacks`.
    X, y : arrays
        The training rows and labels, which scores are computed on.
    sample_weight : array or None
        Passed to scores as metadata.
    unpack : callable
        Makes an estimator fitted by a `Result`.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, unpack: Unpack):
        self._estimator, self._unpack = estimator, unpack
        self._root: Any = None
        if not any(hasattr(estimator, name) for name in ("_skl_callbacks", "_parent_callback_ctx")):
            return
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._seen: dict[str, Any] = {"estimator": estimator, "X": X, "y": y, "metadata": weights}
        self._root = estimator._init_callback_context(max_subtasks=None)
        self._root.call_on_fit_task_begin(**self._seen)

    @property
    def callback(self) -> Callable[[Progress], bool] | None:
        """What the solver calls after each certificate; a true return value ends the fit."""
        return None if self._root is None else self._certified

    def _certified(self, progress: Progress) -> bool:
        task = self._root.subcontext(task_name="certificate")
        task.call_on_fit_task_begin(**self._seen)
        return bool(
            task.call_on_fit_task_end(
                **self._seen, reconstruction_attributes=lambda: self._attributes(progress)
            )
        )

    def _attributes(self, progress: Progress) -> dict[str, Any]:
        """The fitted attributes at a certificate."""
        model = copy.copy(self._estimator)
        result = Result(
            coef=progress.coef.copy(),
            intercept=progress.intercept,
            objective=progress.objective,
            dual_gap=progress.gap,
            n_iter=progress.passes,
            trace=np.empty(0, trace_dtype(np.size(progress.gap))),
            solver="",
            status=Status.STOPPED,
            message="",
            state={},
        )
        model.dual_gap_, model.objective_ = result.dual_gap, result.objective
        self._unpack(model, result)
        return {
            name: value
            for name, value in vars(model).items()
            if name.endswith("_") and not name.startswith("_")
        }

    def end(self) -> None:
        """The estimator is fitted."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._seen, reconstruction_attributes={})
