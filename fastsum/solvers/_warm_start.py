"""Where a fit starts: a fresh point, given coefficients, or the whole state of an earlier fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._method import State, Weights
from fastsum.solvers._tables import copied

Init = Result | State | tuple[npt.ArrayLike, npt.ArrayLike] | None


KEYS = {"weights", "solver", "data", "passes", "alpha", "l1_ratio", "own", "dual"}


def seal(state: State, problem: Problem, solver: str, dual: npt.NDArray[np.float64]) -> None:
    """Marks a state with the solver, the data and the penalty it belongs to."""
    state["solver"] = solver
    state["data"] = problem.data_fingerprint()
    state["alpha"], state["l1_ratio"] = problem.penalty.alpha, problem.penalty.l1_ratio
    state["own"] = _own(problem)
    state["dual"] = dual


def _own(problem: Problem) -> int:
    """Fingerprint of the factors and bounds of the features, or of rows; 0 for none."""
    own = problem.penalty.own
    return int(problem.penalty.rows) if own is None else own.fingerprint()


def known_dual(state: State, problem: Problem) -> npt.NDArray[np.float64] | None:
    """The best dual value of a carried state; None if the penalty has changed."""
    same = np.array_equal(state["alpha"], problem.penalty.alpha) and np.array_equal(
        state["l1_ratio"], problem.penalty.l1_ratio
    )
    return state["dual"] if same and state["own"] == _own(problem) else None


def carried_state(init: Init, problem: Problem, solver: str) -> State | None:
    """A copy of the state if it belongs to this solver and these data, else None.

    Strengths may differ, for tables and gradients are of the loss alone; factors and bounds may
    not, for every point of the state lies within these.
    """
    state = init.state if isinstance(init, Result) else init
    if isinstance(init, dict) and not init.keys() >= KEYS:
        raise ValueError(
            "init is no state of fastsum.minimize (keys are missing): give the Result itself, "
            "its .state, or (coef, intercept)"
        )
    if not isinstance(state, dict) or state.get("solver") != solver:
        return None
    if state["weights"].dtype != problem.dtype or state["data"] != problem.data_fingerprint():
        return None
    if state["own"] != _own(problem):
        return None
    return {k: copied(problem, v) if isinstance(v, np.ndarray) else v for k, v in state.items()}


def null_weights(problem: Problem, null_intercept: npt.ArrayLike) -> Weights:
    """Weights (d + 1, K) of the null model on the problem's own rows."""
    W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
    W[-1] = null_intercept
    return W


def initial_weights(init: Init, problem: Problem, null_intercept: npt.ArrayLike) -> Weights:
    """Weights (d' + 1, K) to start from, on the problem's own rows: null, or those of `init`.

    Those are moved into their bounds.

    Raises
    ------
    ValueError
        If the coefficients of `init` do not have the shape of the problem.
    """
    rows, K = problem.rows, problem.K
    d, stored = rows.n_features, rows.stored
    W = np.zeros((rows.n_cols + 1, K), dtype=problem.dtype)
    if isinstance(init, Result):
        init = (init.coef, init.intercept)
    if isinstance(init, dict):  # whose weights are those of the rows it was made on
        d, stored = rows.n_cols, lambda coef: coef
        if rows.user_cols is not None and init["data"] != problem.data_fingerprint():
            raise ValueError("init is the state of a fit of other data: give the Result itself")
        init = (init["weights"][:-1], init["weights"][-1])
    if init is None:
        W[-1] = null_intercept
        return W
    if not isinstance(init, (tuple, list)) or len(init) != 2:
        raise ValueError(
            f"init must be a Result, its state or (coef, intercept), got {type(init).__name__}"
        )
    coef: Any = init[0] if sp.issparse(init[0]) else np.asarray(init[0])
    if np.size(init[1]) not in (1, K):
        raise ValueError(f"init has {np.size(init[1])} intercepts; the problem needs {K}")
    if coef.ndim == 0 or np.prod(coef.shape, dtype=object) != d * K or coef.shape[0] != d:
        raise ValueError(
            f"init has coefficients of shape {coef.shape}; the problem needs ({d}, {K})"
        )
    W[:-1] = problem.within(stored(coef).reshape(-1, K).astype(problem.dtype))
    W[-1] = init[1] if problem.fit_intercept else 0.0
    if not np.isfinite(W).all():
        raise ValueError("init holds NaN or infinity")
    return W
