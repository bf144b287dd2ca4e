"""Many problems over one data set: the folds of a cross-validation times a grid of penalties."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from fastsum.prepare import Prepared, prepare
from fastsum.problem import Problem
from fastsum.result import Result, Status
from fastsum.solvers._minimize import check_settings, result_of, seed_of, solve
from fastsum.solvers._path import PenaltyPath
from fastsum.solvers._registry import resolve_solver
from fastsum.solvers._warm_start import Init
from fastsum.solvers.auto import Auto
from fastsum.threads import resolve_n_threads, useful_threads

Ids = list[int]


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

    Problems of equal weights and l1_ratio form a path, from the strongest penalty to the weakest:
    each is solved from the solution before it. Under "auto" the data are rewritten once for all of
    them, and each path is on a copy of the rows that have a weight.

    Parameters
    ----------
    problems : sequence of Problem
        Of the same rows, labels, loss and columns: made by `Problem.with_weights` and
        `Problem.with_penalty`. A fold is a weight of 0 on the rows held out.
    solver, tol, max_iter, n_jobs, random_state :
        As in `minimize`, for each problem.
    verbose : int, default=0
        1 shows a progress bar over the problems.

    Returns
    -------
    list of Result
        In the order of the problems.

    Warns
    -----
    ConvergenceWarning
        Once, if some problems did not reach the accuracy asked for.
    """
    if not problems:
        return []
    check_settings(tol=tol, max_iter=max_iter)
    kind, first = resolve_solver(solver, problems[0]), problems[0]
    seed = seed_of(random_state)
    n_threads = useful_threads(resolve_n_threads(n_jobs), first.rows.nnz * first.K)
    results: dict[int, Result] = {}
    with tqdm(total=len(problems), desc="problems", disable=not verbose) as bar:
        if issubclass(kind, Auto) and max_iter > 0:
            shared = _shared(problems, n_threads, seed)
            for ids in _paths(problems):
                fold = _fold(shared, problems[ids[0]])
                path = PenaltyPath(fold, n_threads, seed)
                for i in ids:
                    run, status = path.solve(problems[i], tol, max_iter)
                    results[i] = result_of(run, problems[i], status, keep_state=False, warn=False)
                    bar.update()
        else:
            settings = {"tol": tol, "max_iter": max_iter, "n_jobs": n_jobs, "random_state": seed}
            for ids in _paths(problems):
                init: Init = None
                for i in ids:
                    results[i] = _alone(problems[i], kind.name, init, settings)
                    init = results[i].coef, results[i].intercept
                    bar.update()
    ordered = [results[i] for i in range(len(problems))]
    _warn(ordered, tol)
    return ordered


def _alone(problem: Problem, solver: str, init: Init, settings: dict[str, Any]) -> Result:
    """One fit of a named solver."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one for all comes at the end
        return solve(
            problem,
            solver,
            step_size=None,
            sampling="auto",
            init=init,
            verbose=0,
            keep_state=False,
            **settings,
        )


def _paths(problems: Sequence[Problem]) -> list[Ids]:
    """Problems of the same weights and l1_ratio, from the strongest penalty to the weakest.

    Weights are told apart by their identity; problems of one fold come one path after the other.
    """
    groups: dict[tuple[int, bytes], Ids] = {}
    for i, problem in enumerate(problems):
        key = id(problem.sample_weight), problem.penalty.l1_ratio.tobytes()
        groups.setdefault(key, []).append(i)
    for ids in groups.values():
        ids.sort(key=lambda i: -float(np.max(problems[i].penalty.alpha)))
    return list(groups.values())


def _shared(problems: Sequence[Problem], n_threads: int, seed: int) -> Prepared:
    """The data rewritten for all problems.

    Columns are dropped, and rows, where no problem could use them: the one that stands for all has
    the largest weight of each row, the smallest sum of weights and the weakest penalty.
    """
    distinct = {id(p.sample_weight): p for p in problems}.values()
    weights = [p.sample_weight for p in distinct]
    largest: npt.NDArray[np.float64] | None = None
    if all(s is not None for s in weights):
        largest = np.max(np.array(weights), axis=0)
    elif any(s is not None for s in weights):
        ones = np.ones(problems[0].rows.n_rows)
        largest = np.max([ones if s is None else s for s in weights], axis=0)
    weakest = min(problems, key=lambda p: float(p.l1.min()))
    least = min(p.total_weight for p in distinct)
    return prepare(weakest.standing_for(largest, least), n_threads, seed)


def _fold(shared: Prepared, problem: Problem) -> Prepared:
    """The rows of one problem, and its weights on them, in the order of the shared data."""
    data, s = shared.problem, problem.sample_weight
    order = data.rows.row_order
    if s is not None and order is not None:
        s = s[order]
    return Prepared(
        data.on_rows(data.rows, data.y, s).on_weighted_rows(), shared.columns, shared.n_cols
    )


def _warn(results: Sequence[Result], tol: float) -> None:
    """One warning for all problems that fell short."""
    short = [r for r in results if r.status in (Status.MAX_ITER, Status.TIME, Status.DIVERGED)]
    if short:
        worst = max(short, key=lambda r: float(np.max(r.dual_gap)))
        warnings.warn(
            f"{len(short)} of {len(results)} problems did not reach tol={tol:g}; the worst: "
            f"{worst.message} (certified gap {float(np.max(worst.dual_gap)):.2e}). The likely "
            "cause is poor conditioning: columns of very different scale or a weak penalty. Scale "
            "the columns (StandardScaler, MaxAbsScaler), raise max_iter or raise tol",
            ConvergenceWarning,
            stacklevel=3,
        )
