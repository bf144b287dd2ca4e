"""One problem under one penalty after the other, each solved from where the last one ended.

Data, Gram matrices, working sets and preconditioners are made once. Without an l1 part the solution
is a smooth curve in log alpha: the next one is foretold on the line through the last two, whose
margins are known, and the best of a few points of it, by F, is the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import TINY, Certifier
from fastsum.prepare import Prepared
from fastsum.problem import Problem
from fastsum.result import Status
from fastsum.solvers._method import Weights
from fastsum.solvers._progress import ProgressBar
from fastsum.solvers._rounds import Rounds
from fastsum.solvers.auto import Auto
from fastsum.threads import blas_threads

FloatArray = npt.NDArray[np.float64]
LENGTHS = (1.0, 0.5)  # of the step foretold


@dataclass(frozen=True)
class _Solved:
    """A point of the path: weights (d + 1, K), their margins (n, K), and log alpha (B,)."""

    W: Weights
    margins: FloatArray
    log_alpha: FloatArray


class PenaltyPath:
    """Solves the penalties of one problem in the order in which they are given.

    Parameters
    ----------
    prepared : Prepared
        Whose problem has the data, the loss and the kind of penalty of all of them.
    n_threads : int
    seed : int
    """

    def __init__(self, prepared: Prepared, n_threads: int, seed: int):
        self._prepared, self._arguments = prepared, (n_threads, seed)
        self._certifier = Certifier(prepared.problem, n_threads)
        self._auto: Auto | None = None
        self._solved: list[_Solved] = []  # the last two

    def solve(self, penalised: Problem, tol: float, max_iter: int) -> tuple[Rounds, Status]:
        """The fit under the penalty of a problem, and why it ended."""
        problem = self._prepared.problem.with_penalty_of(penalised)
        log_alpha = np.log(np.maximum(problem.penalty.alpha, TINY))
        self._certifier.use(problem)
        if self._auto is None:
            self._auto = Auto(problem, self._certifier, *self._arguments)
        else:
            self._auto.use(problem)
        W, margins = self._start(problem, log_alpha)
        merit = np.full(problem.columns.n_problems, np.inf)
        state: dict[str, Any] = {"passes": 0, "stalled": 0, "slowed": 0, "kept": 0, "merit": merit}
        run = Rounds(
            Prepared(problem, self._prepared.columns, self._prepared.n_cols),
            self._auto,
            self._certifier,
            {"weights": W, **state},
            tol,
        )
        with ProgressBar(0, "auto", max_iter) as bar, blas_threads(1, problem.rows.nnz):
            run.certify_start(margins)
            status = run.loop(max_iter, None, bool(self._solved), None, bar)
        end = _Solved(run.state["weights"], self._certifier.margins, log_alpha)
        self._solved = [*self._solved[-1:], end]
        return run, status

    def _start(self, problem: Problem, log_alpha: FloatArray) -> tuple[Weights, FloatArray]:
        """The best point that is known, and its margins."""
        if not self._solved:
            b = self._certifier.null.intercept
            W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
            W[-1] = b
            return W, np.tile(b, (problem.rows.n_rows, 1))
        here = self._solved[-1]
        if len(self._solved) == 1 or problem.l1.any():
            return here.W.copy(), here.margins
        before, C = self._solved[0], problem.columns.n_outputs
        moved = here.log_alpha - before.log_alpha
        ratio = np.divide(
            log_alpha - here.log_alpha, moved, out=np.zeros_like(moved), where=moved != 0
        )
        ratio = np.repeat(np.clip(ratio, 0.0, 1.0), C)
        step, slope = ratio * (here.W - before.W), ratio * (here.margins - before.margins)
        F = self._certifier.value_along(slope, 0.0, here.W)
        for length in LENGTHS:
            W = here.W + length * step
            if (self._certifier.value_along(slope, length, W) < F).all():
                start = np.ascontiguousarray(W, dtype=problem.dtype)
                return start, here.margins + length * slope
        return here.W.copy(), here.margins
