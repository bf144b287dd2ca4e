"""The minimiser of a convex function of one number, from its slopes: Newton inside a bracket.

Plain floats: a fifth of the time of a 150 x 4 fit went into numpy calls on arrays of one number.
"""

from __future__ import annotations

from math import copysign, inf, isfinite, isnan

EPS, TINY = 2.0**-52, 2.0**-1022
# The first point is kept where a step gains no larger share of the value: a slope it leaves beyond
# an eighth of eps outweighs the gaps of the last digits, and one Newton step removes it.
LEAST_GAIN = (EPS / 8) ** 2


class Minimum:
    """Where to look next for the minimum of a convex function.

    The slope never falls, so its sign says on which side the minimum lies. Newton steps, cut to a
    radius until both sides are known; then the middle of the bracket wherever Newton leaves it or
    the Newton step before did not quarter the slope. Straight pieces have no curvature: there the
    tangents of both sides meet in the next point, if the last one halved the bracket.

    Parameters
    ----------
    curvature : float
        The largest curvature possible; sets the first radius.
    floor : float
        The share of the value below which a decrease is none, once a step was made.

    Attributes
    ----------
    best, value, slope : float
        The point of the smallest |slope| so far, the value and |slope| there.
    low, high : (point, value, gradient)
        The ends of the bracket; infinite points where a side is not known.
    """

    __slots__ = (
        "_curvature",
        "_floor",
        "_halved",
        "_radius",
        "_width",
        "best",
        "high",
        "low",
        "slope",
        "value",
    )

    def __init__(self, curvature: float, floor: float):
        self._curvature, self._floor = curvature, floor
        self._radius, self._width, self._halved = 0.0, inf, False
        self.low, self.high = (-inf, inf, 0.0), (inf, inf, 0.0)
        self.best, self.value, self.slope = 0.0, inf, inf

    def after(self, at: float, value: float, gradient: float, curvature: float) -> float | None:
        """The point to look at after `at`; None if the best is the minimum but for rounding."""
        slope = abs(gradient)
        # a tail e^-z falls by e a step: bisected
        fell = slope <= 0.25 * self.slope or self._halved
        first = self._radius == 0.0
        if first:
            self._radius = 10.0 * (1.0 + (slope / self._curvature if slope < inf else 0.0))
        if slope < self.slope or self.value == inf:
            self.best, self.value, self.slope = at, value, slope
        if slope == 0.0 or isnan(gradient) or isnan(value):
            return None
        if gradient < 0:
            self.low = at, value, gradient
        else:
            self.high = at, value, gradient
        step = -gradient / (curvature + TINY)
        width = self.high[0] - self.low[0]
        gain = slope * min(abs(step), width)
        floor = LEAST_GAIN if first else self._floor
        done = gain <= floor * abs(value) or (not fell and gain <= 4 * EPS * abs(value))
        if done and value < inf:
            return None
        if width == inf:
            far = not (first or fell) or not isfinite(step)  # Newton goes down e^z in steps of 1
            step = copysign(self._radius, -gradient) if far else step
            step = max(-self._radius, min(step, self._radius))
            self._radius *= 4.0
            return at + step
        trial = at + step
        if curvature == 0.0 and max(abs(self.low[1]), abs(self.high[1])) < inf:
            (a, F, f), (_, G, g) = self.low, self.high
            trial, fell = a + (F - G + g * width) / (g - f), width <= 0.5 * self._width
        self._width = width
        self._halved = not (fell and self.low[0] < trial < self.high[0])
        if self._halved:
            trial = self.low[0] + 0.5 * width
        return trial if self.low[0] < trial < self.high[0] else None
