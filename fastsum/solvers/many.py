"""Many problems over one data set: the folds of a cross-validation times a grid of penalties."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from fastsum.penalties import Own
from fastsum.prepare import Prepared, prepare
from fastsum.problem import Problem
from fastsum.result import Result, Status
from fastsum.solvers._memory import Footprint
from fastsum.solvers._minimize import check_settings, result_of, seed_of
from fastsum.solvers._one_pass import quietly, solve_together
from fastsum.solvers._path import PenaltyPath, kinks
from fastsum.solvers._placement import placed_together
from fastsum.solvers._progress import Progress
from fastsum.solvers._registry import resolve_solver
from fastsum.solvers._warm_start import Init
from fastsum.solvers.auto import Auto
from fastsum.threads import blas_threads, resolve_n_threads, useful_threads

Ids = list[int]
Piece = tuple[Ids, int, int]  # a path, and of its problems the first and the one past the last


def solve_many(
    problems: Sequence[Problem],
    solver: str = "auto",
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
    n_jobs: int | None = None,
    device: str = "auto",
    random_state: Any = None,
    verbose: int = 0,
    memory_budget: float | None = None,
) -> list[Result]:
    """Minimises problems that differ in weights and penalty only, each to its own certificate.

    Problems of equal weights and l1_ratio form a path, from the strongest penalty to the weakest:
    each is solved from the solution before it. Under "auto" the data are rewritten once for all of
    them, and each path is on a copy of the rows that have a weight. Under "saga" and "svrg"
    problems share each pass where no two of them form a path.

    Parameters
    ----------
    problems : sequence of Problem
        Of the same rows, labels, loss and columns: made by `Problem.with_weights` and
        `Problem.with_penalty`. A fold is a weight of 0 on the rows held out.
    solver, tol, max_iter, n_jobs, device, random_state :
        As in `minimize`, for each problem; the rows are copied to a device once.
    verbose : int, default=0
        1 shows what memory the run takes, about, and a progress bar over the problems.
    memory_budget : float, default=None
        Bytes that the results and all that is made on the way may take: it bounds how many paths
        are solved at a time. None is a quarter of the machine's memory.

    Returns
    -------
    list of Result
        In the order of the problems.

    Warns
    -----
    ConvergenceWarning
        Once, if some problems did not reach the accuracy asked for.

    Raises
    ------
    MemoryError
        If a budget was given and one path at a time is more than it.
    """
    if not problems:
        return []
    check_settings(tol=tol, max_iter=max_iter)
    own = problems[0].penalty.own
    if any(p.penalty.own is not own and not _same_own(p.penalty.own, own) for p in problems):
        raise ValueError("penalty_factor, lower and upper must be the same for all problems")
    problems = placed_together(problems, device)
    kind, seed = resolve_solver(solver, problems[0]), seed_of(random_state)
    paths = _paths(problems)
    # a start from the solution before it saves more passes than sharing them does
    together = kind.own_weights and len(paths) == len(problems)
    results: dict[int, Result] = {}
    with tqdm(total=len(problems), desc="problems", disable=not verbose) as bar:
        if issubclass(kind, Auto) and max_iter > 0 and not problems[0].on_device:
            side_by_side = _SideBySide(
                problems, tol, max_iter, resolve_n_threads(n_jobs), seed, memory_budget
            )
            if verbose:
                bar.write(f"memory: {side_by_side.memory}", file=sys.stderr)
            for i, result in side_by_side.results():
                results[i] = result
                bar.update()
        elif together and problems[0].columns.n_problems == 1 and max_iter > 0:
            settings = {"tol": tol, "max_iter": max_iter, "n_jobs": n_jobs}
            several = solve_together(problems, kind.name, seed, settings, memory_budget)
            for i, result in several:
                results[i] = result
                bar.update()
        else:
            settings = {"tol": tol, "max_iter": max_iter, "n_jobs": n_jobs}
            for ids in paths:
                init: Init = None
                for i in ids:
                    results[i] = quietly(problems[i], kind.name, init, seed, settings)
                    init = results[i].coef, results[i].intercept
                    bar.update()
    ordered = [results[i] for i in range(len(problems))]
    _warn(ordered, tol)
    return ordered


class _SideBySide:
    """Paths under "auto", as many at a time as there are threads.

    A fit of 2 10^6 values is little faster with two threads than with one: threads inside a fit
    only where there are fewer paths than threads, and for a single path that would be left over: it
    leads, and all others set out from what it found. More that are left over are cut, so that all
    threads end at about the same time.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        tol: float,
        max_iter: int,
        n_threads: int,
        seed: int,
        memory_budget: float | None,
    ):
        self._problems, self._tol, self._max_iter, self._seed = problems, tol, max_iter, seed
        self._paths = _paths(problems)
        footprint = Footprint.of(problems, max(map(len, self._paths)))
        most = min(n_threads, len(self._paths))
        self._workers = footprint.at_a_time(most, memory_budget)
        self.memory = footprint.sentence(self._workers, memory_budget)
        size = problems[0].rows.nnz * problems[0].K
        self._inner = useful_threads(n_threads // self._workers, size)
        self._all = useful_threads(n_threads, size)
        self._shared = _shared(problems, self._all, seed)
        self._stopped = False

    def results(self) -> Iterator[tuple[int, Result]]:
        """(position of a problem, its result), as they come."""
        paths, leader = self._paths, None
        if self._leads():
            leader = yield from self._chain([(paths[0], 0, len(paths[0]))], self._all)
            paths = paths[1:]
        chains = _chains(paths, self._workers)
        if self._workers == 1:
            yield from self._chain(chains[0], self._inner)
            return
        # one limit around all: each path's own would end while others run
        with blas_threads(self._inner, np.inf), ThreadPoolExecutor(self._workers) as pool:
            done: SimpleQueue[tuple[int, Result]] = SimpleQueue()
            ends = [pool.submit(self._fill, chain, leader, done) for chain in chains]
            try:
                for end in as_completed(ends):
                    end.result()
                    while not done.empty():
                        yield done.get()
            except BaseException:  # Ctrl-C too: fits end at their next round
                self._stopped = True
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _leads(self) -> bool:
        """Whether the first path goes before the others, on all threads."""
        one_too_many = self._workers > 1 and len(self._paths) % self._workers == 1
        return one_too_many and self._all > 1 and not kinks(self._problems[0])

    def _fill(
        self, chain: list[Piece], leader: PenaltyPath | None, done: SimpleQueue[tuple[int, Result]]
    ) -> None:
        for solved in self._chain(chain, self._inner, leader):
            done.put(solved)

    def _chain(
        self, pieces: list[Piece], n_threads: int, whole: PenaltyPath | None = None
    ) -> Generator[tuple[int, Result], None, PenaltyPath | None]:
        """Paths one after the other, each by the steps of the last whole one, which it returns."""
        for ids, begin, end in pieces:
            first = len({self._problems[i].penalty.alpha.tobytes() for i in ids[:begin]})
            fold = _fold(self._shared, self._problems[ids[0]])
            # by what this thread solved only: bits never depend on time
            path = PenaltyPath(fold, n_threads, self._seed, whole, first)
            last: Result | None = None
            alpha = np.empty(0)
            for i in ids[begin:end]:
                problem = self._problems[i]
                if last is None or not np.array_equal(problem.penalty.alpha, alpha):
                    run, status = path.solve(problem, self._tol, self._max_iter, self._stop)
                    if self._stopped:
                        return None
                    last = result_of(run, problem, status, keep_state=False, warn=False)
                    alpha = problem.penalty.alpha
                yield i, last  # of equal problems the same
            whole = path if end - begin == len(ids) else whole
        return whole

    def _stop(self, progress: Progress) -> bool:
        return self._stopped


def _paths(problems: Sequence[Problem]) -> list[Ids]:
    """Problems of the same weights and l1_ratio, from the strongest penalty to the weakest.

    Problems of one fold come one path after the other; equal ones meet in a path.
    """
    groups: dict[tuple[int, bytes], Ids] = {}
    number: dict[int, int] = {}  # of the weights of an id
    distinct: list[npt.NDArray[np.float64] | None] = []
    for i, problem in enumerate(problems):
        s = problem.sample_weight
        if id(s) not in number:
            same = (k for k, other in enumerate(distinct) if _equal(s, other))
            number[id(s)] = k = next(same, len(distinct))
            if k == len(distinct):
                distinct.append(s)
        key = number[id(s)], problem.penalty.l1_ratio.tobytes()
        groups.setdefault(key, []).append(i)
    for ids in groups.values():
        ids.sort(key=lambda i: -float(np.max(problems[i].penalty.alpha)))
    return list(groups.values())


def _chains(paths: list[Ids], n_chains: int) -> list[list[Piece]]:
    """As many chains of paths, whole ones first; the paths that are left over are cut.

    Of a path in pieces the weak penalties take longer, 1.8 times on a click log, so that the first
    pieces are longer.
    """
    whole = len(paths) - len(paths) % n_chains
    chains: list[list[Piece]] = [
        [(ids, 0, len(ids)) for ids in paths[first:whole:n_chains]] for first in range(n_chains)
    ]
    left = paths[whole:]
    n_pieces = n_chains // math.gcd(n_chains, len(left)) if left and whole else 1
    for k, ids in enumerate(left):
        share = np.linspace(0.0, 1.0, n_pieces + 1) ** 0.75
        cuts = np.unique(np.rint(share * len(ids)).astype(int))
        for j, (begin, end) in enumerate(pairwise(cuts.tolist())):
            chains[(k * n_pieces + j) % n_chains].append((ids, begin, end))
    return chains


def _same_own(a: Own | None, b: Own | None) -> bool:
    return a is not None and b is not None and a.fingerprint() == b.fingerprint()


def _equal(a: npt.NDArray[np.float64] | None, b: npt.NDArray[np.float64] | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)


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
        data.on_rows(data.rows, None, s).on_weighted_rows(), shared.columns, shared.n_cols
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
