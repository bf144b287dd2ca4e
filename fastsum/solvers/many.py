"""Many problems over one data set: the folds of a cross-validation times a grid of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._minimize import solve
from fastsum.solvers._warm_start import Init


def solve_many(
    problems: Sequence[Problem],
    solver: str = "auto",
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> list[Result]:
    """Minimises problems that differ in weights and penalty only, each to its own certificate.

    Parameters
    ----------
    problems : sequence of Problem
        Of the same rows, labels, loss and columns: made by `Problem.with_weights` and
        `Problem.with_penalty`. A fold is a weight of 0 on the rows held out.
    solver, tol, max_iter, n_jobs, random_state, verbose :
        As in `minimize`, for each problem.

    Returns
    -------
    list of Result
        In the order of the problems.
    """
    results: dict[int, Result] = {}
    for path in _paths(problems):
        init: Init = None
        for i in path:
            results[i] = solve(
                problems[i],
                solver,
                tol=tol,
                max_iter=max_iter,
                step_size=None,
                sampling="auto",
                init=init,
                n_jobs=n_jobs,
                random_state=random_state,
                verbose=verbose,
                keep_state=False,
            )
            init = results[i].coef, results[i].intercept
    return [results[i] for i in range(len(problems))]


def _paths(problems: Sequence[Problem]) -> list[list[int]]:
    """Problems of the same weights and l1_ratio, from the strongest penalty to the weakest."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    for i, problem in enumerate(problems):
        key = id(problem.sample_weight), np.asarray(problem.penalty.l1_ratio).tobytes()
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        members.sort(key=lambda i: -float(np.max(problems[i].penalty.alpha)))
    return list(groups.values())
