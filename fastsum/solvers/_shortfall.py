"""What is said when a fit fell short of the accuracy asked for."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from fastsum.certificate import Certificate
from fastsum.problem import Problem
from fastsum.result import Result, Status


def warn_if_short(
    result: Result,
    target: npt.NDArray[np.float64],
    certificate: Certificate,
    problem: Problem,
    *,
    theory: bool,
    at_floor: bool,
) -> None:
    """ConvergenceWarning: how far it got, the likely cause, the remedy."""
    if result.status in (Status.CONVERGED, Status.STATIONARY, Status.STOPPED):
        return
    if result.status is Status.PRECISION and at_floor and problem.dtype == np.float64:
        return  # such a tol asks for the floor
    if result.status is Status.PRECISION:
        text = (
            f"the certified gap is at the floor of {problem.dtype.name} arithmetic, above what tol "
            "asked for: "
            + ("give X in float64 or " if problem.dtype == np.float32 else "")
            + "raise tol"
        )
    elif result.status is Status.DIVERGED:
        remedy = (
            "scale the columns of X and y, whose squares overflow"
            if theory
            else "leave step_size at None for the step of theory, or make it smaller"
        )
        text = f"the objective grew without bound and the last good point is returned: {remedy}"
    else:
        gap = np.where(np.isfinite(certificate.gap), certificate.gap, 0.0)
        worst = int(np.argmax(gap - target))
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
