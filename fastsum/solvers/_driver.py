"""THE outer loop: advance, certify, record, stop. Every solver runs in it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.result import SENTENCES, Result, Status, trace_dtype
from fastsum.solvers import _newton as newton
from fastsum.solvers._extrapolation import DEPTH, check_points, extrapolate, marks
from fastsum.solvers._method import Method, State, Weights
from fastsum.solvers._progress import ProgressBar
from fastsum.solvers._registry import resolve_solver
from fastsum.solvers._warm_start import Init, carried_state, initial_weights, seal
from fastsum.threads import resolve_n_threads

# Passes between certificates: at least 4, then a quarter of the passes made so far. A certificate
# costs about half a pass of steps, so all of them together stay near a tenth of a fit.
CHECK_EVERY = 4
CHECK_GROWTH = 1.25
# Rows per call of `advance`: short passes are made several at a time.
ROWS_PER_CALL = 1 << 16
# An objective this many times the null model's is no transient.
DIVERGED = 1e4
# Iterates are kept for extrapolation where they are small beside the data, or small at all.
SMALL_HISTORY = 1 << 20
# Lengths tried of a Newton step.
NEWTON_LENGTHS = (1.0, 0.3, 0.1)
# A tol this small asks for the floor of the arithmetic.
SETTLED = 1e-12
PATIENCE = 4
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Progress:
    """What a callback sees after each certificate.

    Attributes
    ----------
    passes : int
        Passes made by this call.
    seconds : float
    objective, gap : float or (B,) array
    target : float or (B,) array
        The gap that tol asks for.
    coef, intercept : arrays
        Current w (d,) or (d, K), a read-only view, and the best b for it.
    """

    passes: int
    seconds: float
    objective: Any
    gap: Any
    target: Any
    coef: npt.NDArray[Any]
    intercept: Any


Callback = Callable[[Progress], object]


def minimize(
    problem: Problem,
    solver: str = "auto",
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
    max_time: float | None = None,
    step_size: float | None = None,
    sampling: str = "auto",
    init: Init = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    callback: Callback | None = None,
    refine: bool = True,
    verbose: int = 0,
) -> Result:
    """Minimises a problem to a certified accuracy.

    Parameters
    ----------
    problem : Problem
        What to minimise, docs/maths.md eq. (1).
    solver : {"auto", "saga", "svrg"}, default="auto"
        "auto" chooses by shape and memory.
    tol : float, default=1e-4
        Stop when the certified gap is at most tol * (F(null model) - best dual value); the same for
        every solver. The null model has w = 0 and the best intercept.
    max_iter : int, default=1000
        Most passes over the data; 0 returns zeros.
    max_time : float, default=None
        Most seconds, looked at between passes.
    step_size : float, default=None
        gamma of eq. (11); None takes the theory's, eq. (15).
    sampling : {"auto", "uniform", "blocks", "importance"}, default="auto"
        How rows are drawn, see `fastsum.sampling`.
    init : Result, state dict or (coef, intercept), default=None
        Where to start; a Result of the same data continues exactly, one of the same data and
        another penalty keeps the solver's tables, any other gives the coefficients only.
    n_jobs : int, default=None
        Threads of the full passes; None is 1 or the joblib context, -1 all CPUs.
    random_state : int, RandomState instance or None, default=None
        Seed of the row order; None is a fixed seed, so that equal calls give equal results.
    callback : callable, default=None
        Called with a `Progress` after each certificate; a true return value stops the fit.
    refine : bool, default=True
        Try, at certificates, points beyond the method's own and take those that are certified
        better: the extrapolation of kept iterates, and a Newton step where it costs less than the
        passes made since the last certificate. False leaves the method as in its paper.
    verbose : int, default=0
        1 shows a progress bar with passes, objective and gap.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If an argument is out of range or the solver cannot serve the problem.
    MemoryError
        If the solver's tables do not fit in memory.

    Warns
    -----
    ConvergenceWarning
        If the accuracy asked for was not reached; says how far the fit got.

    Examples
    --------
    >>> import numpy as np, fastsum
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 1.0, 0.0])
    >>> result = fastsum.minimize(fastsum.Problem(X, y, alpha=0.1), tol=1e-8, random_state=0)
    >>> str(result.status), abs(float(result.coef[0])) < 1e-3
    ('converged', True)
    """
    return solve(
        problem,
        solver,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        step_size=step_size,
        sampling=sampling,
        init=init,
        n_jobs=n_jobs,
        random_state=random_state,
        callback=callback,
        refine=refine,
        verbose=verbose,
    )


def solve(
    problem: Problem,
    solver: str,
    *,
    tol: float,
    max_iter: int,
    max_time: float | None = None,
    step_size: float | None,
    sampling: str,
    init: Init,
    n_jobs: int | None,
    random_state: int | np.random.RandomState | None,
    callback: Callback | None = None,
    refine: bool = True,
    verbose: int,
    keep_state: bool = True,
) -> Result:
    """`minimize`; keep_state=False spares the fingerprint of data that will not be continued."""
    _check_settings(tol=tol, max_iter=max_iter, max_time=max_time, step_size=step_size)
    n_threads = resolve_n_threads(n_jobs)
    kind = resolve_solver(solver, problem)
    certifier = Certifier(problem, n_threads)
    if max_iter == 0 and init is None:
        return _zeros(problem, kind.name, certifier)
    method = kind(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
    state = carried_state(init, problem, method.name)
    warm = state is not None
    if state is None:
        rng = np.random.Generator(np.random.PCG64(_seed(random_state)))
        start = initial_weights(init, problem, certifier.null.intercept)
        state = method.start(start, rng)
        state["passes"], state["stalled"] = 0, 0
        state["merit"] = np.full(problem.columns.n_problems, np.inf)
        shape = (DEPTH + 1, *start.shape)
        if refine and np.prod(shape) < 2 * problem.rows.nnz + SMALL_HISTORY:
            state["history"], state["kept"] = np.zeros(shape, problem.dtype), 0
        warm = init is not None
    run = _Run(problem, method, certifier, state, tol, refine)
    with ProgressBar(verbose, method.name, max_iter) as bar:
        status = run.loop(max_iter, max_time, warm, callback, bar)
    return run.result(status, keep_state)


class _Run:
    """One fit: the state, the last certificate and the best point seen."""

    def __init__(
        self,
        problem: Problem,
        method: Method,
        certifier: Certifier,
        state: State,
        tol: float,
        refine: bool,
    ):
        self.problem, self.method, self.certifier = problem, method, certifier
        self.state, self.tol, self.refine = state, tol, refine
        self.phase = method.name
        self.began, self.began_at = time.perf_counter(), int(state["passes"])
        self.records: list[tuple[Any, ...]] = []
        self.best: tuple[float, Weights, Certificate] | None = None
        self.certificate = certifier.null

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
        due = 1 if warm else max_iter  # a warm start may be done at once
        while True:
            # advance to the next certificate
            stop_at = min(check, self.began_at + min(due, max_iter))
            due = max_iter
            self._advance(stop_at, marks(last, check, self.method.cycle), max_time)
            # certify; at points fixed by the total number of passes also mend the state
            status = self._certify()
            if self.state["passes"] == check and status is not Status.DIVERGED:
                if status is None and self.refine:
                    status = self._refine(check - last)
                self._count_progress()
                self.method.refresh(self.state)
                last, check = next(checks)
            # record
            self._record()
            self.phase = self.method.name
            bar.update(self.passes, self.certificate, self.target())
            # stop
            if status is not None:
                return status
            if callback is not None and callback(self._progress()):
                return Status.STOPPED
            if self.passes >= max_iter:
                return self._reached() or Status.MAX_ITER
            if self._late(max_time):
                return Status.TIME

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
        certificate = self.certifier(self.state["weights"])
        limit = DIVERGED * (self.certifier.null.objective + 1e-30)
        if not certificate.finite or (certificate.objective > limit).any():
            return Status.DIVERGED
        return self._judge(certificate)

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
        merit = np.where(self.problem.penalty.alpha > 0, c.own_gap, c.subgradient**2)
        gained = merit < 0.1 * self.state["merit"]
        self.state["merit"] = np.where(gained, merit, self.state["merit"])
        self.state["stalled"] = 0 if gained.any() else self.state["stalled"] + 1
        if not merit.any():
            self.state["stalled"] = PATIENCE

    def _reached(self) -> Status | None:
        """The status if the last certificate is within tol or at the floor, for all problems."""
        certificate, null = self.certificate, self.certifier.null
        penalised = self.problem.penalty.alpha > 0
        flat = certificate.subgradient <= self.tol * null.subgradient
        close = certificate.gap <= self.target()
        if np.where(penalised, close, flat).all():
            return Status.CONVERGED if penalised.all() else Status.STATIONARY
        floor = certificate.gap <= self.certifier.floor(certificate)
        eps = float(np.finfo(self.problem.dtype).eps)
        flat_floor = certificate.subgradient <= 8 * eps * null.subgradient
        if np.where(penalised, close | floor, flat | flat_floor).all():
            return Status.PRECISION
        return None

    def target(self) -> npt.NDArray[np.float64]:
        """The gap that tol asks for, (B,)."""
        return self.tol * self.certifier.tolerance_scale()

    def _record(self) -> None:
        """A line of the trace; its phase is what made the point: the method or a refinement."""
        c = self.certificate
        seconds = time.perf_counter() - self.began
        self.records.append((self.phase, self.passes, seconds, _plain(c.objective), _plain(c.gap)))

    def _progress(self) -> Progress:
        c = self.certificate
        view = self.state["weights"][:-1].view()
        view.flags.writeable = False
        coef = view[:, 0] if view.shape[1] == 1 else view
        return Progress(
            self.passes,
            self.records[-1][2],
            _plain(c.objective),
            _plain(c.gap),
            _plain(self.target()),
            coef,
            _plain(c.intercept),
        )

    def result(self, status: Status, keep_state: bool) -> Result:
        """The result, after a warning if the accuracy asked for was not reached."""
        W, certificate = self.state["weights"], self.certificate
        if status is Status.DIVERGED:
            if self.best is None:
                W = initial_weights(None, self.problem, self.certifier.null.intercept)
            else:
                _, W, certificate = self.best
        if keep_state:
            seal(self.state, self.problem, self.method.name)
        result = Result(
            coef=(W[:-1, 0] if W.shape[1] == 1 else W[:-1]).copy(),
            intercept=_plain(certificate.intercept),
            objective=_plain(certificate.objective),
            dual_gap=_plain(certificate.gap),
            n_iter=self.passes,
            trace=np.array(self.records, dtype=trace_dtype(self.problem.columns.n_problems)),
            solver=self.method.name,
            status=status,
            message=SENTENCES[status],
            state=self.state if keep_state and status is not Status.DIVERGED else {},
        )
        _warn(result, self.target(), certificate, self.problem)
        return result


def _zeros(problem: Problem, name: str, certifier: Certifier) -> Result:
    """The result of max_iter=0: all coefficients and intercepts 0."""
    certificate = certifier.at_zero()
    return Result(
        coef=np.zeros(
            (problem.rows.n_cols, problem.K)[: 1 if problem.K == 1 else 2], problem.dtype
        ),
        intercept=_plain(certificate.intercept),
        objective=_plain(certificate.objective),
        dual_gap=_plain(certificate.gap),
        n_iter=0,
        trace=np.empty(0, dtype=trace_dtype(problem.columns.n_problems)),
        solver=name,
        status=Status.MAX_ITER,
        message=SENTENCES[Status.MAX_ITER],
        state={},
    )


def _check_settings(
    *, tol: float, max_iter: int, max_time: float | None, step_size: float | None
) -> None:
    if not (np.isfinite(tol) and tol >= 0):
        raise ValueError(f"tol must be a finite number >= 0, got {tol!r}")
    if isinstance(max_iter, bool) or not hasattr(max_iter, "__index__") or max_iter < 0:
        raise ValueError(f"max_iter must be an integer >= 0, got {max_iter!r}")
    for name, value in (("max_time", max_time), ("step_size", step_size)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number or None, got {value!r}")


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if random_state is None:
        return 0
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _plain(values: npt.NDArray[np.float64]) -> Any:
    """A float for one problem, else the array."""
    return float(values[0]) if values.shape == (1,) else values


def _warn(
    result: Result, target: npt.NDArray[np.float64], certificate: Certificate, problem: Problem
) -> None:
    """ConvergenceWarning: how far it got, the likely cause, the remedy."""
    if result.status in (Status.CONVERGED, Status.STATIONARY, Status.STOPPED):
        return
    if result.status is Status.PRECISION:
        text = (
            f"the certified gap is at the floor of {problem.dtype.name} arithmetic, above what tol "
            "asked for: "
            + ("give X in float64 or " if problem.dtype == np.float32 else "")
            + "raise tol"
        )
    elif result.status is Status.DIVERGED:
        text = (
            "the objective grew without bound and the last good point is returned: leave step_size "
            "at None for the step of theory, or make it smaller"
        )
    else:
        worst = int(np.argmax(certificate.gap - target))
        reached = (
            f"certified gap {certificate.gap[worst]:.2e}, tol asks for {target[worst]:.2e}"
            if np.isfinite(certificate.gap[worst])
            else f"subgradient norm {certificate.subgradient[worst]:.2e}"
        )
        limit = "max_iter" if result.status is Status.MAX_ITER else "max_time"
        text = (
            f"{result.solver} stopped at {limit} after {result.n_iter} passes ({reached}). The "
            "likely cause is poor conditioning: columns of very different scale or a weak penalty. "
            f"Scale the columns (StandardScaler, MaxAbsScaler), raise {limit} or raise tol"
        )
    warnings.warn(text, ConvergenceWarning, stacklevel=4)
