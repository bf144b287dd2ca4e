"""What all estimators share: validate, build the Problem, solve, unpack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastsum.backend import DEVICES, cuda
from fastsum.data import Rows, as_rows
from fastsum.device import is_on_device, to_host
from fastsum.linear_model._callbacks import CallbackSupport, FitTask
from fastsum.problem import Problem
from fastsum.problem_parts import check_offset
from fastsum.result import Result
from fastsum.row_source import RowSource, labels_with
from fastsum.sampling import KINDS
from fastsum.solvers import solve
from fastsum.sparse_structure import check_sparse_structure
from fastsum.threads import resolve_n_threads
from fastsum.wide import is_wide, narrowed

Array = npt.NDArray[Any]
Constraints = dict[str, list[Any]]

NON_NEGATIVE = Interval(Real, 0, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")

SHARED_CONSTRAINTS: Constraints = {
    "fit_intercept": ["boolean"],
    "tol": [NON_NEGATIVE],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "n_jobs": [None, Integral],
    "device": [StrOptions(set(DEVICES))],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
}
# What belongs to the features, of all estimators that have it.
OWN_CONSTRAINTS: Constraints = {
    "penalty_factor": [None, "array-like"],
    "lower": [None, Real, "array-like"],
    "upper": [None, Real, "array-like"],
}
# What the general estimators and those named after a solver add to the drop-ins.
SOLVER_CONSTRAINTS: Constraints = {
    "alpha": [NON_NEGATIVE],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "loss_param": [None, POSITIVE],
    "sampling": [StrOptions(set(KINDS))],
    "step_size": [None, POSITIVE],
    **OWN_CONSTRAINTS,
}


class FiniteSumEstimator(CallbackSupport, BaseEstimator):
    """Base of all estimators: the road from validated arrays to fitted attributes."""

    _solver: ClassVar[str] = "auto"  # of the estimators that have no `solver` parameter
    # The HTML view explains a parameter only beside a link to its page: this one stays in place.
    _doc_link_module = "fastsum"
    _doc_link_template = "#{estimator_name}"
    # Parameters that change nothing but the weights and the penalty of the problem.
    _shared_params: ClassVar[frozenset[str]] = frozenset({"alpha", "C", "l1_ratio", "class_weight"})
    # Parameters of scikit-learn's that have no meaning here: {name: (default or
    # tuple of values that mean the default, remedy)}.
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if isinstance(state, dict):
            for name in (
                "_last",
                "_last_point",
            ):  # the solver's tables do not travel with the model
                state.pop(name, None)
        return state

    def _check_default_only(self) -> None:
        for name, (default, remedy) in self._default_only.items():
            value = getattr(self, name)
            allowed = default if isinstance(default, tuple) else (default,)
            if isinstance(value, np.ndarray) or value not in allowed:
                raise ValueError(
                    f"{name}={value!r} has no meaning in {type(self).__name__}: {remedy}"
                )

    def _arrays(self, X: Any, y: Any, *, stores: bool = False, **checks: Any) -> tuple[Any, Array]:
        """X as a numpy array, CSR or, with `stores`, as it is, and y, by scikit-learn's rules."""
        self._check_default_only()
        if self.device == "cuda":
            cuda()  # raises where there is none, before work is done that is in vain
        if is_on_device(X):
            raise TypeError(
                f"{type(self).__name__} takes X on the host here, and it lies on a CUDA device: "
                "copy it with X.cpu() or cupy.asnumpy(X); device='cuda' sends it back"
            )
        if isinstance(X, RowSource) and stores:
            self.n_features_in_ = X.rows.n_features
            return X, self._labels_of(X.rows, labels_with(X, y), **checks)
        if isinstance(X, RowSource):
            raise TypeError(
                f"{type(self).__name__} does not take a store: choose its parameters on a part of "
                "the rows, or with FiniteSumClassifier or FiniteSumRegressor and a held-out part"
            )
        check_sparse_structure(X)
        X, y = validate_data(
            self, X, y, accept_sparse="csr", accept_large_sparse=True, dtype="numeric", **checks
        )
        return X, y

    def _validate(self, X: Any, y: Any, **checks: Any) -> tuple[Rows, Array]:
        """X as Rows and y as an array, by scikit-learn's rules."""
        if isinstance(X, RowSource) or is_on_device(X):
            self._check_default_only()
            rows, y = as_rows(X), to_host(labels_with(X, y))
            self.n_features_in_ = rows.n_features
            return rows, self._labels_of(rows, y, **checks)
        X, y = self._arrays(X, y, **checks)
        return as_rows(X, validated=True), y

    @staticmethod
    def _labels_of(rows: Rows, y: Any, **checks: Any) -> Array:
        """y for rows that scikit-learn cannot look into, by its rules."""
        labels: Array = check_array(
            y,
            ensure_2d=False,
            dtype="numeric" if checks.get("y_numeric") else None,
            input_name="y",
        )
        if len(labels) != rows.n_rows:
            raise ValueError(f"y has {len(labels)} values for the {rows.n_rows} rows of X")
        return labels

    @staticmethod
    def _check_weights(sample_weight: Any, n_rows: int) -> Array | None:
        """sample_weight as float64, (n,); None stays None."""
        if sample_weight is None:
            return None
        sample_weight = to_host(sample_weight)
        weights: Array = _check_sample_weight(sample_weight, np.empty(n_rows), dtype=np.float64)
        if (weights < 0).any():
            raise ValueError("sample_weight holds negative values; weights must be >= 0")
        with np.errstate(over="ignore"):
            total = weights.sum()
        if total == 0:
            raise ValueError("sample_weight is zero for all rows; give some row a weight")
        if not np.isfinite(total):
            raise ValueError("sample_weight sums to infinity; divide the weights by their mean")
        return weights

    def _own(self) -> dict[str, Any]:
        """Factors and bounds of the features, as a Problem takes them."""
        given = {name: getattr(self, name, None) for name in OWN_CONSTRAINTS}
        if getattr(self, "positive", False):
            if given["lower"] is not None:
                raise ValueError("positive=True is lower=0: give one of the two")
            given["lower"] = 0.0
        return given

    def _solve(self, problem: Problem, task: FitTask | None = None) -> Result:
        """Minimises the problem and sets what every estimator reports."""
        result = solve(
            problem,
            getattr(self, "solver", self._solver),
            tol=self.tol,
            max_iter=1000 if self.max_iter is None else self.max_iter,
            step_size=getattr(self, "step_size", None),
            sampling=getattr(self, "sampling", "auto"),
            init=self._init(problem),
            n_jobs=self.n_jobs,
            device=self.device,
            random_state=self.random_state,
            callback=None if task is None else task.callback,
            verbose=int(self.verbose),
            keep_state=bool(self.warm_start),
        )
        if hasattr(self, "_stream"):  # of partial_fit
            del self._stream
        self._report(result)
        self._last = result if self.warm_start else None
        return result

    def _report(self, result: Result) -> None:
        """Sets what every estimator tells about its fit."""
        self.dual_gap_ = result.dual_gap
        self.objective_ = result.objective
        self.trace_ = result.trace
        self.solver_ = result.solver
        self.status_ = result.status

    def _can_share(self) -> bool:
        """Whether `solve_many` takes the settings: then fits can be made side by side."""
        return (
            (hasattr(self, "alpha") or hasattr(self, "C"))
            and getattr(self, "step_size", None) is None
            and getattr(self, "sampling", "auto") == "auto"
            and self.max_iter != 0
            and not hasattr(self, "_skl_callbacks")  # which see one fit at a time
        )

    def _init(self, problem: Problem) -> Any:
        """Where a warm start begins: the last state, or the coefficients if they were replaced."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        coef, intercept = self._starting_point(problem)
        outputs = 1 if coef.ndim == 1 else coef.shape[1]
        if (coef.shape[0], outputs) != (problem.rows.n_features, problem.K):
            return None  # other features or classes: nothing to continue from
        last = getattr(self, "_last", None)
        return last if last is not None and self._is_at_last_point() else (coef, intercept)

    def _remember_point(self) -> None:
        """Keeps a copy of the fitted point, to see on a warm start whether the user moved it."""
        if self.warm_start:
            self._last_point = self.coef_.copy(), np.array(self.intercept_)

    def _is_at_last_point(self) -> bool:
        coef, intercept = self._last_point
        if type(coef) is not type(self.coef_) or coef.shape != self.coef_.shape:
            return False
        same = (coef != self.coef_).nnz == 0 if sp.issparse(coef) else (coef == self.coef_).all()
        return bool(same) and np.array_equal(self.intercept_, intercept)

    def _starting_point(self, problem: Problem) -> tuple[Array, Array]:
        """coef_ and intercept_ as a start for the problem."""
        return self._pack()

    def _pack(self) -> tuple[Array, Array]:
        """coef_ and intercept_ as the engine has them: (d,) or (d, K), sparse if wide, and (K,)."""
        coef = self.coef_
        if sp.issparse(coef):
            if is_wide(coef.shape[1], coef.nnz // coef.shape[0]):
                return sp.csc_array(coef.T), np.asarray(self.intercept_)
            coef = coef.toarray()
        coef = np.asarray(coef)
        coef = coef[0] if coef.ndim == 2 and coef.shape[0] == 1 else coef.T
        return coef, np.asarray(getattr(self, "intercept_", 0.0))  # unset beside a given coef_

    def _margins(self, X: Any, offset: Any = None) -> Array:
        """X w + b + o, (n, K), threaded by blocks of rows."""
        check_is_fitted(self)
        known = getattr(self, "_known_margins", None)
        if known is None or known[0] is not X:
            known = X, margins_of([self], X)[0]
        margins: Array = known[1]
        given = check_offset(to_host(offset), *margins.shape)
        return margins if given is None else (margins + given).astype(margins.dtype)

    def _rows_for(self, X: Any, coefs: list[Any]) -> tuple[Rows, list[Array]]:
        """Rows to predict, by scikit-learn's rules, and coefficients (d, K) for their columns."""
        if isinstance(X, RowSource) or is_on_device(X):
            rows = as_rows(X)
            if rows.n_features != self.n_features_in_:
                raise ValueError(
                    f"X has {rows.n_features} features, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} features as input"
                )
            return rows, [rows.stored(coef) for coef in coefs]
        check_sparse_structure(X)
        X = validate_data(
            self, X, accept_sparse="csr", accept_large_sparse=True, dtype="numeric", reset=False
        )
        if not any(sp.issparse(coef) for coef in coefs):
            return as_rows(X, validated=True), coefs
        X, joined = narrowed(X, sp.hstack([sp.csc_array(coef) for coef in coefs], format="csc"))
        ends = np.cumsum([coef.shape[1] for coef in coefs])[:-1]
        return as_rows(X, validated=True), np.split(joined, ends, axis=1)


