"""What a fit returns: status, trace and result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class Status(StrEnum):
    """Why a fit ended."""

    CONVERGED = "converged"
    PRECISION = "precision"
    STATIONARY = "stationary"
    MAX_ITER = "max_iter"
    TIME = "time"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    STREAM = "stream"

    @property
    def reached(self) -> bool:
        """True if the fit got as far as it was asked to, or as the arithmetic allows."""
        return self in (Status.CONVERGED, Status.PRECISION, Status.STATIONARY)


SENTENCES = {
    Status.CONVERGED: "the certified gap is within tol",
    Status.PRECISION: "the certified gap is at the floor of the arithmetic",
    Status.STATIONARY: "the minimum-norm subgradient is within tol of its value at the null model; "
    "without a penalty on every coefficient there is no tight gap",
    Status.MAX_ITER: "max_iter passes were made before the gap was within tol",
    Status.TIME: "max_time ran out before the gap was within tol",
    Status.STOPPED: "the callback asked to stop",
    Status.STREAM: "the rows of a stream were taken as they came; nothing is certified",
    Status.DIVERGED: "the objective grew without bound; the last good point is returned",
}


def trace_dtype(n_problems: int) -> np.dtype[Any]:
    """dtype of a trace: objective and gap have a value a problem if there are several."""
    number = ("f8",) if n_problems == 1 else ("f8", (n_problems,))
    return np.dtype(
        [
            ("phase", "U16"),
            ("passes", "f8"),
            ("seconds", "f8"),
            ("objective", *number),
            ("gap", *number),
        ]
    )


@dataclass(frozen=True)
class Result:
    """Outcome of `fastsum.minimize`.

    Attributes
    ----------
    coef : ndarray of shape (d,) or (d, K), or csc_array of shape (d, K)
        w, in the dtype of X; one column a problem or coupled output. Sparse, K = 1 too, where a
        store has more than 2^24 columns of which at most a quarter is in use.
    intercept : float or ndarray of shape (K,)
        b; exact for the returned w.
    objective : float or ndarray of shape (B,)
        F(w, b) in the units of (1).
    dual_gap : float or ndarray of shape (B,)
        Certified bound on F(w, b) - min F; inf without a certificate.
    n_iter : int
        Passes over the data.
    trace : structured array
        phase, passes, seconds, objective and gap at each certificate.
    solver : str
        Name of the solver that ran.
    status : Status
        Why the fit ended; `message` says it in a sentence.
    state : dict
        Flat dict of arrays, scalars and RNG state; give the Result as ``init=`` to continue.
    """

    coef: Any
    intercept: Any
    objective: Any
    dual_gap: Any
    n_iter: int
    trace: npt.NDArray[Any]
    solver: str
    status: Status
    message: str
    state: dict[str, Any] = field(repr=False)


def each_of(result: Result, C: int, reached: npt.NDArray[np.bool_]) -> list[Result]:
    """The results of problems that were solved side by side, with C outputs each.

    reached (B,) tells which problems were within tol, whatever became of the others.
    """
    several, names = [], ("objective", "gap")
    for b, within in enumerate(reached.tolist()):
        columns = slice(b * C, (b + 1) * C)
        coef, intercept = result.coef[:, columns], result.intercept[columns]
        if C == 1 and isinstance(coef, np.ndarray):  # one that is sparse has its column
            coef = coef[:, 0]
        trace = np.empty(len(result.trace), dtype=trace_dtype(1))
        for name in trace.dtype.names or ():
            trace[name] = result.trace[name][:, b] if name in names else result.trace[name]
        status = Status.CONVERGED if within and not result.status.reached else result.status
        several.append(
            replace(
                result,
                coef=np.ascontiguousarray(coef) if isinstance(coef, np.ndarray) else coef,
                intercept=intercept if C > 1 else intercept[0],
                objective=result.objective[b],
                dual_gap=result.dual_gap[b],
                trace=trace,
                status=status,
                message=SENTENCES[status],
            )
        )
    return several
