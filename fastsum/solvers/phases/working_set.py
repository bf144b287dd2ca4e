"""Working sets for l1 and elastic net problems whose outputs are not coupled.

The working set S of a problem holds its support and the columns that violate |gradient_j| <= l1 the
most; it doubles until no violator is left outside. On it the quadratic model of the loss at w,

    min over x    g' x + (x - w)' H (x - w) / 2 + l1 ||x||_1 + l2 / 2 ||x||^2,
    H = (1/S) A' diag(s l''(z)) A,  A = X_S centred by what a free intercept takes,

is minimised by `_quadratic.py`: once for the squared loss, whose H is exact, kept and grown by the
new columns only; several times with a line search for the others (prox-Newton; Yuan, Ho, Lin 2012),
with curvature where a row has a slope and none, see `_curvature.py`.
Columns that cannot be in the support of a minimiser are dropped for good, by the gap-safe sphere
test (Ndiaye, Fercoq, Gramfort, Salmon 2017): c |v_j| + N_j sqrt(2 L gap) < l1, where N_j is the
weighted deviation of column j.

With factors and bounds of the features, eq. (65), each column has its own l1, a column that a bound
holds at 0 is no violator, and bounds alone, without an l1 part, are served as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._gram import Gram
from fastsum.solvers.phases._local_model import RADIUS, LocalModel, State
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import minimise_on_gram, quadratic_gap
from fastsum.solvers.phases._separate import SeparateLoss
from fastsum.solvers.phases._submatrix import Submatrix

Ids = npt.NDArray[np.int64]
LEAST, LEAST_DENSE = 512, 128  # columns of a first working set
GROWTH = 4  # times the support: columns of the next; half of that from LARGE on if they are dense
LARGE = 256
NEAR = 0.95  # of l1: a column with such a gradient may still violate it soon
PATH = 0.2  # of the largest gradient: l1 of the next subproblem on the path
SHARE = 0.1  # of what was gained: the accuracy of a subproblem that leaves violators out
# Of the gap, asked of a subproblem that holds all violators; of one on a stored Gram matrix.
REDUCTION, REDUCTION_ON_GRAM = 1e-3, 1e-2
LOOSE = 0.3  # the same for the squared loss on dense data
SMALL, EXACT = 128, 1e-9  # columns of a set whose subproblem is solved to this part of the gap
FORCING = 0.2  # of the gap at a Newton step: the accuracy of its model
WARM_RADIUS = 256.0  # margins a first step from elsewhere than 0 may move a row by
GRAM_BYTES = 1 << 26  # a Gram matrix may take this or as much as X
NEWTON_STEPS = 10
COLUMN_COST = 4  # of a stored value of a short column, in entries of a Gram matrix
SCREEN_FROM = 6  # calls: it reads X once more
# Of the gap wanted: accuracy of a subproblem that needs no more; and on a path of penalties, where
# steps are small and a set is solved nearly exactly at no cost.
PART, PART_ON_PATH = 0.3, 3e-3
SHORTEST = 1e-8  # step of a line search


class WorkingSet(Phase):
    """Growing working sets; see the module."""

    name = "working set"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        dense = not problem.rows.sparse
        self._states = [
            State(on_path=dense and problem.rows.n_cols > SMALL and problem.penalty.own is None)
            for _ in range(problem.columns.n_problems)
        ]
        self._part = PART
        self._losses: dict[int, SeparateLoss] = {}
        self._deviation: FloatArray | None = None
        self._mean: FloatArray | None = None
        self._lengths: FloatArray | None = None
        s = problem.sample_weight
        n, S = problem.rows.n_rows, problem.total_weight
        self.weight = np.full(n, 1.0 / S) if s is None else s / S
        self._gram = Gram(self.weight, problem.fit_intercept)  # the squared loss's

    def use(self, problem: Problem) -> None:
        """Sets and Gram matrices stay; what was proven to be zero is not any more."""
        super().use(problem)
        self._losses, self._part = {}, PART_ON_PATH
        for state in self._states:
            state.alive, state.screened, state.tighter = None, np.inf, 1.0
            state.on_path = False

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether outputs are separate and each problem has an l1 part, or bounds."""
        kinks = problem.penalty.bounded or bool((problem.penalty.l1 > 0).all())
        return problem.columns.n_outputs == 1 and kinks

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser on each open problem's working set, grown from the last gradient."""
        moved, cost = W.copy(), 0.0
        gradient = np.ascontiguousarray(self.certifier.gradient.T)
        for b, goal in enumerate(np.broadcast_to(target, certificate.gap.shape)):
            if certificate.gap[b] > goal or len(self._states) == 1:
                gap = float(certificate.own_gap[b])
                intercept = float(certificate.intercept[b])
                cost += self._improve_one(b, moved, gradient[b], gap, intercept, float(goal))
        return moved, max(1, min(budget, int(np.ceil(cost))))

    def _improve_one(
        self, b: int, W: Weights, gradient: FloatArray, gap: float, intercept: float, target: float
    ) -> float:
        """Moves column b of W to the minimiser on its working set; the passes that took."""
        state, l1 = self._states[b], float(self.problem.penalty.l1[b])
        score = self._scores(gradient, l1)
        self._screen(state, score, b, gap)
        state.path = PATH * min(float(score.max(initial=0.0)), state.path)
        state.on_path = state.on_path and state.path > 1.5 * l1
        if state.on_path:
            l1 = state.path
        complete = self._grow(state, score, W[:-1, b], l1) and not state.on_path
        on_gram = self.problem.loss.name == "squared" and self._sweeps_on_gram(state.ids)
        reduction = REDUCTION_ON_GRAM if on_gram else REDUCTION
        accuracy = state.tighter * max(self._part * target, reduction * gap) if complete else 0.0
        if complete and on_gram and len(state.ids) <= SMALL:
            accuracy = EXACT * gap  # costs nothing
        x = W[state.ids, b].astype(np.float64)
        start = x.copy()
        if state.calls == 1 and x.any():
            state.radius = WARM_RADIUS
        if on_gram:
            intercept += self._squared(b, state, x, gradient[state.ids], l1, accuracy)
            passes = 1.0
        else:
            intercept, passes = self._newton(b, state, x, intercept, l1, accuracy)
        if gap > target and (x == start).all() and not state.on_path:
            state.tighter *= 0.1  # the gap of the model is not the certificate's
        W[state.ids, b] = x
        W[:-1] = self.problem.within(W[:-1])  # the rounding of the dtype
        W[-1, b] = intercept if self.problem.fit_intercept else 0.0
        return passes

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """Forgets what the last step was built on; short steps again."""
        self._gram = Gram(self.weight, self.problem.fit_intercept)
        for state in self._states:
            state.gram, state.radius = None, RADIUS

    def own(self, ids: Ids) -> FloatArray | None:
        """Factor, lower and upper of some columns, (p, 3); None where there are none."""
        own = self.problem.penalty.own
        return None if own is None else np.ascontiguousarray(own.packed[ids])

    # ---- which columns

    def _scores(self, gradient: FloatArray, l1: float) -> FloatArray:
        """|gradient_j|, more than l1 where j violates optimality at 0, (d,)."""
        own = self.problem.penalty.own
        if own is None:
            return np.abs(gradient)
        # what a bound at 0 allows, less what the own l1 has more than l1
        moves = np.where(gradient < 0, own.upper > 0, own.lower < 0)
        excess = np.abs(gradient) - own.factor * l1
        score: FloatArray = np.where(moves, np.maximum(excess + l1, 0.0), 0.0)
        return score

    def _grow(self, state: State, score: FloatArray, w: npt.NDArray[Any], l1: float) -> bool:
        """Adds the support and the worst violators to the working set; whether none is left out."""
        support = np.flatnonzero(w)
        inside = np.zeros(len(w), dtype=bool)
        inside[state.ids] = True
        new = support[~inside[support]]
        inside[new] = True
        held = len(state.ids) + len(new)
        sparse = self.problem.rows.sparse
        least, growth = (LEAST, GROWTH) if sparse else (LEAST_DENSE, GROWTH)
        if not sparse and len(support) > LARGE:
            growth //= 2
        grown = max((growth - 1) * len(support), least // 2) if state.on_path else held // 2
        room = max(least - held, growth * len(support) - held, grown)
        near = NEAR * l1 if len(w) > least else 0.0  # few columns: all of them, without a copy
        if state.alive is None:
            out = np.flatnonzero(score >= near)
        else:
            out = state.alive[score[state.alive] >= near]
        out = out[~inside[out]]
        complete = len(out) <= room
        if not complete:
            worst = out[np.argpartition(-score[out], room)]
            out, complete = np.sort(worst[:room]), bool(score[worst[room]] <= l1)
        if len(new) or len(out):
            state.ids = np.concatenate([state.ids, new, out])
            state.columns = state.sample = None
        return complete

    def _screen(self, state: State, score: FloatArray, b: int, gap: float) -> None:
        """Drops columns that are zero in every minimiser."""
        state.calls += 1
        known = self.problem.loss.smooth and gap < 0.25 * state.screened
        known &= self.problem.penalty.own is None
        if state.calls < SCREEN_FROM or not known:
            return  # a short fit has no use for it
        state.screened = gap
        problem = self.problem
        l1, l2 = float(problem.penalty.l1[b]), float(problem.penalty.l2[b])
        top = float(score.max(initial=0.0))
        c = min(1.0, l1 / top) if l2 == 0 and top > 0 else 1.0
        if self._deviation is None:
            self._measure_columns()
        assert self._deviation is not None
        slope = abs(float(self.weight @ self.certifier.derivatives[:, b]))
        radius = np.sqrt(2.0 * problem.loss.curvature * gap)
        alive = slice(None) if state.alive is None else state.alive
        bound = c * score[alive] + (radius * (1 + 1e-9)) * self._deviation[alive]
        if problem.fit_intercept and slope > 0:
            bound += slope * np.abs(self._means()[alive])
        kept = np.flatnonzero(bound >= l1 * (1 - 1e-9))
        if len(kept) < 0.5 * len(bound):
            state.alive = kept if state.alive is None else state.alive[kept]

    def _measure_columns(self) -> None:
        """Weighted deviations of the columns; plain norms without an intercept."""
        rows, weight = self.problem.rows, self.weight[:, None]
        squares = rows.weighted_squares(weight, self.n_threads)[:, 0]
        if self.problem.fit_intercept:
            # the rounding of both sums stays inside the norm
            squares -= self._means() ** 2 * (1 - 1e-9)
            np.maximum(squares, 0.0, out=squares)
        self._deviation = np.sqrt(squares, out=squares)

    def _means(self) -> FloatArray:
        """Weighted means of the columns; 0 without an intercept."""
        rows = self.problem.rows
        if self._mean is None and self.problem.fit_intercept:
            self._mean = rows.transposed(self.weight[:, None], self.n_threads)[:, 0]
        elif self._mean is None:
            self._mean = np.zeros(rows.n_cols)
        return self._mean

    def fits(self, p: int) -> bool:
        """Whether a Gram matrix of p columns is small, absolutely or beside X."""
        rows = self.problem.rows
        held = rows.nnz * (4 if rows.storage == "ones" else rows.dtype.itemsize)
        return 8 * p * p <= max(GRAM_BYTES, held)

    def _sweeps_on_gram(self, ids: Ids) -> bool:
        """Whether sweeps cost less on a Gram matrix of `ids` than on these columns themselves."""
        p, rows = len(ids), self.problem.rows
        if not self.fits(p):
            return False
        if not rows.sparse or p <= LEAST:
            return True
        if self._lengths is None:
            self._lengths = rows.column_mass(np.ones(rows.n_rows))
        return p * p <= COLUMN_COST * self._lengths[ids].sum()

    # ---- the squared loss

    def _squared(
        self, b: int, state: State, x: FloatArray, q: FloatArray, l1: float, accuracy: float
    ) -> float:
        """Moves x to the minimiser on the working set; the change of the intercept."""
        penalty, u = self.problem.penalty, self.certifier.derivatives[:, b]
        gram = self._gram
        new = np.setdiff1d(state.ids, gram.ids, assume_unique=True)
        if len(new):
            union = np.concatenate([gram.ids, new])
            rows = self.problem.rows
            # what dense parts hold is a part of X only where it is wide
            if len(gram.ids) if rows.sparse else rows.few_rows:
                gram.add(rows, union, self._means()[union], self.n_threads)
            else:
                gram.grow(Submatrix(rows, union, self.n_threads), union)
        H, mean = gram.of(state.ids)
        start = x.copy()
        size = float(self.weight @ (u * u))
        l2 = float(penalty.l2[b])
        share = SHARE if self.problem.rows.sparse else LOOSE
        own = self.own(state.ids)
        accuracy = accuracy or share * quadratic_gap(x, q, l1, l2, size, own, H.diagonal().copy())
        minimise_on_gram(H, q, x, l1, l2, size, accuracy, self.problem.rows.n_rows, own)
        return float(mean @ (start - x))

    # ---- other losses

    def loss(self, b: int) -> SeparateLoss:
        """The loss of one problem."""
        if b not in self._losses:
            self._losses[b] = SeparateLoss(self.problem, b, self.n_threads)
        return self._losses[b]

    def _newton(
        self, b: int, state: State, x: FloatArray, intercept: float, l1: float, accuracy: float
    ) -> tuple[float, float]:
        """Moves x by prox-Newton steps on the working set; the intercept and the passes made.

        Without an accuracy, until a step gains little beside those before it.
        """
        if state.columns is None:
            state.columns = Submatrix(self.problem.rows, state.ids, self.n_threads)
        A, local = state.columns, LocalModel(self, b, state, l1)
        z = A.margins(x, intercept)
        value, gained, fresh, last = local.evaluate(z, x), 0.0, False, np.inf
        for steps in range(NEWTON_STEPS):  # noqa: B007
            gap = local.gap(z, x)
            if gap <= accuracy:
                break
            local.model(fresh)
            x_new, shift = local.step(x, max(0.3 * accuracy, FORCING * gap))
            delta = x_new - x
            z_step = A.margins(delta, shift)
            predicted = local.predicted(x, x_new, z_step)
            # the gap tells where the values do not
            length, rounding = 1.0, self.certifier.rounding * abs(value)
            while length > SHORTEST and predicted <= rounding:
                trial, z_new = x + length * delta, z + length * z_step
                new_value = local.evaluate(z_new, trial)
                if new_value <= value + 1e-4 * length * predicted + rounding:
                    break
                length *= 0.5
            else:
                if local.fresh:
                    break
                fresh = True  # an old Hessian may be wrong
                local.evaluate(z, x)
                continue
            x[...], z, intercept = trial, z_new, intercept + length * shift
            value, gained = new_value, gained + value - new_value
            if not accuracy and -predicted <= SHARE * gained:
                break
            state.radius = 4.0 * state.radius if length == 1.0 else RADIUS
            fresh = not local.fresh and (length < 1.0 or -predicted > 0.25 * last)
            last = -predicted
        # a step reads the copy for the gradient, the Hessian and the margins
        return intercept, 1.0 + 3.0 * steps * A.rows.nnz / max(1, self.problem.rows.nnz)
