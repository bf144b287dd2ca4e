"""The proof of how good a point is: objective, exact intercept and duality gap.

The gap is a sum of non-negative Fenchel-Young terms (docs/maths.md eq. 5), in float64 whatever the
dtype of the data; never primal minus dual, which cancels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.free_columns import FreeColumns
from fastsum.intercept import best_shift_at_kinks, best_shift_of_coupled, best_shift_of_each
from fastsum.margin_size import MarginSize
from fastsum.passes import HostPasses, RowArray, passes_of
from fastsum.penalties import Own, row_norms
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)
MAX_BALANCE = 10  # steps to a dual point whose sum is 0
ROUNDING = 1e3  # margin, in eps, of a gap that is a difference of sums
CANCELLED = 0.25  # eps of the terms of margins that cancel


@dataclass(frozen=True)
class Certificate:
    """Where a point stands, per problem.

    Attributes
    ----------
    objective : (B,) array
        F(w, b) at the best intercept for w.
    gap : (B,) array
        Bound on F(w, b) - min F, the best dual value seen included; inf without a penalty.
    own_gap : (B,) array
        The sum of the Fenchel-Young terms of this point alone, without the rounding that `gap`
        carries: for comparing points, whatever was certified before.
    subgradient : (B,) array
        Norm of the minimum-norm subgradient of F.
    intercept : (K,) array
        The minimiser over b for this w (0 if the intercept is not free).
    """

    objective: FloatArray
    gap: FloatArray
    own_gap: FloatArray
    subgradient: FloatArray
    intercept: FloatArray

    def merged(self, other: Certificate, where: npt.NDArray[np.bool_]) -> Certificate:
        """The certificate of `other` for the problems `where` (B,), of this one for the rest."""
        C = len(self.intercept) // len(self.objective)
        return Certificate(
            np.where(where, other.objective, self.objective),
            np.where(where, other.gap, self.gap),
            np.where(where, other.own_gap, self.own_gap),
            np.where(where, other.subgradient, self.subgradient),
            np.where(np.repeat(where, C), other.intercept, self.intercept),
        )

    @property
    def finite(self) -> bool:
        """False once the iterates have overflowed."""
        return bool(np.isfinite(self.objective).all())


class Certifier:
    """Certificates of one problem; holds the margins and derivatives of the last point.

    Parameters
    ----------
    problem : Problem
    n_threads : int

    Attributes
    ----------
    null : Certificate
        w = 0 with the best intercept: the model every tolerance is relative to.
    derivatives : (n, K) array
        u_i = l'(z_i) at the last point certified, with its best intercept.
    gradient : (d, K) array
        (1/S) X' (s u) for these derivatives.
    at_intercept : (K,) array
        Intercepts of the last point as they were given.
    rounding : float
        Of an objective, relative: that of a sum of n terms.
    """

    def __init__(self, problem: Problem, n_threads: int):
        self.problem, self.n_threads = problem, n_threads
        columns, n = problem.columns, problem.rows.n_rows
        self._B, self._C, self._K = columns.n_problems, columns.n_outputs, columns.width
        self.passes = passes_of(problem, n_threads)
        self._margins, self.derivatives = self.passes.array(), self.passes.array()
        self.rounding = 4 * EPS * float(n) ** 0.5
        self._dual = self._nothing_proved()  # best dual value seen
        self._null_objective = np.zeros(self._B)
        self._mean_label = np.broadcast_to(self._mean_of_labels(), self._B)
        self._margin_size = MarginSize(problem.rows)
        self.at_intercept: npt.NDArray[Any] = np.zeros(self._K, dtype=problem.dtype)
        offset = problem.offset
        self._offset = np.zeros(self._K) if offset is None else np.abs(offset).max(axis=0)
        own = problem.penalty.own
        loose = own is not None and own.loose.any() and problem.certified.any()
        self._free = FreeColumns(problem) if loose else None
        self._zeros = np.zeros((problem.rows.n_cols + 1, self._K), dtype=problem.dtype)
        self.null = self._certify(self._zeros, np.zeros(self._K), problem.fit_intercept)
        self._null_objective = np.abs(self.null.objective)

    def _mean_of_labels(self) -> Any:
        problem, s = self.problem, self.problem.sample_weight
        if s is not None and problem.own_weights:
            return s.T @ problem.y / problem.total_weight
        return np.average(problem.y, axis=0, weights=s)

    def use(self, problem: Problem) -> None:
        """Goes on with the same data under another penalty; what was proven is forgotten."""
        self.problem = problem
        self._dual = self._nothing_proved()
        gap = self.null.objective - self._dual
        self.null = replace(self.null, gap=gap, own_gap=gap)

    def _nothing_proved(self) -> FloatArray:
        """The dual value of u = 0, (B,): losses and penalties are >= 0, and so is F."""
        return np.where(self.problem.certified, 0.0, -np.inf)

    def at_zero(self) -> Certificate:
        """Certificate of w = 0, b = 0; its gap is that of the null model plus the difference."""
        self._margins = self.passes.array()
        zero = self._certify(self._zeros, np.zeros(self._K), False)
        gap = self.null.gap + np.maximum(zero.objective - self.null.objective, 0.0)
        return Certificate(zero.objective, gap, gap, zero.subgradient, zero.intercept)

    def __call__(self, W: npt.NDArray[Any], margins: RowArray | None = None) -> Certificate:
        """Certificate of weights W (d + 1, K) with the intercept in the last row.

        margins: those of W (n, K) if they are known, which saves a pass.
        """
        self.at_intercept = W[-1].copy()
        if margins is None:
            self.passes.margins(W, self._margins)
        else:
            self._margins[...] = margins
        return self._certify(W, W[-1].astype(np.float64), self.problem.fit_intercept)

    def again(self, W: npt.NDArray[Any]) -> Certificate:
        """Certificate of the last point, with its best intercept in W, under another penalty."""
        with np.errstate(all="ignore"):
            return self._conclude(W, W[-1].astype(np.float64))

    def _certify(self, W: npt.NDArray[Any], b: FloatArray, free_intercept: bool) -> Certificate:
        with np.errstate(all="ignore"):  # a diverged W is reported by the objective, not by numpy
            value, shift, slope = self._best_shift(free_intercept)
            if self.problem.loss.shift_invariant and free_intercept:
                # softmax: a common shift of a problem's intercepts changes nothing; sum to 0
                shift = shift - np.repeat((b + shift).reshape(self._B, -1).mean(axis=1), self._C)
            self._shift, S = shift, self.problem.total_weight
            self._mean_loss, self._slope = value / S, slope / S
            self.gradient = self._gradient(self.derivatives)
            return self._conclude(W, b + shift)

    def _conclude(self, W: npt.NDArray[Any], b: FloatArray) -> Certificate:
        """What loss, slope and gradient of the last point say of W with the intercepts b (K,)."""
        v, S = -self.gradient, self.problem.total_weight
        penalty, subgradient = np.zeros(self._B), np.zeros(self._B)
        gap, u, slope = np.full(self._B, np.inf), self.derivatives, self._slope
        if self._free is not None:
            subgradient = self._penalty_terms(W, v, np.ones(self._B))[2]
            u, v, slope = self._orthogonal(W, v)
        for scale in self._dual_scales(v):
            penalty, terms, own_subgradient = self._penalty_terms(W, v, scale)
            subgradient = own_subgradient if self._free is None else subgradient
            if (scale < 1).any() or self.problem.loss.kinked or self._free is not None:  # else 0
                terms = terms + self._loss_gap(self._shift, scale, u) / S
            gap = np.fmin(gap, terms)
        objective = self._mean_loss + penalty
        own_gap = np.where(self.problem.certified, gap, np.inf)
        self._terms = self._per_problem(self._margin_size.terms(W) + np.abs(b) + self._offset)
        gap = self._with_best_dual(objective, self._with_slope(objective, own_gap, slope))
        self.last_value = objective
        return Certificate(objective, gap, own_gap, np.sqrt(subgradient), b)

    def _orthogonal(
        self, W: npt.NDArray[Any], v: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A dual point, its v and the slope it leaves, where features are unpenalised, eq. (69)."""
        assert self._free is not None
        h = self.curvature().reshape(self.derivatives.shape)
        u, exact, held = self._free.orthogonal(self.derivatives, h, W, v)
        v = -self._gradient(u)
        ids = self._free.ids
        v[ids] = np.where(held, 0.0, v[ids])  # it is, but for rounding
        # a slope that is more than rounding proves nothing
        return u, v, np.where(exact, 0.0, np.inf)

    def _per_problem(self, values: FloatArray) -> FloatArray:
        """The largest of (K,) values in each problem, (B,)."""
        largest: FloatArray = values.reshape(self._B, -1).max(axis=1)
        return largest

    def _with_slope(self, objective: FloatArray, gap: FloatArray, slope: FloatArray) -> FloatArray:
        """The gap that a dual point proves although it leaves a slope (B,) in b.

        It is infeasible: the slope times the distance between b and the best one is missing in
        eq. (5). What of this is due to w is bounded by the strength of the penalty.
        """
        if not slope.any():
            return gap
        problem, size = self.problem, np.fmax(self._null_objective, objective)
        slope = self._C * slope  # the sum over coupled outputs of what is given as the largest
        near = problem.loss.reach(size, self._mean_label)
        gap = gap + slope * (near + self._terms)
        l2 = problem.penalty.mu
        far = np.where(slope > 0, slope * self._margin_size.largest * self._size_of_best(size), 0.0)
        root = slope * self._margin_size.norm * np.sqrt(2.0 / l2)
        return np.where(l2 > 0, 0.25 * (root + np.sqrt(root**2 + 4.0 * gap)) ** 2, gap + far)

    def _size_of_best(self, F: FloatArray) -> FloatArray:
        """What ||w||_1 is at most where the objective is F, (B,), eq. (72)."""
        penalty = self.problem.penalty
        if (own := penalty.own) is None:
            return F / penalty.l1
        l1, l2 = (own.factor[:, None] * strength for strength in (penalty.l1, penalty.l2))
        by_l1 = np.where(l1 > 0, l1, np.inf).min(axis=0)
        by_bound = np.maximum(-own.lower, own.upper)[:, None]
        rest = np.where(l1 > 0, 0.0, np.minimum(by_bound, np.sqrt(2.0 * F / l2)))
        total: FloatArray = F / by_l1 + self._C * rest.sum(axis=0)
        return total

    def with_dual(
        self,
        W: npt.NDArray[Any],
        certificate: Certificate,
        dual: tuple[FloatArray, FloatArray],
        target: FloatArray,
    ) -> Certificate:
        """`certificate`, the last one made, with what a given dual point proves for W as well.

        For separate outputs. dual is the point, (n, K), moved into the domain of the conjugate
        here and scaled as eq. (6) asks, and the gap it is expected to leave in the penalty, (B,):
        unless that lets a gap meet its target (B,), the dual point costs no pass over the data.
        """
        if (certificate.gap <= target).all():
            return certificate
        S, (u, expected) = self.problem.total_weight, dual
        with np.errstate(all="ignore"):
            u, slope = self._balanced(u)
            terms = self._loss_gap(self._shift, np.ones(self._B), u) / S
            terms = self._with_slope(certificate.objective, terms, slope / S)
            wanted = (terms + expected <= target) & (certificate.gap > target)
            if not (wanted.any() or self.problem.loss.kinked):
                return certificate
            v, best = -self._gradient(u), np.full(self._B, np.inf)
            for scale in self._dual_scales(v):
                scaled = terms
                if (scale < 1).any():
                    scaled = self._loss_gap(self._shift, scale, u) / S
                    scaled = self._with_slope(certificate.objective, scaled, slope / S)
                best = np.fmin(best, scaled + self._penalty_terms(W, v, scale)[1])
            gap = self._with_best_dual(certificate.objective, best)
        return replace(certificate, gap=np.fmin(certificate.gap, gap))

    def _balanced(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A feasible dual point near u whose sum is 0 if the intercept is free, and |sum|, (B,).

        The second value is infinite where the sum is not 0 but for rounding.
        """
        problem = self.problem
        y = np.column_stack([problem.labels_of(b) for b in range(self._B)])
        s: Any = 1.0 if problem.weight_columns is None else problem.weight_columns
        feasible = problem.loss.dual_feasible(u, y)
        if not problem.fit_intercept:
            return feasible, np.zeros(self._B)
        for _ in range(MAX_BALANCE):
            slope = (s * feasible).sum(axis=0)
            free = np.maximum((s * (feasible == u)).sum(axis=0), TINY)
            u = u - slope / free
            feasible = problem.loss.dual_feasible(u, y)
            if (np.abs(slope) <= EPS * problem.total_weight).all():
                break
        # beyond rounding it proves nothing: the best intercept may be as far out as the columns
        slope, size = np.abs((s * feasible).sum(axis=0)), (s * np.abs(feasible)).sum(axis=0)
        return feasible, np.where(slope <= 64 * EPS * size, slope, np.inf)

    @property
    def margins(self) -> FloatArray:
        """z_i of the last point certified, with its best intercept, (n, K)."""
        return self._margins + self._shift

    def curvature(self) -> FloatArray:
        """l''(z_i) at the last point certified, with its best intercept, (n, B, C, C)."""
        assert isinstance(self.passes, HostPasses)
        return self.passes.curvature(self._margins, self._shift)

    def value_along(self, slope: RowArray, length: float, point: FloatArray) -> FloatArray:
        """F at `point`, a step `length` along the margins `slope` from the last point certified.

        For line searches: the intercept of `point` is taken as it is, and the certificate's
        derivatives stay those of the last point. (B,)
        """
        z = self._margins + length * slope
        value, _, _ = self.passes.loss_terms(z, self._shift, None, False)
        return value / self.problem.total_weight + self.problem.penalty_value(point)

    def value_again(self, W: npt.NDArray[Any]) -> FloatArray:
        """F at the last point, W with its best intercept, under another penalty, (B,)."""
        value: FloatArray = self._mean_loss + self.problem.penalty_value(W)
        return value

    def weighted_curvature(self) -> RowArray:
        """The curvature (s_i / S) l''(z_i) at the last point as `hessian_product` takes it, (n, K).

        l'' for separate outputs; the probabilities p for coupled ones, diag(p) - p p'.
        """
        return self.passes.weighted_curvature(self._margins, self._shift, self.derivatives)

    # ---- intercept

    def _loss_terms(
        self, shift: FloatArray, final: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Loss sums at z + shift: value (B,), gradient (B, C) and curvature (B, C, C) in b.

        Fills `derivatives`; `final` leaves the curvature at 0.
        """
        return self.passes.loss_terms(self._margins, shift, self.derivatives, not final)

    def _best_shift(self, free: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Loss sums (B,), the shift of b that minimises them and what slope is left (eq. 7)."""
        if not free:
            shift = np.zeros(self._K)
            return self._loss_terms(shift, final=True)[0], shift, np.zeros(self._B)
        if self.problem.loss.kinked:
            return self._best_shift_at_kinks()
        L = self.problem.loss.curvature * self.problem.total_weight
        if self._C == 1:
            return best_shift_of_each(self._loss_terms, self._B, 1, L, self.rounding**2)
        invariant = self.problem.loss.shift_invariant
        return best_shift_of_coupled(
            self._loss_terms, self._B, self._C, L, self.rounding**2, invariant
        )

    def _best_shift_at_kinks(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The same; the derivatives of rows at their kinks are those that sum to 0."""
        value, shift, low, high, share = best_shift_at_kinks(
            self._loss_terms, self._B, self.rounding**2
        )
        self._loss_terms(low, final=True)
        below = share * self.derivatives
        self._loss_terms(high, final=True)
        self.derivatives *= 1.0 - share
        self.derivatives += below
        slope = self.problem.weighted_sum(self.derivatives)
        return value, shift, np.abs(slope)

    # ---- gap

    def _gradient(self, u: RowArray) -> FloatArray:
        """(1/S) X' (s u), (d, K); minus it is the dual vector v of eq. (5)."""
        return self.passes.gradient(u)

    def _dual_scales(self, v: FloatArray) -> list[FloatArray]:
        """Factors c (B,) for the dual point c u, eq. (6): the best of them makes the gap.

        Pure l1 needs |c v| <= l1. Elastic net takes any c; 1 is best near the optimum, the l1
        bound far from it when the l2 part is small.
        """
        l1, l2 = self.problem.l1, self.problem.l2
        if not l1.any() or not v.size:
            return [np.ones(self._B)]
        top = np.abs(v).max(axis=0)
        if (own := self.problem.penalty.own) is not None:
            top = self._tightest(v, own)
        if self.problem.penalty.rows:  # the dual norm of a row
            top = np.repeat(row_norms(v, self._C).max(axis=0), self._C)
        inside = l1 * (1 - 2 * EPS)  # |c v| <= l1 after rounding as well
        bound = np.where(top > l1, inside / np.where(top > 0, top, 1), 1.0)
        feasible = bound.reshape(self._B, self._C).min(axis=1)
        feasible = np.where(self.problem.penalty.l1 > 0, feasible, 1.0)
        scales = [feasible]
        if (l2 > 0).any() and (feasible < 1).any():
            scales.append(np.where(self.problem.penalty.l2 > 0, 1.0, feasible))
        return scales

    def _tightest(self, v: FloatArray, own: Own) -> FloatArray:
        """|v_j| / f_j of the feature that bounds c the most, (K,), eq. (68).

        What a bound holds back needs no scaling, and what nothing penalises cannot be scaled.
        """
        end = np.where(v > 0, own.upper[:, None], own.lower[:, None])
        scaled = np.isinf(end) & (own.factor[:, None] > 0)
        per = np.divide(np.abs(v), own.factor[:, None], out=np.zeros_like(v), where=scaled)
        top: FloatArray = per.max(axis=0)
        return top

    def _penalty_terms(
        self, W: npt.NDArray[Any], v: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        if self.problem.penalty.rows:
            return self._row_terms(W, v, scale)
        sums = np.zeros((3, self._K))
        c = np.repeat(scale, self._C)
        own = self.problem.penalty.own
        packed = None if own is None else own.packed
        _kernels.penalty_terms(W, v, self.problem.l1, self.problem.l2, packed, c, *sums)
        value, gap, subgradient = sums.reshape(3, self._B, self._C).sum(axis=2)
        return value, gap, subgradient

    def _row_terms(
        self, W: npt.NDArray[Any], v: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The same for a penalty of rows: eq. (77), whose terms are those of eq. (5) in norms.

        With r the part of c v within the ball of l1 and t the rest, along v,
        ||t - l2 w||^2 / (2 l2) + l1 ||w|| - w'r; without l2 c v is in the ball.
        """
        l1, l2, C = self.problem.penalty.l1, self.problem.penalty.l2, self._C
        w = W[:-1].astype(np.float64, copy=False).reshape(len(v), self._B, C)
        v = v.reshape(w.shape)
        size, norms = np.sqrt((w**2).sum(axis=2)), scale * np.sqrt((v**2).sum(axis=2))
        inside = np.minimum(1.0, np.divide(l1, norms, out=np.ones_like(norms), where=norms > 0))
        cv = scale[:, None] * v
        r = inside[:, :, None] * cv
        linear = np.maximum(l1 * size - (w * r).sum(axis=2), 0.0)
        off = ((cv - r - l2[:, None] * w) ** 2).sum(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            curved = np.where(l2 > 0, 0.5 * off / l2, np.where(norms > l1, np.inf, 0.0))
        unit = np.divide(w, size[:, :, None], out=np.zeros_like(w), where=size[:, :, None] > 0)
        miss = v - l1[:, None] * unit - l2[:, None] * w
        at_zero = np.maximum(np.sqrt((v**2).sum(axis=2)) - l1, 0.0) ** 2
        sub = np.where(size > 0, (miss**2).sum(axis=2), at_zero)
        value = (l1 * size + 0.5 * l2 * size**2).sum(axis=0)
        return value, (linear + curved).sum(axis=0), sub.sum(axis=0)

    def _loss_gap(self, shift: FloatArray, scale: FloatArray, u: RowArray) -> FloatArray:
        return self.passes.loss_gap(self._margins, shift, u, scale)

    def _with_best_dual(self, objective: FloatArray, gap: FloatArray) -> FloatArray:
        """The better of this point's gap and the distance to the best dual value seen.

        Both with the rounding of margins whose terms cancel; the second is a difference of sums
        and carries their rounding as well, with margin.
        """
        slopes = self.problem.loss.mean_slope(np.abs(objective), self._mean_label)
        lost = EPS * (CANCELLED * slopes * self._terms - 8.0 * np.abs(objective))
        gap = gap + np.maximum(lost, 0.0)
        rounding = ROUNDING * EPS * (np.abs(objective) + np.where(np.isfinite(gap), gap, 0.0))
        # Rounded down by its own rounding; a point above the null model has nothing to teach.
        first = self._null_objective == 0
        sane = first | (objective <= self._null_objective * (1 + 1e-9))
        self._dual = np.where(sane, np.fmax(self._dual, objective - gap - rounding), self._dual)
        size = np.abs(objective) + np.abs(self._dual) + self._null_objective
        distance = np.maximum(objective - self._dual, 0.0) + ROUNDING * EPS * size
        return np.fmin(gap, distance + np.maximum(lost, 0.0))

    @property
    def dual(self) -> FloatArray:
        """The best dual value seen, (B,)."""
        return self._dual

    def learn(self, dual: FloatArray) -> None:
        """Takes over dual values of the same problem from an earlier fit."""
        self._dual = np.fmax(self._dual, dual)

    def tolerance_scale(self) -> FloatArray:
        """F(null) - D for the best dual value D, (B,): what tol is relative to (eq. 8)."""
        return np.maximum(self.null.objective - self._dual, 0.0)

    def floor(self, certificate: Certificate) -> FloatArray:
        """8 eps(dtype) (|F| + |D|), (B,): below this a gap is rounding (eq. 9)."""
        eps = float(np.finfo(self.problem.dtype).eps)
        floor: FloatArray = 8 * eps * (np.abs(certificate.objective) + np.abs(self._dual))
        return floor
