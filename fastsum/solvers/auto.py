"""solver="auto": a sequence of phases, chosen by the shape of the problem and what the trace shows.

Every phase maps a certified point to a better one (`phases/`); docs/auto.md tells the rule with a
figure. In short: data too large for a cache are rewritten once (`fastsum/prepare.py`); an l1
penalty is solved by working sets, on a sample first where the rows are many and the outputs
separate; anything smooth by truncated Newton, after a few epochs where the data are large and
sparse (of dual ascent if rows are easy beside the penalty, else of preconditioned SVRG), after
Newton on growing samples of the rows where they are many and dense, and in the space of the rows
where those are few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certifier
from fastsum.prepare import Prepared, prepare
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import Phase
from fastsum.solvers.phases._preconditioner import MOST_EXACT
from fastsum.solvers.phases.coupled_set import CoupledSet
from fastsum.solvers.phases.dual_epochs import DualEpochs
from fastsum.solvers.phases.epochs import Epochs
from fastsum.solvers.phases.growing_samples import CoupledSamples, GrowingSamples
from fastsum.solvers.phases.lbfgs import LBFGS
from fastsum.solvers.phases.newton_cg import NewtonCG
from fastsum.solvers.phases.row_sample import RowSample
from fastsum.solvers.phases.row_set import RowSet
from fastsum.solvers.phases.row_space import RowSpaceNewton
from fastsum.solvers.phases.smoothing import Smoothing
from fastsum.solvers.phases.working_set import WorkingSet

# Epochs of SVRG stop when one gains more than this share of what the one before did: the ratio of
# two gains is the rate, and Newton steps cost less than epochs of a slower one. They also stop when
# the last gain, about what is left to gain, is small enough for one Newton step to be the last.
FLATTENED = 0.6
MOST_EPOCHS = 8
SLOW = 0.03  # of the objective: what a round of L-BFGS must gain for another
MOST_LBFGS = 1 << 20  # unknowns
SETTLE_EVERY = 8  # rounds after which a job makes phases anew that cannot be written down
FLAGS = (
    "_last_gain", "_idle", "_sample_first", "_few_rows", "_samples_first", "_descend",
    "_dual_first", "_epochs_left", "_unsettled",
)  # fmt: skip

PHASES: tuple[type[Phase], ...] = (
    CoupledSet, CoupledSamples, DualEpochs, Epochs, GrowingSamples, LBFGS, NewtonCG, RowSample,
    RowSpaceNewton, Smoothing, WorkingSet,
)  # fmt: skip


class Auto:
    """The phases of one fit and the choice among them.

    Parameters
    ----------
    problem : Problem
        As prepared.
    certifier : Certifier
    n_threads : int
    seed : int
    """

    name = "auto"
    own_weights = False

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int, seed: int):
        self.problem = problem
        self._phases: dict[type[Phase], Phase] = {}
        self._arguments, self._seed, self._unsettled = (problem, certifier, n_threads), seed, 0
        self._last_gain, self._idle = np.inf, 0
        self._rows = RowSet.serves(problem)
        self._separate_l1 = WorkingSet.serves(problem)
        self._coupled_l1 = CoupledSet.serves(problem)
        self._sample_first = RowSample.serves(problem)
        self._few_rows = RowSpaceNewton.serves(problem)
        self._samples_first = GrowingSamples.serves(problem) or CoupledSamples.serves(problem)
        # softmax with too many unknowns for exact Newton steps
        unknowns = (problem.rows.n_cols + 1) * problem.K
        self._coupled = problem.columns.n_outputs > 1 and unknowns > MOST_EXACT
        self._descend = self._coupled and unknowns <= MOST_LBFGS
        self._epochs_left = 0
        self._dual_first = not self._samples_first and DualEpochs.pays(problem, n_threads)
        if self._dual_first:
            self._phase(DualEpochs)
        elif Epochs.pays(problem, n_threads):
            self._epochs_left = MOST_EPOCHS
            self._phase(Epochs)

    def use(self, problem: Problem) -> None:
        """Goes on from here under another penalty of the same kind: what is for far starts is over.

        Separate outputs with an l1 part are few columns, and stay so.
        """
        self.problem = problem
        self._sample_first = self._samples_first = self._dual_first = self._descend = False
        self._epochs_left, self._last_gain, self._idle = 0, np.inf, 0
        self._few_rows = RowSpaceNewton.serves(problem)
        self._arguments = problem, *self._arguments[1:]
        for phase in self._phases.values():
            phase.use(problem)

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether there is a phase for the problem: it is smooth, or working sets serve it."""
        if problem.own_weights:
            return False
        if problem.penalty.rows:
            return RowSet.serves(problem)
        if problem.loss.kinked and not problem.certified.all():
            return False  # no gap, and no gradient that would tell
        sets = WorkingSet.serves(problem) or CoupledSet.serves(problem)
        return sets or not (problem.l1.any() or problem.penalty.bounded)

    @staticmethod
    def prepare(problem: Problem, n_threads: int, seed: int) -> Prepared:
        """The problem rewritten where that pays."""
        return prepare(problem, n_threads, seed)

    def next(self) -> Phase:
        """The phase that goes on from here."""
        if self.problem.loss.kinked:
            return self._phase(Smoothing)
        if self._rows:
            return self._phase(RowSet)
        if self._sample_first:
            self._sample_first = False
            return self._phase(RowSample)
        if self._separate_l1:
            return self._phase(WorkingSet)
        if self._coupled_l1:
            kind = CoupledSamples if self._samples_first else CoupledSet
            self._samples_first = False
            return self._phase(kind)
        if self._few_rows:
            return self._phase(RowSpaceNewton)
        if self._samples_first:
            self._samples_first = False
            return self._phase(GrowingSamples)
        if self._descend:
            return self._phase(LBFGS)
        if self._dual_first:
            return self._phase(DualEpochs)
        if self._epochs_left > 0:
            return self._phase(Epochs)
        return self._phase(NewtonCG)

    def saw(
        self,
        phase: Phase,
        gain: float,
        value: float,
        worse: npt.NDArray[np.bool_],
        target: npt.NDArray[np.float64],
    ) -> None:
        """Takes note of a round.

        How far the objective fell, to what value, where it rose (B,), and the gap wanted (B,).
        """
        if worse.any():
            phase.failed(worse)
        if isinstance(phase, LBFGS):
            self._descend = gain > SLOW * abs(value)
        elif isinstance(phase, RowSpaceNewton):
            # a full step and its shortening in vain: l2 is lost beside K, and steps divide by it
            self._idle = 0 if gain > 0 else self._idle + 1
            self._few_rows = self._idle < 2
        elif isinstance(phase, NewtonCG) and self._coupled and worse.any():
            self._descend = True
        elif isinstance(phase, DualEpochs):
            self._dual_first = gain > 0 and not (phase.slow or worse.any())
        elif isinstance(phase, Epochs):
            self._epochs_left -= 1
            if not worse.any():
                enough = bool(self.newton.last_step(np.array([gain]), target).all())
                if enough or gain > FLATTENED * self._last_gain:
                    self._epochs_left = 0
            self._last_gain = np.inf if worse.any() else gain
            if self._epochs_left == 0:
                del self._phases[Epochs]  # its vectors are not needed any more

    @property
    def newton(self) -> NewtonCG:
        """The phase that ends fits of smooth problems."""
        phase = self._phase(NewtonCG)
        assert isinstance(phase, NewtonCG)
        return phase

    def _phase(self, kind: type[Phase]) -> Phase:
        if kind not in self._phases:
            self._phases[kind] = self._made(kind)
        return self._phases[kind]

    def _made(self, kind: type[Phase]) -> Phase:
        problem, certifier, n_threads = self._arguments
        if issubclass(kind, DualEpochs | Epochs):
            return kind(problem, certifier, n_threads, self._seed)
        if issubclass(kind, Smoothing):
            return kind(problem, certifier, n_threads, self._smoothed)
        return kind(problem, certifier, n_threads)

    def _smoothed(self, problem: Problem, certifier: Certifier) -> Auto:
        return Auto(problem, certifier, self._arguments[2], self._seed)

    # ---- for jobs, which go on in another process

    def settle(self) -> bool:
        """Called after each round of a job: whether `memory` tells all that later rounds need.

        Where it does not, it does every SETTLE_EVERY rounds, for the phases concerned are forgotten
        then: whether anyone asks must not change the path.
        """
        lost = [kind for kind, phase in self._phases.items() if phase.remembers is None]
        self._unsettled = self._unsettled + 1 if lost else 0
        if self._unsettled == SETTLE_EVERY:
            self._unsettled = 0
            for kind in lost:
                del self._phases[kind]
        return self._unsettled == 0

    def memory(self) -> dict[str, Any]:
        """The choices made and the memory of each phase, by name."""
        out = {name: getattr(self, name) for name in FLAGS}
        out["phases"] = np.array([kind.__name__ for kind in self._phases], dtype=np.str_)
        for kind, phase in self._phases.items():
            memory = phase.memory() or {}
            out |= {f"{kind.__name__}.{name}": value for name, value in memory.items()}
        return out

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told in another process."""
        for name in FLAGS:
            setattr(self, name, memory[name])
        kinds = {kind.__name__: kind for kind in PHASES}
        for name in memory["phases"].tolist():
            own = {k.partition(".")[2]: v for k, v in memory.items() if k.startswith(f"{name}.")}
            self._phase(kinds[name]).recall(own)
