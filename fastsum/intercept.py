"""The exact intercept: Newton's method on the margins of a point, in docs/maths.md eq. (7)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fastsum.line_search import EPS, LEAST_GAIN, TINY, Minimum

FloatArray = npt.NDArray[np.float64]
# Of a shift (B C,): the loss sums (B,), their gradient (B, C) and curvature (B, C, C), which the
# second argument leaves out.
Terms = Callable[[FloatArray, bool], tuple[FloatArray, FloatArray, FloatArray]]
MAX_NEWTON = 100
FLAT = 1e-6  # of the largest curvature possible: too little for a plain Newton step


def best_shift_of_each(
    terms: Terms, B: int, C: int, L: float, rounding: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The shift that minimises the sums of B problems with C = 1: a line search each, in step.

    Returns the sums (B,), the shift (B,) and the slope that is left (B,); `terms` was last called
    there. L bounds the curvature, `rounding` is that of a sum, squared and relative.
    """
    searches = [Minimum(L, rounding) for _ in range(B)]
    evaluated = _search(terms, searches)
    at, values = [s.best for s in searches], np.array([s.value for s in searches])
    if at != evaluated:  # the derivatives are those of a point not taken
        values = terms(np.array(at), True)[0]
    return values, np.array(at), np.array([s.slope for s in searches])


def best_shift_at_kinks(
    terms: Terms, B: int, rounding: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """The same where slopes jump at the minimum: on which sides of it they cancel.

    Returns the sums and the shift, the shifts just below and just above it, and the share of the
    lower one, (B,) each, with which the two slopes cancel.
    """
    searches = [Minimum(np.inf, rounding) for _ in range(B)]
    _search(terms, searches)
    best, value = np.array([s.best for s in searches]), np.array([s.value for s in searches])
    slope = np.array([s.slope for s in searches])
    (low, at_low, below), (high, at_high, above) = (
        np.array([getattr(s, end) for s in searches]).T for end in ("low", "high")
    )
    between = (slope > 0) & np.isfinite(low) & np.isfinite(high)
    share = np.divide(above, above - below, out=np.ones(B), where=between)
    value = np.where(between, np.minimum(at_low, at_high), value)
    best = np.where(between, np.where(at_low <= at_high, low, high), best)
    return value, best, np.where(between, low, best), np.where(between, high, best), share


def _search(terms: Terms, searches: list[Minimum]) -> list[float]:
    """Goes through all searches in step; the last shift that was looked at."""
    B = len(searches)
    at, live = [0.0] * B, [True] * B
    for _ in range(MAX_NEWTON):
        evaluated = at.copy()
        sums = terms(np.array(at), False)
        value, gradient, curvature = (part.ravel().tolist() for part in sums)
        for b, search in enumerate(searches):
            if live[b]:
                after = search.after(at[b], value[b], gradient[b], curvature[b])
                live[b] = after is not None
                at[b] = search.best if after is None else after
        if True not in live:
            break
    return evaluated


def best_shift_of_coupled(
    terms: Terms, B: int, C: int, L: float, rounding: float, invariant: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same for C coupled outputs; `invariant` if a common shift of them changes nothing.

    Where Newton's method fails or saturated margins leave no curvature, H + (|g| / R) I keeps the
    step within a radius R.
    """
    shift = np.zeros(B * C)
    value, gradient, curvature = terms(shift, False)
    slope = np.abs(gradient).max(axis=1)
    flat = np.trace(curvature, axis1=1, axis2=2) < FLAT * L
    radius = np.where(flat, 10.0 * (1.0 + slope / L), np.inf)
    evaluated, least = shift, LEAST_GAIN
    live = np.ones(B, dtype=bool)
    for _ in range(MAX_NEWTON):
        step = _newton_step(gradient, curvature, slope / radius, invariant)
        todo = live & (-(step * gradient).sum(axis=1) > least * np.abs(value))
        if not todo.any():
            break
        least = rounding
        evaluated = trial = shift + (step * todo[:, None]).ravel()
        new_value, new_gradient, new_curvature = terms(trial, False)
        new_slope = np.abs(new_gradient).max(axis=1)
        # near the minimum the values differ by rounding only; the slopes still tell
        better = new_value <= value + 4 * EPS * np.abs(value)
        better |= (new_slope <= 0.5 * slope) & (new_value <= value * (1 + 1e-9))
        gained = (new_value < value - 4 * EPS * np.abs(value)) | (new_slope <= 0.5 * slope)
        live &= gained | ~better  # else only rounding is left
        radius = np.where(better, 4.0 * radius, 0.25 * np.abs(step).max(axis=1))
        shift = np.where(np.repeat(better, C), trial, shift)
        value = np.where(better, new_value, value)
        slope = np.where(better, new_slope, slope)
        gradient = np.where(better[:, None], new_gradient, gradient)
        curvature = np.where(better[:, None, None], new_curvature, curvature)
    if not np.array_equal(evaluated, shift):  # the derivatives are those of a step not taken
        value = terms(shift, True)[0]
    return value, shift, slope


def _newton_step(
    gradient: FloatArray, curvature: FloatArray, damping: FloatArray, invariant: bool
) -> FloatArray:
    """-(H + damping I)^{-1} g of each problem, (B, C)."""
    B, C = gradient.shape
    if C == 1:
        step: FloatArray = -gradient / (curvature.reshape(B, 1) + damping[:, None] + TINY)
        return step
    # Along (1, ..., 1) an invariant loss has neither curvature nor gradient: any weight will do.
    # In units of the curvature and the damping, or saturated margins would leave a singular H.
    trace = np.trace(curvature, axis1=1, axis2=2)[:, None, None] / C
    scale = np.maximum(trace + damping[:, None, None], 1e-290)
    H = curvature + damping[:, None, None] * np.eye(C) + (trace if invariant else 0.0)
    H = H / scale + EPS * np.eye(C)
    try:
        solved: FloatArray = -np.linalg.solve(H, gradient[:, :, None] / scale)[:, :, 0]
    except np.linalg.LinAlgError:  # infinite or NaN: a diverged point has no step
        return np.zeros_like(gradient)
    return solved
