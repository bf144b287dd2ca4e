"""One fit whose course can be written down between two certificates, and go on elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._driver import Run
from fastsum.solvers._method import State
from fastsum.solvers._minimize import auto_run, check_settings, method_run, result_of
from fastsum.solvers._progress import Progress, ProgressBar
from fastsum.solvers._registry import SOLVERS, resolve_solver
from fastsum.solvers.auto import Auto
from fastsum.threads import blas_threads, useful_threads


class Resumable:
    """`minimize` for jobs.

    The memory of a fit is a flat dict of arrays, scalars and strings. A fit that goes on from it
    on the same problem, with the same settings and the same build, takes the same path to the bit
    as one that was never interrupted.

    Parameters
    ----------
    problem : Problem
    solver, tol :
        As `minimize` takes them.
    n_threads : int
    seed : int
    """

    def __init__(self, problem: Problem, solver: str, tol: float, n_threads: int, seed: int):
        check_settings(tol=tol, max_iter=1)
        n_threads = useful_threads(n_threads, problem.rows.nnz * problem.K)
        kind = resolve_solver(solver, problem)
        self._problem = problem
        self._run: Run
        if issubclass(kind, Auto):
            self._run = auto_run(problem, kind, tol, None, n_threads, seed)
        else:
            options = {
                "sampling": "auto",
                "step_size": None,
                "n_threads": n_threads,
                **kind.options,
            }
            refine = solver not in SOLVERS  # a method that "auto" leaves the problem to
            self._run = method_run(problem, kind, options, tol, None, seed, refine)

    def recall(self, memory: State) -> None:
        """Goes on from the memory of another process, once the loop runs."""
        self._run.recall(memory)

    def memory(self) -> State:
        """All that the rest of the fit depends on."""
        return self._run.memory()

    @property
    def ended(self) -> bool:
        """Whether the last certificate was the one to end with."""
        return self._run.ended

    def loop(
        self, max_iter: int, max_time: float | None, after: Callable[[Progress, bool], bool]
    ) -> Result:
        """Runs to the end, or until `after` asks for a stop.

        after: called at each certificate but the last with the progress and whether `memory` holds
        all there is to know; whether anyone asks for the memory does not change the path.
        """
        run, problem = self._run, self._problem
        size = problem.rows.nnz * problem.K
        with ProgressBar(0, run.method.name, max_iter) as bar, blas_threads(1, size):
            status = run.loop(
                max_iter, max_time, False, lambda progress: after(progress, run.settle()), bar
            )
        return result_of(run, problem, status, keep_state=False)
