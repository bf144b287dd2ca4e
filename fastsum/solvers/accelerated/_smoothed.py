"""What methods share that solve F + kappa / 2 ||w - y||^2 roughly, for centres y of their own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import Method, PerSampleMethod, State, Weights
from fastsum.solvers.variance_reduced.miso import Miso

FloatArray = npt.NDArray[np.float64]


class Smoothed(Method):
    """A method on the Moreau envelope of F, whose subproblems another method solves.

    The inner method goes on from where it is when the centre moves.  The quadratic copies nothing:
    its curvature is more l2 and its linear part a constant in the inner method's average gradient.
    kappa = weight L / (n + 1) - mu makes the subproblem's condition number about n; where that is
    not positive the inner method runs as it is.  The intercept is left out of the quadratic: what
    is smoothed is the minimum over b.

    Attributes
    ----------
    inner : type
        The method wrapped, Miso, which gains most: a pass of it is enough for a subproblem. Saga
        or Svrg make a subclass, with a weight of 8 and a budget of 1: their steps 1 / (3 L) gain
        too little in a pass else.
    weight : float
        Of L / (n + 1) in kappa.
    budget : int
        Rounds (cycles) of it on a subproblem.
    """

    takes_step: ClassVar[bool] = False
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
        state.update(anchor=W.copy(), tilt=np.zeros_like(W), outer=0)
        self._bind(state)
        self._move(state, W, np.ones(W.shape[1], dtype=bool))
        return state

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The centre at the new point."""
        self._bind(state)
        self._move(state, state["weights"], columns)
        self.method.relocate(state, derivatives, gradient, columns)

    def refresh(self, state: State) -> None:
        """That of the inner method."""
        self._bind(state)
        self.method.refresh(state)

    def _bind(self, state: State) -> None:
        """The linear part of the quadratic is the inner method's too."""
        self.method.tilt = state["tilt"]

    def _move(self, state: State, centre: Weights, columns: npt.NDArray[np.bool_]) -> None:
        """The centre of the quadratic, and its part of the gradient, -kappa y."""
        state["anchor"][:, columns] = centre[:, columns]
        wanted = -(self.kappa * state["anchor"])
        wanted[-1] = 0.0
        self.method.tilt_by(state, (wanted - state["tilt"]).astype(centre.dtype))
