"""One round of an engine of phases: one improves a certified point, the new one is certified."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights


class Engine(Protocol):
    """What chooses among phases: `solvers/auto.py`."""

    problem: Problem

    def next(self) -> Phase:
        """The phase that goes on from here."""

    def saw(
        self,
        phase: Phase,
        gain: float,
        value: float,
        worse: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
        target: FloatArray,
    ) -> None:
        """Takes note of a round."""

    def use(self, problem: Problem) -> None:
        """Goes on from here under another penalty."""


def make_round(
    engine: Engine,
    certifier: Certifier,
    W: Weights,
    here: Certificate,
    target: FloatArray,
    budget: int,
) -> tuple[Phase, Weights, Certificate, int]:
    """A better point by the next phase, its certificate, and the passes that cost.

    Problems that the phase made worse stay where they were.
    """
    phase = engine.next()
    moved, passes = phase.improve(W, here, target, budget)
    there = certifier(moved, phase.margins)
    with np.errstate(invalid="ignore"):
        rounding = certifier.rounding * np.abs(here.objective)
        better = there.objective <= here.objective + rounding
    if not better.all():
        columns = np.repeat(~better, engine.problem.columns.n_outputs)
        moved[:, columns] = W[:, columns]
        there = certifier(moved)
    # a dual point that knows what happens at kinks does not depend on the point
    if (better.all() or engine.problem.loss.kinked) and (dual := phase.dual()) is not None:
        there = certifier.with_dual(moved, there, dual, target)
    gain = float((here.objective - there.objective).sum())
    engine.saw(phase, gain, float(there.objective.sum()), ~better, target)
    moved[-1] = there.intercept
    return phase, moved, there, passes
