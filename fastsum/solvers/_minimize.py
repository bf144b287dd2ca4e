"""`minimize`: settings, start, the outer loop, the result."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastsum.certificate import Certifier
from fastsum.prepare import unprepared
from fastsum.problem import Problem
from fastsum.result import SENTENCES, Result, Status, trace_dtype
from fastsum.sampling import check_kind
from fastsum.solvers._driver import SETTLED, Run, counters, plain
from fastsum.solvers._extrapolation import DEPTH
from fastsum.solvers._method import Method
from fastsum.solvers._placement import placed
from fastsum.solvers._progress import Callback, ProgressBar
from fastsum.solvers._registry import SOLVERS, resolve_solver
from fastsum.solvers._rounds import Rounds
from fastsum.solvers._shortfall import warn_if_short
from fastsum.solvers._warm_start import (
    Init,
    carried_state,
    initial_weights,
    known_dual,
    null_weights,
    seal,
)
from fastsum.solvers.auto import Auto
from fastsum.threads import blas_threads, resolve_n_threads, useful_threads

# Iterates are kept for extrapolation where they are small beside the data, or small at all.
SMALL_HISTORY = 1 << 20
NEAR = 0.05  # of all there is to gain: "auto" has no use for the phases of a far start


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
    device: str = "auto",
    random_state: int | np.random.RandomState | None = None,
    callback: Callback | None = None,
    refine: bool = False,
    verbose: int = 0,
    solver_options: Mapping[str, object] | None = None,
) -> Result:
    """Minimises a problem to a certified accuracy.

    Parameters
    ----------
    problem : Problem
        What to minimise, docs/maths.md eq. (1).
    solver : str, default="auto"
        "auto" goes through phases chosen by the shape of the problem and by what they gain; the
        other names are one method each, README.md lists them.
    tol : float, default=1e-4
        Stop when the certified gap is at most tol * (F(null model) - best dual value); the same for
        every solver. The null model has w = 0 and the best intercept. 1e-12 or less asks for all
        that the arithmetic can give.
    max_iter : int, default=1000
        Most passes over the data; 0 returns zeros.
    max_time : float, default=None
        Most seconds, looked at between passes.
    step_size : float, default=None
        gamma of eq. (11); None takes the theory's, eq. (15).
    sampling : {"auto", "uniform", "blocks", "importance"}, default="auto"
        How rows are drawn, see `fastsum.sampling`.
    init : Result, state dict or (coef, intercept), default=None
        Where to start. "saga" and "svrg" continue a Result of the same data bit for bit and keep
        their tables if only the penalty is another; "auto" goes on from its point with what was
        proven about the optimum. Any other init gives the coefficients only.
    n_jobs : int, default=None
        Threads of the full passes; None is 1 or the joblib context, -1 all CPUs.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where full passes are made. "auto" is the CUDA device that X lies on; else the CPU, or a
        device where one can be used and X is dense and large. "cuda" copies a dense X there, or
        streams it where it does not fit, and is an error where there is no device.
    random_state : int, RandomState instance or None, default=None
        Seed of the row order; None is a fixed seed, so that equal calls give equal results.
    callback : callable, default=None
        Called with a `Progress` after each certificate; a true return value stops the fit.
    refine : bool, default=False
        Try, at certificates, points beyond the method's own and take those that are certified
        better: the extrapolation of kept iterates, and a Newton step where it costs less than the
        passes made since the last certificate. False leaves a named method as in its paper; the
        estimators and "auto" always try.
    verbose : int, default=0
        1 shows a progress bar with passes, objective and gap.
    solver_options : mapping, default=None
        Settings of the solver's own by name, as its class describes them.

    Returns
    -------
    result : Result
        The point, its objective and its certified gap, and how the fit went.

    Raises
    ------
    ValueError
        If an argument is out of range or the solver or the device cannot serve the problem.
    RuntimeError
        If device="cuda" cannot be used; says why.
    MemoryError
        If the solver's tables do not fit in memory, or X not in that of the device.

    Warns
    -----
    ConvergenceWarning
        If the accuracy asked for was not reached; says how far the fit got.

    Examples
    --------
    >>> import numpy as np, fastsum
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    >>> result = fastsum.minimize(fastsum.Problem(X, y, alpha=0.1), tol=1e-8)
    >>> str(result.status), round(float(result.coef[0]), 3), result.dual_gap < 1e-9
    ('converged', 0.637, True)
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"problem must be a fastsum.Problem, got {type(problem).__name__}: "
            "fastsum.minimize(fastsum.Problem(X, y, loss=...), ...)"
        )
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, got {type(callback).__name__}")
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
        device=device,
        random_state=random_state,
        callback=callback,
        refine=refine,
        verbose=verbose,
        solver_options=solver_options,
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
    device: str = "auto",
    random_state: int | np.random.RandomState | None,
    callback: Callback | None = None,
    refine: bool = True,
    verbose: int,
    keep_state: bool = True,
    solver_options: Mapping[str, object] | None = None,
) -> Result:
    """`minimize`; keep_state=False spares the fingerprint of data that will not be continued."""
    check_settings(tol=tol, max_iter=max_iter, max_time=max_time, step_size=step_size)
    check_kind(sampling)
    problem = placed(problem, device)
    n_threads = useful_threads(resolve_n_threads(n_jobs), problem.rows.nnz * problem.K)
    kind = resolve_solver(solver, problem)
    own = check_options(kind, solver_options)
    if max_iter == 0 and init is None:
        return _zeros(problem, kind.name, Certifier(problem, n_threads))
    if issubclass(kind, Auto):
        if step_size is not None or sampling != "auto":
            raise ValueError(
                "step_size and sampling have no meaning for solver='auto', which sets them itself: "
                f"name a solver of {list(SOLVERS)} to set them"
            )
        run: Run = auto_run(problem, kind, tol, init, n_threads, seed_of(random_state))
    else:
        if step_size is not None and not kind.takes_step:
            raise ValueError(
                f"step_size has no meaning for solver={kind.name!r}, which finds its own steps: "
                "leave it at None"
            )
        if sampling != "auto" and not kind.draws_rows:
            raise ValueError(
                f"sampling has no meaning for solver={kind.name!r}, which reads all rows in each "
                "step: leave it at 'auto'"
            )
        options = {"sampling": sampling, "step_size": step_size, "n_threads": n_threads, **own}
        # a method that "auto" leaves the problem to; Newton steps look into the rows
        refine = (refine or solver not in SOLVERS) and not problem.on_device
        run = method_run(problem, kind, options, tol, init, seed_of(random_state), refine)
    size = problem.rows.nnz * problem.K
    with ProgressBar(verbose, kind.name, max_iter) as bar, blas_threads(1, size):
        status = run.loop(max_iter, max_time, init is not None, callback, bar)
    return result_of(run, problem, status, keep_state)


