"""Problems over the same rows by a stochastic method, in passes that they share.

A row is read once for all of them: their weights are interleaved, (d, K), and folds are weights of
each problem. A problem that is within tol goes on until half of those beside it are, then the
others continue without it from where they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastsum.beside import beside
from fastsum.problem import Problem
from fastsum.result import Result, Status, each_of
from fastsum.solvers._memory import default_budget
from fastsum.solvers._minimize import solve
from fastsum.solvers._progress import Progress
from fastsum.solvers._warm_start import Init

# Numbers of a problem in memory at a time, of n and of d + 1: tables, margins and derivatives;
# weights, averages, gradients and the iterates that are kept.
PER_ROW, PER_WEIGHT = 8, 16


def solve_together(
    problems: Sequence[Problem],
    solver: str,
    seed: int,
    settings: dict[str, Any],
    memory_budget: float | None,
) -> Iterator[tuple[int, Result]]:
    """(position of a problem, its result); settings are tol, max_iter and n_jobs of `minimize`."""
    most = most_at_a_time(problems[0], memory_budget)
    for begin in range(0, len(problems), most):
        ids = list(range(begin, min(begin + most, len(problems))))
        for i, result in _retiring([problems[i] for i in ids], solver, seed, settings):
            yield ids[i], result


def most_at_a_time(problem: Problem, memory_budget: float | None) -> int:
    """Problems like this one that share a pass within a budget of bytes, at least 1."""
    rows, C = problem.rows, problem.columns.n_outputs
    size = 8 * C * (PER_ROW * rows.n_rows + PER_WEIGHT * (rows.n_cols + 1))
    budget = default_budget() if memory_budget is None else memory_budget
    return max(1, int(budget / size))


def _retiring(
    problems: Sequence[Problem], solver: str, seed: int, settings: dict[str, Any]
) -> Iterator[tuple[int, Result]]:
    """Problems in shared passes; those that are done leave when they are half of what is left."""
    left, made, init = list(range(len(problems))), 0, None
    traces: list[list[Any]] = [[] for _ in problems]
    while left:
        rest = {**settings, "max_iter": settings["max_iter"] - made}
        several = _pass_together([problems[i] for i in left], solver, seed, rest, init)
        for i, result in zip(left, several, strict=True):
            result.trace["passes"] += made
            traces[i].append(result.trace)
        made += several[0].n_iter
        over = made >= settings["max_iter"] or not any(r.status.reached for r in several)
        going = [] if over else [k for k, r in enumerate(several) if r.status is Status.STOPPED]
        for k, result in enumerate(several):
            if k not in going:
                trace = np.concatenate(traces[left[k]])
                yield left[k], replace(result, n_iter=made, trace=trace)
        init = _coefficients([several[k] for k in going])
        left = [left[k] for k in going]


def _pass_together(
    problems: Sequence[Problem], solver: str, seed: int, settings: dict[str, Any], init: Init
) -> list[Result]:
    """Passes until half of the problems are within tol, of one until it is."""
    several = len(problems) > 1
    problem = beside(problems) if several else problems[0]
    reached = np.zeros(len(problems), dtype=bool)

    def half_done(progress: Progress) -> bool:
        reached[:] = progress.gap <= progress.target
        return 2 * int(reached.sum()) >= len(problems)

    callback = half_done if several else None
    result = quietly(problem, solver, init, seed, {**settings, "callback": callback})
    return each_of(result, problem.columns.n_outputs, reached) if several else [result]


def quietly(
    problem: Problem, solver: str, init: Init, seed: int, settings: dict[str, Any]
) -> Result:
    """One fit of a named solver; a warning for all fits comes at their end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(
            problem,
            solver,
            step_size=None,
            sampling="auto",
            init=init,
            random_state=seed,
            verbose=0,
            keep_state=False,
            **settings,
        )


def _coefficients(results: Sequence[Result]) -> Init:
    """Where these ended, as the start of all of them together."""
    if not results:
        return None
    parts = [r.coef for r in results]
    coef = sp.hstack(parts, format="csc") if sp.issparse(parts[0]) else np.column_stack(parts)
    return coef, np.concatenate([np.atleast_1d(r.intercept) for r in results])
