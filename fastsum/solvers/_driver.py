"""THE outer loop: advance, certify, record, stop. Every solver runs in it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import EPS, TINY, Certificate, Certifier
from fastsum.prepare import unprepared
from fastsum.problem import Problem
from fastsum.result import Status
from fastsum.sampling import rng_from_state
from fastsum.solvers import _newton as newton
from fastsum.solvers._extrapolation import DEPTH, check_points, extrapolate, marks
from fastsum.solvers._method import Method, State, Weights
from fastsum.solvers._progress import Callback, Progress, ProgressBar
from fastsum.solvers._warm_start import null_weights

# Passes between certificates: at least 4, then a quarter of the passes made so far. A certificate
# costs about half a pass of steps, so all of them together stay near a tenth of a fit.
CHECK_EVERY = 4
CHECK_GROWTH = 1.25
# Rows per call of `advance`: short passes are made several at a time.
ROWS_PER_CALL = 1 << 16
# An objective this many times the null model's is no transient: with the theory's step the fit goes
# back to its best point and halves the step (the theory is for rows in random order), with a step
# given by hand it ends.
RISEN, MOST_SLOWED = 10.0, 20
DIVERGED = 1e4
# Lengths tried of a Newton step.
NEWTON_LENGTHS = (1.0, 0.3, 0.1, 0.03)
# A tol this small asks for the floor of the arithmetic.
SETTLED = 1e-12
PATIENCE = 4
TRACE = ("passes", "seconds", "objective", "gap")
# Checks without progress after which a gap at the floor of the arithmetic ends the fit.
STUCK = 2


def counters(problem: Problem) -> State:
    """What the outer loop counts in a state."""
    B = problem.columns.n_problems
    least = {"merit": np.full(B, np.inf), "least": np.full((2, B), np.inf)}
    return {"passes": 0, "stalled": 0, "slowed": 0, "kept": 0, "vain": 0, **least}


class Run:
    """One fit: the state, the last certificate and the best point seen."""

    def __init__(
        self,
        problem: Problem,
        method: Method,
        certifier: Certifier,
        state: State,
        tol: float,
        *,
        refine: bool,
        mend: bool,
    ):
        self.problem, self.method, self.certifier = problem, method, certifier
        self.state, self.tol = state, tol
        self.refine, self.mend = refine, mend
        self.prepared = unprepared(problem)
        self.phase, self.resumed, self.ended = method.name, False, False
        self.began, self.began_at = time.perf_counter(), int(state["passes"])
        self.records: list[tuple[Any, ...]] = []
        self.best: tuple[float, Weights, Certificate] | None = None
        self.certificate = certifier.null
        # a perfect null model leaves the rounding of y, squared
        rounding = 1e3 * float(np.finfo(problem.dtype).eps) ** 2
        size = problem.y if problem.offset is None else problem.offset
        self.reference = certifier.null.objective + rounding * float(np.mean(size**2))
        if state["slowed"]:
            method.slow_down(0.5 ** state["slowed"])

    def certify_start(self) -> None:
        """Certifies given coefficients before the first pass; tables begin with what that read."""
        start = self.certifier(self.state["weights"])
        if not start.finite:
            return
        self.reference = np.maximum(self.reference, start.objective)
        self.state["weights"][-1] = start.intercept
        everything = np.ones(self.problem.K, dtype=bool)
        self.method.relocate(
            self.state, self.certifier.derivatives, self.certifier.gradient, everything
        )
        self._judge(start)

    def loop(
        self,
        max_iter: int,
        max_time: float | None,
        warm: bool,
        callback: Callback | None,
        bar: ProgressBar,
    ) -> Status:
        """Advance, certify, record, stop."""
        checks = check_points(self.state["passes"], CHECK_EVERY, CHECK_GROWTH)
        last, check = next(checks)
        done = (self.certifier.null.gap <= self.certifier.floor(self.certificate)).all()
        due = 0 if warm else 1 if done else max_iter  # a warm start may be done at once
        due = max_iter if self.resumed else due
        while True:
            # advance to the next certificate
            stop_at = min(check, self.began_at + min(due, max_iter))
            due = max_iter
            self._advance(stop_at, marks(last, check, self.method.cycle), max_time)
            # certify; at points fixed by the total number of passes also mend the state
            status = self._certify()
            if status is Status.DIVERGED and self._roll_back():
                status = None
            if self.state["passes"] == check and status is not Status.DIVERGED:
                # the last of many steps may be worse than those refined before it
                last_digits = status is not None and self.tol <= SETTLED
                if self.refine and (status is None or last_digits):
                    status = self._refine(check - last) or status
                self._count_progress()
                self.method.refresh(self.state)
                last, check = next(checks)
            # record
            self._record()
            bar.update(self.passes, self.certificate, self.target(), self.phase)
            self.phase = self.method.name
            self.ended = status is not None or self.passes >= max_iter
            asked = callback is not None and bool(callback(self._progress()))
            # stop
            if status is not None:
                return status
            if asked:
                return Status.STOPPED
            if self.passes >= max_iter:
                return self._reached() or Status.MAX_ITER
            if self._late(max_time):
                return Status.TIME

    # ---- for jobs, which go on in another process

    def settle(self) -> bool:
        """Called after each certificate of a job: whether there is more, and `memory` tells all."""
        return not self.ended

    def memory(self) -> State:
        """All that the rest of the fit depends on, as a flat dict of arrays and scalars."""
        out: State = {f"state.{name}": value for name, value in self.state.items()}
        out |= {f"now.{k}": v for k, v in vars(self.certificate).items()}
        out |= {"reference": self.reference, "dual": self.certifier.dual}
        out |= {"began_at": self.began_at, "seconds": time.perf_counter() - self.began}
        if self.best is not None:
            total, W, certificate = self.best
            out |= {"best.total": total, "best.weights": W}
            out |= {f"best.{k}": v for k, v in vars(certificate).items()}
        phase, *numbers = zip(*self.records, strict=True) if self.records else [()] * 5
        out["trace.phase"] = np.array(phase, dtype=np.str_)
        for name, values in zip(TRACE, numbers, strict=True):
            out[f"trace.{name}"] = np.array(values, dtype=np.float64)
        return out

    def recall(self, memory: State) -> None:
        """Takes over what `memory` told in another process, of the same problem and settings."""

        def named(head: str) -> State:
            return {k.removeprefix(head): v for k, v in memory.items() if k.startswith(head)}

        self.state.clear()
        self.state.update(named("state."))
        self.reference = memory["reference"]
        self.certifier.learn(memory["dual"])
        self.certificate = Certificate(**named("now."))
        self.began_at = memory["began_at"]
        self.began, self.resumed = time.perf_counter() - memory["seconds"], True
        if "best.total" in memory:
            best = named("best.")
            total, W = best.pop("total"), best.pop("weights")
            self.best = total, W, Certificate(**best)
        numbers = [memory[f"trace.{name}"] for name in TRACE]
        plain = [v.tolist() if v.ndim == 1 else list(v) for v in numbers]
        plain[0] = [int(passes) for passes in plain[0]]
        self.records = list(zip(memory["trace.phase"].tolist(), *plain, strict=True))
        if self.state["slowed"]:
            self.method.slow_down(0.5 ** self.state["slowed"])

    @property
    def passes(self) -> int:
        """Passes made by this call."""
        return int(self.state["passes"]) - self.began_at

    def _advance(self, stop_at: int, kept: list[int], max_time: float | None) -> None:
        """Passes up to the total `stop_at`, keeping the iterates that extrapolation needs."""
        batch = max(1, ROWS_PER_CALL // max(1, self.problem.rows.n_rows))
        while self.state["passes"] < stop_at and not self._late(max_time):
            total = self.state["passes"]
            goal = min([stop_at, *(mark for mark in kept if mark > total)])
            n_passes = 1 if max_time is not None else min(batch, goal - total)
            self.method.advance(self.state, n_passes)
            self.state["passes"] += n_passes
            if self.state["passes"] in kept and "history" in self.state:
                slot = kept.index(self.state["passes"])
                self.state["history"][slot] = self.state["weights"]
                self.state["kept"] = slot + 1 if slot in (0, self.state["kept"]) else 0

    def _refine(self, interval: int) -> Status | None:
        """Tries better points than the method's own; a status if the fit is over there.

        A Newton step if it costs no more than the `interval` passes since the last certificate,
        else the extrapolation of the iterates kept. Each is taken, problem by problem, only where
        its certificate is better.
        """
        moved, status, budget = False, None, float(interval)
        while status is None:
            budget -= newton.cost(self.problem, self.state["weights"])
            if budget < 0:
                break
            moved, status = self._newton_step()
            if not moved:
                break
        if not moved and self.state.get("kept", 0) == DEPTH + 1:
            ahead = extrapolate(self.state["history"], self.problem.columns)
            ahead[:-1] = self.problem.within(ahead[:-1])
            moved, status = self._move("extrapolation", ahead)
        return status

    def _newton_step(self) -> tuple[bool, Status | None]:
        """A Newton step, shortened until some problem is certified better; whether any is."""
        W = self.state["weights"]
        delta = newton.direction(self.problem, W, self.certifier)
        for length in NEWTON_LENGTHS:
            moved, status = self._move("newton", newton.along(self.problem, W, delta, length))
            if moved:
                return moved, status
        return False, None

    def _move(self, phase: str, ahead: Weights) -> tuple[bool, Status | None]:
        """Moves the problems whose certificate is better to `ahead`; whether any did."""
        here, there = self.certificate, self.certifier(ahead)
        rounding = 4 * EPS * np.abs(here.objective)
        with np.errstate(invalid="ignore"):
            better = (there.subgradient < here.subgradient) | (there.own_gap < here.own_gap)
            better &= there.objective <= here.objective + rounding
            better |= there.objective < here.objective - 1e3 * rounding
        if not better.any():
            return False, None
        columns = np.repeat(better, self.problem.columns.n_outputs)
        ahead[-1] = there.intercept
        self.state["weights"][:, columns] = ahead[:, columns]
        # the certificate's derivatives are a table and a snapshot of the new point
        self.method.relocate(
            self.state, self.certifier.derivatives, self.certifier.gradient, columns
        )
        self.state["kept"] = 0
        self.phase = phase
        return True, self._judge(here.merged(there, better))

    def _late(self, max_time: float | None) -> bool:
        return max_time is not None and time.perf_counter() - self.began >= max_time

    def _certify(self) -> Status | None:
        """Certificate of the current point; a status if the fit is over."""
        W = self.state["weights"]
        W[:-1] = self.problem.within(W[:-1])  # means of points are within bounds but for rounding
        certificate = self.certifier(self.state["weights"])
        if (dual := self.method.dual(self.state)) is not None:
            lent, W = (dual, np.zeros_like(certificate.gap)), self.state["weights"]
            certificate = self.certifier.with_dual(W, certificate, lent, 0.5 * certificate.gap)
        # a method without a step to shorten converges, however high it climbs on the way
        most = np.inf if not self.method.takes_step else RISEN if self.mend else DIVERGED
        limit = most * np.maximum(self.reference, TINY)
        if not certificate.finite or (certificate.objective > limit).any():
            return Status.DIVERGED
        return self._judge(certificate)

    def _roll_back(self) -> bool:
        """Back to the best point with half the step, if the step is the theory's and not tiny."""
        if not self.mend or self.state["slowed"] >= MOST_SLOWED:
            return False
        slowed = self.state["slowed"] + 1
        W = null_weights(self.problem, self.certifier.null.intercept)
        if self.best is not None:
            W = self.best[1].copy()
        self.state.update(self.method.start(W, rng_from_state(self.state["rng"])))
        self.state["slowed"], self.state["kept"] = slowed, 0
        self.method.slow_down(0.5**slowed)
        self.certificate = self.certifier(W)
        self.phase = "roll back"
        return True

    def _judge(self, certificate: Certificate) -> Status | None:
        """Makes the certificate of the current weights the last one; a status if that is enough."""
        self.certificate = certificate
        total = float(certificate.objective.sum())
        if self.best is None or total <= self.best[0]:
            self.best = (total, self.state["weights"].copy(), certificate)
        if self.tol <= SETTLED and self.state["stalled"] < PATIENCE:
            return None
        return self._reached()

    def _count_progress(self) -> None:
        """Counts the checks in a row that have not gained a factor of ten.

        A tol of SETTLED or less asks for all that the arithmetic can give: the fit then goes on
        until there are PATIENCE of them, for the gap (a sum of squares) can fall far below the
        rounding of the objective, and the coefficients gain digits with it.
        """
        c = self.certificate
        merit = np.where(self.problem.certified, c.own_gap, c.subgradient**2)
        gained = merit < 0.1 * self.state["merit"]
        self.state["merit"] = np.where(gained, merit, self.state["merit"])
        self.state["stalled"] = 0 if gained.any() else self.state["stalled"] + 1
        if not (merit > 0).any():
            self.state["stalled"] = PATIENCE

    def _reached(self) -> Status | None:
        """The status if the last certificate is within tol or at the floor, for all problems."""
        certificate, null = self.certificate, self.certifier.null
        penalised = self.problem.certified
        flat = certificate.subgradient <= self.tol * null.subgradient
        close = np.isfinite(certificate.gap) & (certificate.gap <= self.target())
        if np.where(penalised, close, flat).all():
            return Status.CONVERGED if penalised.all() else Status.STATIONARY
        # what is more than `own_gap` is the slope in b, which no step of a method can lessen
        least = np.fmin(certificate.gap, certificate.own_gap)
        floor = least <= self.certifier.floor(certificate)
        eps = float(np.finfo(self.problem.dtype).eps)
        flat_floor = certificate.subgradient <= 8 * eps * null.subgradient
        # a certificate is in float64: below the floor there may still be something to gain
        stuck = self.state["stalled"] >= STUCK
        if stuck and np.where(penalised, close | floor, flat | flat_floor).all():
            return Status.PRECISION
        return None

    def target(self) -> npt.NDArray[np.float64]:
        """The gap that tol asks for, (B,)."""
        scale = self.certifier.tolerance_scale()
        return np.multiply(self.tol, scale, out=np.zeros_like(scale), where=np.isfinite(scale))

    def _record(self) -> None:
        """A line of the trace; its phase is what made the point: the method or a refinement."""
        c = self.certificate
        seconds = time.perf_counter() - self.began
        self.records.append((self.phase, self.passes, seconds, plain(c.objective), plain(c.gap)))

    def _progress(self) -> Progress:
        c = self.certificate
        view = self.prepared.to_user(self.state["weights"])[:-1].view()
        view.flags.writeable = False
        coef = view[:, 0] if view.shape[1] == 1 else view
        return Progress(
            self.passes,
            self.records[-1][2],
            plain(c.objective),
            plain(c.gap),
            plain(self.target()),
            coef,
            plain(c.intercept),
        )


def plain(values: npt.NDArray[np.float64]) -> Any:
    """A float for one problem, else the array."""
    return float(values[0]) if values.shape == (1,) else values