def method_run(
    problem: Problem,
    kind: type[Method],
    options: dict[str, Any],
    tol: float,
    init: Init,
    seed: int,
    refine: bool,
) -> Run:
    """The run of one method, from the state carried by `init` if that is of these data."""
    certifier = Certifier(problem, options["n_threads"])
    method = kind(problem, **options)
    state = carried_state(init, problem, method.name)
    carried, prepared = state is not None, unprepared(problem)
    if state is not None:
        state["weights"] = prepared.from_user(state["weights"])
    if state is not None and (dual := known_dual(state, problem)) is not None:
        certifier.learn(dual)
    if state is None:
        rng = np.random.Generator(np.random.PCG64(seed))
        start = prepared.from_user(initial_weights(init, problem, certifier.null.intercept))
        state = {**method.start(start, rng), **counters(problem)}
        shape = (DEPTH + 1, *start.shape)
        if refine and np.prod(shape) < 2 * problem.rows.nnz + SMALL_HISTORY:
            state["history"] = np.zeros(shape, problem.dtype)
    mend = options["step_size"] is None
    run = Run(problem, method, certifier, state, tol, refine=refine, mend=mend)
    if init is not None and not carried:
        run.certify_start()
    return run


def auto_run(
    problem: Problem, kind: type[Auto], tol: float, init: Init, n_threads: int, seed: int
) -> Rounds:
    """The run of `Auto` on the prepared problem."""
    prepared = kind.prepare(problem, n_threads, seed)
    certifier = Certifier(prepared.problem, n_threads)
    state = carried_state(init, problem, kind.name)
    if state is not None and (dual := known_dual(state, problem)) is not None:
        certifier.learn(dual)
    start = initial_weights(init, problem, certifier.null.intercept)
    fresh = {"weights": prepared.from_user(start), **counters(problem)}
    phases = kind(prepared.problem, certifier, n_threads, seed)
    run = Rounds(prepared, phases, certifier, fresh, tol)
    if init is not None:
        run.certify_start()
        if (run.certificate.gap <= NEAR * certifier.tolerance_scale()).all():
            phases.use(prepared.problem)
    return run