@dataclass(frozen=True)
class Part:
    """The rows `ids` of a store, to be predicted: margins are those of all, for rows stay there."""

    source: RowSource
    ids: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that margins are made of."""
        rows = self.source.rows
        return rows.n_rows, rows.n_cols


def margins_of(estimators: Sequence[FiniteSumEstimator], X: Any) -> list[Array]:
    """X w + b of fitted estimators with the same features, (n, K) each, in one pass over X."""
    if isinstance(X, Part):
        return [margins[X.ids] for margins in margins_of(estimators, X.source)]
    points = [estimator._pack() for estimator in estimators]
    given = [coef if sp.issparse(coef) else coef.reshape(len(coef), -1) for coef, _ in points]
    rows, coefs = estimators[0]._rows_for(X, given)
    ends = np.cumsum([coef.shape[1] for coef in coefs])
    W = np.empty((rows.n_cols + 1, ends[-1]), dtype=np.result_type(*coefs))
    for (_, intercept), coef, end in zip(points, coefs, ends, strict=True):
        W[:-1, end - coef.shape[1] : end] = coef
        W[-1, end - coef.shape[1] : end] = intercept
    out = np.empty((rows.n_rows, ends[-1]))
    rows.margins(W, resolve_n_threads(estimators[0].n_jobs), out)
    out = out.astype(np.result_type(rows.dtype, W.dtype), copy=False)
    return np.split(out, ends[:-1], axis=1)
