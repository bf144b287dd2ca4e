"""Catalyst (Lin, Mairal, Harchaoui, NIPS 2015; JMLR 18, 2018) around MISO, SAGA or SVRG."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import Method, PerSampleMethod, State, Weights
from fastsum.solvers.variance_reduced.miso import Miso

FloatArray = npt.NDArray[np.float64]
GOLDEN = (5**0.5 - 1) / 2  # alpha_0 without strong convexity


class Catalyst(Method):
    """An accelerated proximal point method whose subproblems another method solves.

    Problem: (1).  Step: eq. (49): `inner` goes on for a few passes on
    F + kappa / 2 ||w - y||^2 from where it is, then y moves ahead.  The quadratic copies nothing:
    its curvature is more l2 and its linear part a constant in the inner method's average gradient.
    kappa = weight L / (n + 1) - mu makes the subproblem's condition number about n; where that is
    not positive the inner method runs as it is.  A budget of passes ends a subproblem (criterion C3
    of the JMLR paper), in place of an accuracy that would have to be measured.  Rate:
    n + sqrt(n kappa), times a logarithm, sample gradients a factor.  Cost and memory: the inner
    method's and three (d + 1, K) arrays.

    Without an l2 part mu = 0 in these formulas, and the momentum ends where it points against the
    gradient kappa (y - w) of the smoothed objective (O'Donoghue, Candes, 2015).  The intercept is
    left out of the quadratic: what is accelerated is the minimum over b.

    Attributes
    ----------
    inner : type
        The method wrapped, Miso, which gains most: a pass of it is enough for a subproblem. Saga
        or Svrg make a subclass, with a weight of 8: their steps 1 / (3 L) gain too little in a pass
        else.
    weight : float
        Of L / (n + 1) in kappa.
    budget : int
        Rounds (cycles) of it on a subproblem.
    """

    name = "catalyst"
    takes_step = False
    inner: ClassVar[type[PerSampleMethod]] = Miso
    weight: ClassVar[float] = 1.0
    budget: ClassVar[int] = 1

    def __init__(self, problem: Problem, **options: Any):
        self.problem = problem
        first = self.inner(problem, **options)
        L = first.step_share / first.theory
        mu = problem.penalty.mu
        kappa = np.maximum(self.weight * L / (first.sampler.n_active + 1) - mu, 0.0)
        self.method = self.inner(problem.with_ridge(kappa), **options)
        self.sampler = self.method.sampler
        C = problem.columns.n_outputs
        self._mu, self.kappa = np.repeat(mu, C), np.repeat(kappa, C)
        total = self._mu + self.kappa
        self._q = np.divide(self._mu, total, out=np.ones_like(total), where=total > 0)
        self._first = np.where(self._mu > 0, np.sqrt(self._q), GOLDEN)
        self.cycle = self.budget * self.inner.cycle  # type: ignore[misc]

    @classmethod
    def missing(cls, problem: Problem) -> str:
        """What the inner method lacks."""
        return cls.inner.missing(problem)

    def slow_down(self, factor: float) -> None:
        """Shorter steps of the inner method."""
        self.method.slow_down(factor)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The centre at W."""
        state = self.method.start(W, rng)
        state.update(anchor=W.copy(), last=W.copy(), tilt=np.zeros_like(W), outer=0)
        state["momentum"] = self._first.copy()
        self._bind(state)
        self._move(state, W, np.ones(W.shape[1], dtype=bool))
        return state

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of the inner method; the centre moves after each `cycle`."""
        self._bind(state)
        for _ in range(n_passes):
            self.method.advance(state, 1)
            state["outer"] = (state["outer"] + 1) % self.cycle
            if state["outer"] == 0:
                self._extrapolate(state)

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The centre at the new point, without momentum."""
        self._bind(state)
        state["last"][:, columns] = state["weights"][:, columns]
        state["momentum"][columns] = self._first[columns]
        self._move(state, state["weights"], columns)
        self.method.relocate(state, derivatives, gradient, columns)

    def refresh(self, state: State) -> None:
        """That of the inner method."""
        self._bind(state)
        self.method.refresh(state)

    def _bind(self, state: State) -> None:
        """The linear part of the quadratic is the inner method's too."""
        self.method.tilt = state["tilt"]

    def _extrapolate(self, state: State) -> None:
        """alpha_k, beta_k and the next centre, eq. (49)."""
        W, last, a = state["weights"], state["last"], state["momentum"]
        q, square = self._q, a**2
        ahead = 0.5 * ((q - square) + np.sqrt((q - square) ** 2 + 4 * square))
        beta = a * (1 - a) / (square + ahead)
        # begun anew where the way goes against the gradient of the smoothed objective
        step = W[:-1].astype(np.float64) - last[:-1]
        product = (self.kappa * (state["anchor"][:-1] - W[:-1]) * step).sum(axis=0)
        C = self.problem.columns.n_outputs
        uphill = np.repeat(product.reshape(-1, C).sum(axis=1) > 0, C) & (self._mu <= 0)
        state["momentum"] = np.where(uphill, self._first, ahead)
        centre = W + np.where(uphill, 0.0, beta) * (W - last)
        state["last"][...] = W
        self._move(state, centre.astype(W.dtype), np.ones(len(a), dtype=bool))

    def _move(self, state: State, centre: Weights, columns: npt.NDArray[np.bool_]) -> None:
        """The centre of the quadratic, and its part of the gradient, -kappa y."""
        state["anchor"][:, columns] = centre[:, columns]
        wanted = -(self.kappa * state["anchor"])
        wanted[-1] = 0.0
        self.method.tilt_by(state, (wanted - state["tilt"]).astype(centre.dtype))
