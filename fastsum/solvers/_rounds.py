"""The outer loop of solver="auto": a phase improves a certified point, the new one is certified."""

from __future__ import annotations

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.prepare import Prepared
from fastsum.result import Status
from fastsum.solvers._driver import Run
from fastsum.solvers._method import State, Weights
from fastsum.solvers._progress import Callback, ProgressBar
from fastsum.solvers.auto import Auto
from fastsum.solvers.phases._round import make_round

# Rounds in a row of which none has lowered the objective or the gap, after which more are in vain:
# margins of residuals far below their labels lose more digits than the floor of eq. (9) allows for.
VAIN = 30


class Rounds(Run):
    """One fit of `Auto`; what a `Run` is to a method."""

    method: Auto  # type: ignore[assignment]

    def __init__(
        self,
        prepared: Prepared,
        method: Auto,
        certifier: Certifier,
        state: State,
        tol: float,
    ):
        problem = prepared.problem
        super().__init__(problem, method, certifier, state, tol, refine=True, mend=True)  # type: ignore[arg-type]
        self.prepared = prepared
        self.eager = False  # a round even from a start that is good enough

    def begin(self, start: Certificate) -> None:
        """Takes a start that has just been certified."""
        self._accept(self.state["weights"], start)

    def certify_start(self) -> None:
        """Certifies given coefficients; a start that is not finite or far out is left for null."""
        start = self.certifier(self.state["weights"])
        if start.finite:
            self._accept(self.state["weights"], start)
        else:
            self.state["weights"][...] = 0.0
            self._accept(self.state["weights"], self.certifier(self.state["weights"]))

    def loop(
        self,
        max_iter: int,
        max_time: float | None,
        warm: bool,
        callback: Callback | None,
        bar: ProgressBar,
    ) -> Status:
        """Improve, certify, record, stop."""
        self.phase = "start"
        status = None if self.eager else self._judge(self.certificate)
        if status is not None and not warm:
            self.state["passes"] += 1  # what the null model's certificate read
        if status is None and self.passes >= max_iter:
            status = Status.MAX_ITER
        while status is None:
            status = self._round(max_iter - self.passes)
            self._count_progress()
            status = status or self._reached() or self._in_vain()
            self._record()
            bar.update(self.passes, self.certificate, self.target(), self.phase)
            if status is None and callback is not None and bool(callback(self._progress())):
                status = Status.STOPPED
            if status is None and self.passes >= max_iter:
                status = Status.MAX_ITER
            if status is None and self._late(max_time):
                status = Status.TIME
        if not self.records:
            self._record()
        return status

    def _in_vain(self) -> Status | None:
        """The status if the last rounds have gained nothing, and so will the next."""
        now = np.stack([self.certificate.objective, self.certificate.gap])
        self.state["vain"] = 0 if (now < self.state["least"]).any() else self.state["vain"] + 1
        self.state["least"] = np.fmin(self.state["least"], now)
        return Status.PRECISION if self.state["vain"] >= VAIN else None

    def settle(self) -> bool:
        """Whether the phases can be told."""
        return self.method.settle()

    def memory(self) -> State:
        """With the choices of the engine, and the point as it was certified."""
        out = {f"auto.{name}": value for name, value in self.method.memory().items()}
        return {**super().memory(), **out, "at_intercept": self.certifier.at_intercept}

    def recall(self, memory: State) -> None:
        """Certifies the last point again, in whose margins and slopes the next phase begins."""
        super().recall(memory)
        W = self.state["weights"].copy()
        W[-1] = memory["at_intercept"]
        self.certifier(W)
        own = {k.removeprefix("auto."): v for k, v in memory.items() if k.startswith("auto.")}
        self.method.recall(own)

    def within(self, tol: float) -> Status | None:
        """The status if the last certificate is good enough for another tol."""
        self.tol = tol
        return self._reached()

    def _round(self, budget: int) -> Status | None:
        """A better point by the next phase."""
        phase, W, there, passes = make_round(
            self.method,
            self.certifier,
            self.state["weights"],
            self.certificate,
            self.target(),
            budget,
        )
        self.state["passes"] += passes
        self.phase = phase.name
        return self._accept(W, there)

    def _accept(self, W: Weights, certificate: Certificate) -> Status | None:
        W[-1] = certificate.intercept
        self.state["weights"] = W
        return self._judge(certificate)
