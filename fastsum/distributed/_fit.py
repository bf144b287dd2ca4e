"""`fit`: one problem over the rows of many workers, minimised to a certified accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.certificate import Certifier
from fastsum.columns import Columns
from fastsum.data import Rows, as_rows
from fastsum.distributed._certifier import RemoteCertifier
from fastsum.distributed._communicator import Communicator, WorkerLost
from fastsum.distributed._connect import connected
from fastsum.distributed._engine import Engine, RemoteRounds
from fastsum.distributed._partitions import of_dask, partitions
from fastsum.distributed._shard import versions
from fastsum.losses import get_loss
from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._minimize import check_settings, result_of
from fastsum.solvers._progress import Callback, ProgressBar
from fastsum.threads import blas_threads, resolve_n_threads

__all__ = ["DistributedResult", "Settings", "fit", "fit_with", "of_dask"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DistributedResult(Result):
    """A `fastsum.Result`, with what it took.

    Attributes
    ----------
    classes : ndarray or None
        The sorted labels; None for losses of real targets.
    problem : Problem
        What was minimised, on a few rows of every worker.
    n_rounds : int
        Messages to all workers and back, those of the set-up not counted.
    sent, received : int
        Bytes of arrays to the workers and back, of all of them together.
    replaced : int
        Shards that were made again because their worker was lost.
    """

    classes: Array | None
    problem: Problem
    n_rounds: int
    sent: int
    received: int
    replaced: int


@dataclass(frozen=True)
class Settings:
    """What to minimise, and how far; the parameters of `fit`.

    `coupled` takes "multinomial" for more than two classes. `total_penalty` stands for an alpha of
    that over the sum of the weights.
    """

    loss: str
    loss_param: float | None = None
    alpha: float | None = None
    total_penalty: float | None = None
    coupled: bool = False
    fit_intercept: bool = True
    tol: float = 1e-4
    max_iter: int = 1000
    max_time: float | None = None
    n_jobs: int | None = None
    callback: Callback | None = None
    verbose: int = 0


def fit(
    X: Any,
    client: Any = None,
    *,
    y: Any = None,
    sample_weight: Any = None,
    loss: str = "logistic",
    loss_param: float | None = None,
    alpha: float = 1e-4,
    l1_ratio: float = 0.0,
    fit_intercept: bool = True,
    tol: float = 1e-4,
    max_iter: int = 1000,
    max_time: float | None = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> DistributedResult:
    """Minimises docs/maths.md eq. (1) over rows that are spread over workers.

    Each worker keeps its rows, prepared, and answers with sums over them. Local solves, corrected
    by the gradient of all rows (DANE), come first where they pay, Newton steps by conjugate
    gradients after them. The gap is that of all rows: the dual point is separable over them, and
    its parts stay on the workers.

    Parameters
    ----------
    X : Dataset, sequence of partitions, dask Array, or dask DataFrame
        A `fastsum.store.Dataset`, whose blocks are dealt to the workers; or a list of ``(X, y)`` or
        ``(X, y, sample_weight)``, one a worker, of one number of columns and one dtype; or what
        dask holds in blocks of rows, of known sizes or not, with all columns in each.
    client : dask.distributed.Client, Communicator, int or None
        Who works: the workers of a cluster; an own way to talk; processes of this machine with
        shared memory, as many as the number says; or None for this process alone.
    y, sample_weight : array-like, dask Array, Series or None
        Of X from dask: labels, and weights >= 0, in the same blocks of rows. A Dataset has labels.
    loss : str, default="logistic"
        A smooth loss of `fastsum.losses.LOSSES`. Labels of classes may be anything that sorts; more
        than two are one problem each against the rest, or coupled by "multinomial".
    loss_param, alpha, l1_ratio, fit_intercept : as in `fastsum.Problem`
        alpha > 0 and l1_ratio = 0.
    tol, max_iter, max_time, callback, verbose : as in `fastsum.minimize`
    n_jobs : int, default=None
        Threads of each worker; None is 1.

    Returns
    -------
    DistributedResult

    Raises
    ------
    ValueError
        If partitions do not fit together, a loss or penalty is not served, workers have other
        versions, or there are none.
    WorkerLost
        If workers are lost again and again.

    Warns
    -----
    ConvergenceWarning
        If the accuracy asked for was not reached.

    Examples
    --------
    >>> from fastsum.datasets import make_click_log
    >>> from fastsum.distributed import fit
    >>> X, y = make_click_log(2000, 5000, random_state=0)
    >>> result = fit([(X[:1000], y[:1000]), (X[1000:], y[1000:])], alpha=1e-3)
    >>> str(result.status), result.coef.shape
    ('converged', (5000,))
    """
    check_settings(tol=tol, max_iter=max_iter, max_time=max_time)
    check_served(loss, loss_param, alpha, l1_ratio)
    settings = Settings(
        loss,
        loss_param,
        float(alpha),
        fit_intercept=bool(fit_intercept),
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        n_jobs=n_jobs,
        callback=callback,
        verbose=verbose,
    )
    return fit_with(X, client, y, sample_weight, settings)


def fit_with(
    X: Any, client: Any, y: Any, sample_weight: Any, settings: Settings
) -> DistributedResult:
    """`fit`, with checked settings."""
    with connected(client, lambda n: partitions(X, y, sample_weight, n)) as communicator:
        return minimize_over(communicator, settings)


def check_served(loss: str, loss_param: float | None, alpha: Any, l1_ratio: Any) -> None:
    """A ValueError, with the remedy, for what distributed fits do not serve."""
    if get_loss(loss, loss_param).kinked:
        raise ValueError(
            f"loss={loss!r} has a kink, and a distributed fit needs a smooth loss: use "
            "'smoothed_hinge' or 'squared_hinge', or fit on one machine"
        )
    for name, value in (("alpha", alpha), ("l1_ratio", l1_ratio)):
        if np.ndim(value) or not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not alpha > 0:
        raise ValueError(
            f"alpha={alpha!r}: a distributed fit needs an l2 part; give a small alpha > 0, or use "
            "fastsum.minimize on one machine"
        )
    if l1_ratio != 0:
        raise ValueError(
            f"l1_ratio={l1_ratio!r}: a distributed fit serves l2 alone. fastsum.minimize and "
            "`fastsum fit` serve l1 on one machine, out of memory from a store"
        )


def minimize_over(communicator: Communicator, settings: Settings) -> DistributedResult:
    """The fit itself, on the shards of a communicator."""
    problem, classes, told = stated(communicator, settings)
    n_rows = sum(reply["n_rows"] for reply in told)
    mean_label = sum(reply["label_sum"] for reply in told) / problem.total_weight
    communicator.rounds = communicator.sent = communicator.received = 0
    start = null_intercept(problem, classes, told, mean_label)
    arguments = problem, communicator, n_rows, mean_label, start, settings.tol
    certifier = patiently(communicator, lambda: RemoteCertifier(*arguments))
    engine = Engine(problem, certifier, communicator, n_rows)
    run = RemoteRounds(engine, communicator, certifier, settings.tol)
    # workers may be on this machine: threads of BLAS would spin on their cores
    with (
        ProgressBar(settings.verbose, engine.name, settings.max_iter) as bar,
        blas_threads(1, np.inf),
    ):
        status = run.loop(settings.max_iter, settings.max_time, False, settings.callback, bar)
    result = result_of(run, problem, status, keep_state=False)
    return DistributedResult(
        **vars(result),
        classes=classes,
        problem=problem,
        n_rounds=communicator.rounds,
        sent=communicator.sent,
        received=communicator.received,
        replaced=run.replaced,
    )


def null_intercept(
    problem: Problem, classes: Array | None, told: Sequence[dict[str, Any]], mean: float
) -> npt.NDArray[np.float64]:
    """About the best intercept of the null model, (K,), from the weights of the labels."""
    if not problem.fit_intercept:
        return np.zeros(problem.K)
    if classes is None:
        return np.full(1, np.log(mean) if problem.loss.name == "poisson" else mean)
    weights = np.zeros(len(classes))
    for reply in told:
        weights[np.searchsorted(classes, reply["labels"])] += reply["label_weights"]
    columns, codes = problem.columns, np.arange(len(classes), dtype=np.float64)
    separate = columns.targets == "shared" and not problem.loss.coupled
    labels = np.array([-1.0, 1.0]) if separate else codes
    empty = Problem(
        np.zeros((len(labels), 1)),
        labels,
        loss=problem.loss.name,
        loss_param=problem.loss.param,
        sample_weight=weights,
        columns=columns,
    )
    return Certifier(empty, 1).null.intercept


def patiently(communicator: Communicator, make: Any) -> Any:
    """What `make` gives, again after a worker was lost."""
    for _ in range(communicator.n_shards + 1):
        try:
            return make()
        except WorkerLost:
            communicator.replace()
    return make()


def stated(
    communicator: Communicator, settings: Settings
) -> tuple[Problem, Array | None, list[dict[str, Any]]]:
    """States the problem, here on a few rows, on the workers on theirs."""
    told = patiently(communicator, lambda: communicator.gather("describe"))
    check_together(told)
    if told[0]["versions"] != versions():
        raise ValueError(
            f"the workers have versions {told[0]['versions']}, this process has {versions()}: "
            "install the same ones"
        )
    total = float(sum(reply["weight"] for reply in told))
    if not total > 0:
        raise ValueError("sample_weight is zero for all rows; give some row a weight")
    classes, columns, name = classes_of(told, settings.loss, settings.coupled)
    loss = get_loss(name, settings.loss_param)
    alpha = settings.alpha if settings.total_penalty is None else settings.total_penalty / total
    stating: dict[str, Any] = {
        "loss": name,
        "loss_param": settings.loss_param,
        "alpha": alpha,
        "fit_intercept": settings.fit_intercept,
    }
    message = {
        **stating,
        "classes": classes,
        "columns": (columns.n_problems, columns.n_outputs, columns.targets),
        "n_threads": resolve_n_threads(settings.n_jobs),
        "total_weight": total,
    }
    described = told
    prepared = patiently(communicator, lambda: communicator.prepare(message, described))
    told = [{**a, **b} for a, b in zip(told, prepared, strict=True)]
    samples, labels = zip(*(reply["sample"] for reply in told), strict=True)
    sample = sp.vstack(samples, format="csr") if sp.issparse(samples[0]) else np.vstack(samples)
    rows = driver_rows(sample, told[0], communicator.columns)
    if loss.name == "poisson" and not sum(reply["label_sum"] for reply in told) > 0:
        raise ValueError(
            "all y with a positive weight are 0; loss='poisson' needs one that is more"
        )
    problem = Problem(
        rows,
        np.concatenate(labels),
        columns=columns,
        **stating,
    )
    return problem.standing_for(None, total), classes, told


def driver_rows(sample: Any, told: dict[str, Any], columns: Array | None) -> Rows:
    """A few rows on the columns in use, with the way back to the columns of the data."""
    sample = sample.astype(np.dtype(told["dtype"]))
    rows = as_rows(sample if columns is None else sample[:, columns], validated=True)
    order = told["column_order"]  # of a store
    if columns is not None:
        order = columns if order is None else order[columns]
    if order is None:
        return rows
    return replace(rows, column_order=order, user_cols=told["n_features"])


def check_together(told: Sequence[dict[str, Any]]) -> None:
    """Partitions must have one number of columns, one dtype and one storage, workers one build."""
    for name, what, remedy in (
        ("n_features", "columns", "give all partitions the same columns"),
        ("n_cols", "columns in use", "take all blocks from one store"),
        ("dtype", "dtype", "convert them to one dtype"),
        ("sparse", "sparse storage", "make all of them sparse, or all dense"),
        ("versions", "versions of its libraries", "install the same ones on all workers"),
    ):
        for number, reply in enumerate(told):
            if reply[name] != told[0][name]:
                raise ValueError(
                    f"partition {number} has {what} {reply[name]}, partition 0 has "
                    f"{told[0][name]}: {remedy}"
                )
    for number, reply in enumerate(told):
        if reply["n_rows"] == 0:
            raise ValueError(f"partition {number} has no rows: leave it out")


def classes_of(
    told: Sequence[dict[str, Any]], name: str, coupled: bool
) -> tuple[Array | None, Columns, str]:
    """The sorted labels of all partitions, the columns and the loss that they make."""
    if get_loss(name).domain == "real":
        for number, reply in enumerate(told):
            if not reply["real"]:
                raise ValueError(f"y of partition {number} holds what is no finite number")
        return None, Columns(), name
    if any(reply["labels"] is None for reply in told):
        raise ValueError(
            f"y has very many different values for loss={name!r}, a loss of classes: for a "
            "quantity use loss='squared'"
        )
    classes = np.unique(np.concatenate([reply["labels"] for reply in told]))
    if len(classes) < 2:
        raise ValueError(
            f"y holds a single class, {classes.tolist()}: a classifier needs at least two"
        )
    if coupled and len(classes) > 2:
        name = "multinomial"
    if get_loss(name).coupled:
        return classes, Columns.coupled(len(classes)), name
    columns = Columns() if len(classes) == 2 else Columns.one_vs_rest(len(classes))
    return classes, columns, name
