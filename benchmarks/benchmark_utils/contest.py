"""Solvers against each other on one problem, each in a process that can be cut off.

A process is forked when the data are in memory and every module is loaded, so it starts at once;
the parent itself never enters a parallel region, which a fork would not survive. Processes that
wait are stopped, so that threads which spin take no time from the one that is measured.
"""

import contextlib
import gc
import math
import multiprocessing
import os
import signal
import time
import warnings
from dataclasses import dataclass, field
from statistics import median

import numpy as np

OURS = "fastsum estimators"
CONTEXT = multiprocessing.get_context("fork")
LADDER = 2.5  # the settings of a solver may take so many limits in all
READY_LIMIT = 120.0  # seconds for a conversion to the solver's own format


class CutOff(Exception):
    """The fit took longer than it may."""


class Entrant:
    """A solver on a problem, in a process of its own that is started when it is first needed."""

    def __init__(self, solver, problem):
        self.solver, self.problem, self.process = solver, problem, None

    def run(self, knob, limit):
        """(seconds, {"coef", "intercept"}) of a cold fit; CutOff beyond `limit` seconds."""
        if self.process is None:
            self.solver.compile(**self.problem)
            self.pipe, theirs = CONTEXT.Pipe()
            work = (self.solver, self.problem, theirs)
            self.process = CONTEXT.Process(target=_serve, args=work)
            gc.freeze()
            self.process.start()
            theirs.close()
            self._answer(READY_LIMIT)
        os.kill(self.process.pid, signal.SIGCONT)
        self.pipe.send(knob)
        answer = self._answer(limit + 0.05)
        os.kill(self.process.pid, signal.SIGSTOP)
        return answer

    def _answer(self, limit):
        try:
            if not self.pipe.poll(limit):
                raise CutOff(f"more than {limit:.2g} s")
            answer = self.pipe.recv()
        except (CutOff, EOFError):
            self.close()
            raise
        if isinstance(answer, str):
            self.close()
            raise RuntimeError(answer)
        return answer

    def close(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # a solver may have processes too
            self.process.kill()
            self.process.join()
            self.process = None


def _serve(solver, problem, pipe):
    """The process: one line in, one fit out."""
    os.setpgrp()
    warnings.simplefilter("ignore")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1), os.dup2(silence, 2)
    try:
        with contextlib.suppress(Exception):  # threads and lazy imports are started before timing
            solver.set_objective(**_few_rows(problem))
            solver.run(solver.ladder()[0])
        solver.set_objective(**problem)
        pipe.send(True)
        while True:
            knob = pipe.recv()
            gc.collect()
            start = time.perf_counter()
            solver.run(knob)
            seconds = time.perf_counter() - start
            pipe.send((seconds, solver.get_result()))
    except (EOFError, KeyboardInterrupt):
        pass
    except Exception as error:  # a peer that breaks is a result
        pipe.send(f"{type(error).__name__}: {error}"[:200])


def _few_rows(problem):
    """The problem on its first rows, every class among them."""
    first = np.arange(min(50, problem["X"].shape[0]))
    if problem["loss"] != "squared":
        first = np.union1d(first, np.unique(problem["y"], return_index=True)[1])
    return {**problem, "X": problem["X"][first], "y": problem["y"][first]}


@dataclass
class Rung:
    """A setting and what it gave."""

    knob: float
    value: float
    seconds: list[float] = field(default_factory=list)


@dataclass
class Curve:
    """One solver's settings on one problem."""

    rungs: list[Rung] = field(default_factory=list)
    ended: str = ""
    run: str = ""  # which run measured it, by its start, and the load of the machine then

    def best(self, level):
        """(median seconds, rung) of the fastest setting whose value is at most `level`."""
        reached = [(median(r.seconds), r) for r in self.rungs if r.value <= level]
        return min(reached, key=lambda pair: pair[0], default=(math.inf, None))

    def climb(self, entrant, judge, levels, limits):
        """Up the ladder until the last of `levels`, or until it cannot win at any that is left.

        limits: seconds of a fit that end the hope for each level; `judge` is the objective.
        """
        for knob in entrant.solver.ladder():
            left = [limit for level, limit in zip(levels, limits, strict=True)
                    if self.best(level)[1] is None]  # fmt: skip
            if not left:
                self.ended = "accurate"
                return
            if not self._add(entrant, judge, knob, max(left)):
                return
            spent = sum(rung.seconds[0] for rung in self.rungs)
            if self.rungs[-1].seconds[0] > max(left) or spent > LADDER * max(left):
                self.ended = f"cut off after {max(left):.2g} s"
                return
        self.ended = "end of the ladder"

    def refine(self, entrant, judge, level, limit):
        """Settings between the last that missed the level and the first that reached it."""
        for _ in range(2):
            rungs = sorted(self.rungs, key=lambda r: r.knob, reverse=entrant.solver.falling)
            at = next((i for i, r in enumerate(rungs) if r.value <= level), 0)
            if at == 0 or median(rungs[at].seconds) < 1.1 * median(rungs[at - 1].seconds):
                return
            knob = entrant.solver.between(rungs[at - 1].knob, rungs[at].knob)
            if knob is None or not self._add(entrant, judge, knob, limit):
                return

    def _add(self, entrant, judge, knob, limit):
        try:
            seconds, result = entrant.run(knob, limit)
        except CutOff:
            self.ended = f"cut off after {limit:.2g} s"
        except EOFError:
            self.ended = "its process died"
        except RuntimeError as error:
            self.ended = str(error)
        else:
            self.rungs.append(Rung(knob, judge.evaluate(**result), [seconds]))
            return True
        return False

    def repeat(self, entrant, rung, limit):
        """The same setting once more."""
        with contextlib.suppress(CutOff, EOFError, RuntimeError):
            rung.seconds.append(entrant.run(rung.knob, limit)[0])

    def to_json(self):
        rungs = [[r.knob, r.value, [float(f"{s:.4g}") for s in r.seconds]] for r in self.rungs]
        return {"rungs": rungs, "ended": self.ended, "run": self.run}

    @classmethod
    def from_json(cls, stored):
        rungs = [Rung(*parts) for parts in stored["rungs"]]
        return cls(rungs, stored["ended"], stored["run"])
