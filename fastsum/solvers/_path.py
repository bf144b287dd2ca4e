"""One problem under one penalty after the other, each solved from where the last one ended.

Data, Gram matrices, working sets and preconditioners are made once. Without an l1 part the solution
is a smooth curve in log alpha: the next one is foretold on the parabola through the last three,
plus what such a parabola was wrong by on another fold, whose solution there is known. F at a few
points of that step, by its margins, tells how much of it is the start. On a click log of 60,000
rows, 10 strengths and 5 folds that takes 305 products in place of 864; 374 without the other fold,
454 with a line through the last two, 712 with the step that another fold made there, 394 with a
cubic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastsum.certificate import TINY, Certificate, Certifier
from fastsum.prepare import Prepared
from fastsum.problem import Problem
from fastsum.result import Status
from fastsum.solvers._driver import counters
from fastsum.solvers._method import Weights
from fastsum.solvers._progress import Callback, ProgressBar
from fastsum.solvers._rounds import Rounds
from fastsum.solvers.auto import Auto
from fastsum.solvers.phases._preconditioner import BlockPreconditioner
from fastsum.threads import blas_threads

FloatArray = npt.NDArray[np.float64]
POINTS, LENGTHS = 3, (1.0, 0.5)  # of the curve; of the step foretold
SAME = 0.05  # log alpha of two folds differ by the sums of their weights
# Times tol, under an l1 penalty, and at least one round: a step of a fine grid changes F by less
# than a fit may leave, and working sets are solved nearly exactly at no cost.
# Without one a step that just reaches tol leaves log losses of other rows off by sqrt(gap / alpha):
# 2e-3 under the weakest penalties at tol=1e-4, 7e-4 at half of it for 5% more time.
SHARPER, SHARPER_SMOOTH, SHARP = 1e-2, 0.5, 1e-9  # no sharper than the last on that account


@dataclass(frozen=True)
class _Solved:
    """A point of the path: weights (d + 1, K), log alpha (B,), and the block of Newton steps."""

    W: Weights
    log_alpha: FloatArray
    block: BlockPreconditioner | None


class PenaltyPath:
    """Solves the penalties of one problem in the order in which they are given.

    Parameters
    ----------
    prepared : Prepared
        Whose problem has the data, the loss and the kind of penalty of all of them.
    n_threads : int
    seed : int
    other : PenaltyPath, default=None
        One that is solved, on the same columns; best of the same penalties in the same order.
    first : int, default=0
        Penalties of `other` before the first one here.
    """

    def __init__(
        self,
        prepared: Prepared,
        n_threads: int,
        seed: int,
        other: PenaltyPath | None = None,
        first: int = 0,
    ):
        self._prepared, self._arguments = prepared, (n_threads, seed)
        self._certifier = Certifier(prepared.problem, n_threads)
        self._auto: Auto | None = None
        self._solved: list[_Solved] = []
        self._margins: list[FloatArray] = []  # of the last POINTS
        self._other = [] if other is None else other._solved[first:]

    def solve(
        self, penalised: Problem, tol: float, max_iter: int, callback: Callback | None = None
    ) -> tuple[Rounds, Status]:
        """The fit under the penalty of a problem, and why it ended."""
        problem = self._prepared.problem.with_penalty_of(penalised)
        log_alpha = np.log(np.maximum(problem.penalty.alpha, TINY))
        self._certifier.use(problem)
        if self._auto is None:
            self._auto = Auto(problem, self._certifier, *self._arguments)
        if self._solved or self._other:  # the start is near
            self._auto.use(problem)
        k, smooth = len(self._solved), not kinks(problem)
        if smooth and self._other:
            made = (point.block for point in self._other[k:])  # none where no Newton step was made
            self._auto.newton.spare = next((block for block in made if block is not None), None)
        W, start = self._start(problem, log_alpha)
        run = Rounds(
            Prepared(problem, self._prepared.columns, self._prepared.n_cols),
            self._auto,
            self._certifier,
            {"weights": W, **counters(problem)},
            min(tol, max((SHARPER if kinks(problem) else SHARPER_SMOOTH) * tol, SHARP)),
        )
        run.eager = kinks(problem)
        with ProgressBar(0, "auto", max_iter) as bar, blas_threads(1, problem.rows.nnz):
            run.begin(start)
            status = run.loop(max_iter, None, bool(self._solved), callback, bar)
        status = run.within(tol) or status
        block = self._auto.newton.lend() if smooth else None
        self._solved.append(_Solved(run.state["weights"], log_alpha, block))
        self._margins = [*self._margins, self._certifier.margins][-POINTS:]
        return run, status

    def _start(self, problem: Problem, log_alpha: FloatArray) -> tuple[Weights, Certificate]:
        """The best point that is known, and its certificate."""
        certifier = self._certifier
        if not self._solved:
            if self._other:
                W = self._other[0].W.copy()
                return W, certifier(W)
            W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
            W[-1] = certifier.null.intercept
            return W, certifier(W, np.tile(certifier.null.intercept, (problem.rows.n_rows, 1)))
        here = self._solved[-1]
        foretold = None if kinks(problem) else self._foretold(log_alpha)
        if foretold is not None:
            step, slope = foretold
            F = certifier.value_again(here.W)
            for length in LENGTHS:
                W = here.W + length * step
                if (certifier.value_along(slope, length, W) < F).all():
                    W = np.ascontiguousarray(W, dtype=problem.dtype)
                    return W, certifier(W, self._margins[-1] + length * slope)
        return here.W.copy(), certifier.again(here.W)

    def _foretold(self, log_alpha: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """The step to the next solution and its margins, if there is something to go by."""
        last, k = self._solved[-POINTS:], len(self._solved)
        x = np.array([s.log_alpha for s in last])
        known = self._other[k - len(last) : k + 1] if k < len(self._other) else []
        at = zip(known, [*x, log_alpha], strict=bool(known))
        if not all(np.allclose(other.log_alpha, here, 0, SAME) for other, here in at):
            known = []
        alone = len(last) == 1 and not known
        if alone or (np.diff(x, axis=0) >= 0).any() or (log_alpha >= x[-1]).any():
            return None
        C = len(last[-1].W[0]) // len(log_alpha)
        step, slope = -last[-1].W.astype(np.float64), -self._margins[-1]
        wrong = known[-1].W.astype(np.float64) if known else np.zeros_like(step)
        for i, (point, margins) in enumerate(zip(last, self._margins, strict=True)):
            others = np.delete(x, i, axis=0)
            weight = np.repeat(np.prod((log_alpha - others) / (x[i] - others), axis=0), C)
            step += weight * point.W
            slope += weight * margins
            if known:
                wrong -= weight * known[i].W
        if known:
            rows = self._prepared.problem.rows
            there = np.empty_like(slope)
            rows.margins(wrong, self._arguments[0], there)
            step, slope = step + wrong, slope + there
        return step, slope


def kinks(problem: Problem) -> bool:
    """Whether solutions on a path have kinks, which no polynomial foretells."""
    return bool(problem.l1.any()) or problem.penalty.bounded
