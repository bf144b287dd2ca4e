"""The phases of a distributed fit, and the outer loop that survives the loss of workers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.distributed._certifier import RemoteCertifier
from fastsum.distributed._communicator import Communicator, WorkerLost
from fastsum.distributed._local import LocalSolver
from fastsum.distributed._phases import LocalSolves, RemoteNewton
from fastsum.prepare import unprepared
from fastsum.problem import Problem
from fastsum.result import Status
from fastsum.solvers._driver import counters
from fastsum.solvers._rounds import Rounds
from fastsum.solvers._warm_start import null_weights
from fastsum.solvers.phases._phase import FloatArray, Phase

MOST_LOCAL = 2  # local solves
FLATTENED = 0.4  # of the gain before: local solves end where one gains more than this
MOST_LOST = 3  # times in a round


class Engine:
    """The choice among phases, as `solvers.auto.Auto` makes it on one machine.

    Parameters
    ----------
    problem : Problem
        On a few rows.
    certifier : RemoteCertifier
    communicator : Communicator
    n_rows : int
        Of all workers.
    """

    name = "distributed"

    def __init__(
        self, problem: Problem, certifier: RemoteCertifier, communicator: Communicator, n_rows: int
    ):
        self.problem = problem
        self._arguments = problem, certifier, communicator
        self._n_rows = n_rows
        self._local_left = MOST_LOCAL if LocalSolver.serves(problem) else 0
        self._last_gain = np.inf
        self.forget()

    def forget(self) -> None:
        """Makes the phases anew: what they hold of the workers is gone."""
        self._newton = RemoteNewton(*self._arguments, self._n_rows)
        self._local = LocalSolves(*self._arguments)

    def next(self) -> Phase:
        """The phase that goes on from here."""
        return self._local if self._local_left > 0 else self._newton

    def saw(
        self,
        phase: Phase,
        gain: float,
        value: float,
        worse: npt.NDArray[np.bool_],
        target: FloatArray,
    ) -> None:
        """Takes note of a round."""
        if phase is self._newton:
            if worse.any():
                phase.failed(worse)
            return
        self._local_left -= 1
        enough = bool(self._newton.last_step(np.array([gain]), target).all())
        if worse.any() or enough or gain > FLATTENED * self._last_gain:
            self._local_left = 0
        self._last_gain = gain

    def use(self, problem: Problem) -> None:
        """One penalty a fit."""
        raise NotImplementedError


class RemoteRounds(Rounds):
    """`Rounds` that goes on from the last certified point when a worker was lost.

    Attributes
    ----------
    replaced : int
        Shards that were made again.
    """

    def __init__(
        self, engine: Engine, communicator: Communicator, certifier: RemoteCertifier, tol: float
    ):
        problem = engine.problem
        start = null_weights(problem, certifier.null.intercept)
        state = {"weights": start, **counters(problem)}
        super().__init__(unprepared(problem), engine, certifier, state, tol)  # type: ignore[arg-type]
        self._engine, self._communicator, self.replaced = engine, communicator, 0

    def _round(self, budget: int) -> Status | None:
        for _ in range(MOST_LOST):
            try:
                return super()._round(budget)
            except WorkerLost:
                self._recover()
        return super()._round(budget)

    def _recover(self) -> None:
        """Lost shards are made again; all workers go back to the last certified point."""
        for _ in range(MOST_LOST):
            try:
                self.replaced += len(self._communicator.replace())
                self._engine.forget()
                self.certifier(self.state["weights"].copy())
            except WorkerLost:
                continue
            return
        raise WorkerLost("workers are lost faster than they can be replaced")
