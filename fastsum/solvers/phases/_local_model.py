"""The objective of one problem on its working set, and the quadratic models of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastsum.solvers.phases._face import ImplicitQuadratic
from fastsum.solvers.phases._gram import Gram
from fastsum.solvers.phases._phase import FloatArray
from fastsum.solvers.phases._quadratic import Strengths, minimise_on_gram, quadratic_gap
from fastsum.solvers.phases._submatrix import Submatrix

if TYPE_CHECKING:
    from fastsum.solvers.phases.working_set import WorkingSet

Ids = npt.NDArray[np.int64]
RADIUS = 4.0  # margins a first step may move a row by, from 0
# Sweeps over few rows cost less than a Gram matrix made anew at each step: dense rows fewer than
# columns, unless these are few; sparse rows of many values, and not many rows a column.
FEW, LONG, MANY = 512, 32, 10
CHEAP = 1 << 23  # products of a Gram matrix of dense columns: it is made anew at each Newton step
DRIFT, DRIFT_OF_SAMPLE = 0.5, 0.1  # of the weights of a Hessian used again: few rows are cheap
# Rows of the first Hessians: this many, as many a column, a share of all; then times DENSER.
SAMPLE, SAMPLE_OF_COLUMN, SAMPLE_SHARE, DENSER = 1 << 13, 40, 1 / 16, 4


@dataclass
class State:
    """What a problem keeps from one call to the next."""

    ids: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    alive: Ids | None = None  # columns not proven zero; None for all
    columns: Submatrix | None = None  # those of ids
    sample: Submatrix | None = None  # every stride-th row of these
    gram: Gram | None = None  # of these, for other losses than the squared
    radius: float = RADIUS  # grows while full steps are taken
    tighter: float = 1.0  # than the accuracy asked for, since that gained nothing
    calls: int = 0
    on_path: bool = False  # to the l1 asked for, from larger ones
    path: float = np.inf  # the last of these
    screened: float = np.inf  # gap of the last screening


class LocalModel:
    """The objective of one problem on its working set, and quadratic models of it."""

    def __init__(self, phase: WorkingSet, b: int, state: State, l1: float):
        problem = phase.problem
        assert state.columns is not None
        self.A, self.state, self.n_threads = state.columns, state, phase.n_threads
        self.weight, self.loss, self.free = phase.weight, phase.loss(b), problem.fit_intercept
        self.l1, self.l2 = l1, float(problem.penalty.l2[b])
        self.own = phase.own(state.ids)
        self.penalty = Strengths(self.l1, self.l2, self.own)
        n, p = problem.rows.n_rows, len(state.ids)
        dense, self.stride = not problem.rows.sparse, 1
        if dense:
            self.stored = n >= p or p <= FEW
        else:
            self.stored = n >= MANY * p or self.A.rows.nnz <= LONG * n
            self.stored &= problem.loss.name != "squared"  # else `_squared` would serve it
        self.stored &= phase.fits(p)
        self.cheap = dense and n * p * p < CHEAP
        if self.stored:
            self.stride = max(1, int(n / max(SAMPLE, SAMPLE_OF_COLUMN * p, SAMPLE_SHARE * n)))

    def evaluate(self, z: FloatArray, x: FloatArray) -> float:
        """F at margins z (n,) and coefficients x; keeps the derivatives."""
        return self.loss.value(z) + self.penalty.value(x)

    def gap(self, z: FloatArray, x: FloatArray) -> float:
        """The duality gap at x of the quadratic model at margins z."""
        u, h = self.loss.u, self.loss.curvature(z, self.state.radius)
        self.g = self.A.transposed(u * self.weight)
        np.divide(u * u, h, out=u, where=h > 0)  # evaluate fills u again
        self.size, self.h = float(self.weight @ u), h
        h *= self.weight
        diagonal = None if self.own is None else self.A.squares(h)
        return quadratic_gap(x, self.g, self.l1, self.l2, self.size, self.own, diagonal)

    def model(self, fresh: bool) -> None:
        """Takes the Hessian of this model, or an older one unless `fresh`."""
        h, gram = self.h, self.state.gram
        if gram is not None and gram.stride > 1 and not self.stored:
            gram = None  # a sample of the rows serves stored matrices only
        stride = self.stride if gram is None else gram.stride
        if fresh:
            stride = stride // DENSER if stride >= 2 * DENSER else 1
        part = h if stride == 1 else stride * h[::stride]
        drift = DRIFT if self.stored and not self.cheap else 0.0
        drift = DRIFT_OF_SAMPLE if stride > 1 else drift
        if gram is None or fresh or np.abs(part - gram.weight).sum() > drift * gram.total:
            gram = self.state.gram = Gram(part, self.free and float(part.sum()) > 0, stride)
        self.fresh = gram.weight is h
        self.gram = gram
        if self.stored:
            gram.grow(self._rows_of(gram), self.state.ids)
        elif gram.centred:
            gram.mean = self.A.transposed(gram.weight) / gram.total

    def _rows_of(self, gram: Gram) -> Submatrix:
        """The rows a Gram matrix is made of."""
        if gram.stride == 1:
            return self.A
        sample = self.state.sample
        if sample is None or sample.rows.n_rows != len(gram.weight):
            part = self.A.rows.every(gram.stride)
            sample = self.state.sample = Submatrix(part, np.arange(part.n_cols), self.n_threads)
        return sample

    def step(self, x: FloatArray, accuracy: float) -> tuple[FloatArray, float]:
        """The minimiser of the model, and the step of the intercept."""
        gram, q, x_new = self.gram, self.g.copy(), x.copy()
        size = self.size
        if gram.centred:
            q -= gram.mean * self.loss.slope
            size -= self.loss.slope**2 / gram.total
        if self.stored:
            n = len(self.weight)
            minimise_on_gram(gram.H, q, x_new, self.l1, self.l2, size, accuracy, n, self.own)
        else:
            mean = gram.mean if gram.centred else None
            model = ImplicitQuadratic(self.A, gram.weight, mean, self.l1, self.l2, self.own)
            model.minimise(q, x_new, size, accuracy)
        self.shift = 0.0
        if gram.centred:
            self.shift = float(-self.loss.slope / gram.total - gram.mean @ (x_new - x))
        return x_new, self.shift

    def predicted(self, x: FloatArray, x_new: FloatArray, z_step: FloatArray) -> float:
        """What the model says F gains from x to x_new, negative."""
        linear = float(self.g @ (x_new - x)) + self.loss.slope * self.shift
        quadratic = 0.5 * float(np.einsum("i,i,i", self.h, z_step, z_step))
        return linear + quadratic + self.penalty.value(x_new) - self.penalty.value(x)