def result_of(
    run: Run, problem: Problem, status: Status, keep_state: bool, warn: bool = True
) -> Result:
    """The result, after a warning if the accuracy asked for was not reached."""
    state, certificate = run.state, run.certificate
    W = state["weights"]
    if status is Status.DIVERGED:
        W, state = null_weights(run.problem, run.certifier.null.intercept), {}
        if run.best is not None:
            _, W, certificate = run.best
    W = run.prepared.to_user(W)
    keep_state = keep_state and not problem.on_device  # a state lies where the rows do
    if keep_state and state:
        state["weights"] = W
        seal(state, problem, run.method.name, run.certifier.dual)
    free = np.repeat(problem.penalty.alpha == 0, problem.columns.n_outputs)
    if problem.penalty.own is not None:
        free = free | np.append(problem.penalty.own.factor == 0, False)[:, None]
    if problem.loss.shift_invariant and free.any() and not problem.penalty.bounded:
        # softmax: a common change of a row's unpenalised outputs changes nothing; sum to 0
        W = W - np.where(free, W.mean(axis=1, keepdims=True), 0.0).astype(W.dtype)
    result = Result(
        coef=(W[:-1, 0] if W.shape[1] == 1 else W[:-1]).copy(),
        intercept=plain(certificate.intercept),
        objective=plain(certificate.objective),
        dual_gap=plain(certificate.gap),
        n_iter=run.passes,
        trace=np.array(run.records, dtype=trace_dtype(problem.columns.n_problems)),
        solver=run.method.name,
        status=status,
        message=SENTENCES[status],
        state=state if keep_state else {},
    )
    if warn:
        at_floor = run.tol <= SETTLED
        warn_if_short(
            result, run.target(), certificate, problem, theory=run.mend, at_floor=at_floor
        )
    return result


def _zeros(problem: Problem, name: str, certifier: Certifier) -> Result:
    """The result of max_iter=0: all coefficients and intercepts 0."""
    certificate = certifier.at_zero()
    return Result(
        coef=np.zeros(
            (problem.rows.n_features, problem.K)[: 1 if problem.K == 1 else 2], problem.dtype
        ),
        intercept=plain(certificate.intercept),
        objective=plain(certificate.objective),
        dual_gap=plain(certificate.gap),
        n_iter=0,
        trace=np.empty(0, dtype=trace_dtype(problem.columns.n_problems)),
        solver=name,
        status=Status.MAX_ITER,
        message=SENTENCES[Status.MAX_ITER],
        state={},
    )


def check_settings(
    *, tol: float, max_iter: int, max_time: float | None = None, step_size: float | None = None
) -> None:
    """Raises ValueError for a setting out of range."""
    if not (isinstance(tol, Real) and np.isfinite(tol) and tol >= 0):
        raise ValueError(f"tol must be a finite number >= 0, got {tol!r}")
    if isinstance(max_iter, bool) or not hasattr(max_iter, "__index__") or max_iter < 0:
        raise ValueError(f"max_iter must be an integer >= 0, got {max_iter!r}")
    for name, value in (("max_time", max_time), ("step_size", step_size)):
        good = value is None or (isinstance(value, Real) and np.isfinite(value) and value > 0)
        if not good:
            raise ValueError(f"{name} must be a positive number or None, got {value!r}")


def check_options(
    kind: type[Method] | type[Auto], given: Mapping[str, object] | None
) -> Mapping[str, object]:
    """The settings of a solver's own; a ValueError for names that it does not have."""
    known = kind.options if issubclass(kind, Method) else {}
    unknown = [name for name in given or {} if name not in known]
    if unknown:
        raise ValueError(
            f"solver_options {unknown} are unknown to solver={kind.name!r}; it has "
            f"{dict(known) or 'none'}"
        )
    return given or {}


def seed_of(random_state: int | np.random.RandomState | None) -> int:
    """The seed that a random_state stands for; None is a fixed one."""
    if random_state is None:
        return 0
    if isinstance(random_state, Integral) and 0 <= int(random_state) < 1 << 32:
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
