"""Losses: names, label domains and sources. The arithmetic is in src_cpp/losses.hpp.

One class per loss; `LOSSES` is the registry every other module and the tests look at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum._core import _registry

FloatArray = npt.NDArray[np.float64]
_CORE = _registry.loss_registry()


class Loss(ABC):
    """Loss of one row as a function of its margins z = x . w + b (docs/maths.md eq. 3).

    Parameters
    ----------
    param : float, default=None
        Its parameter, > 0; None is the default one. A loss without a parameter takes None alone.

    Attributes
    ----------
    name : str
        Registry name, the value of ``loss=``.
    domain : {"real", "sign", "class"}
        Labels: real numbers; -1 and 1 (0 and 1 are mapped); codes 0, ..., C - 1.
    coupled : bool
        True if the C outputs of a problem share one loss value (softmax).
    curvature : float
        Smoothness constant L: the largest eigenvalue of the second derivative; inf if there is no
        largest one, or if the derivative jumps.
    smooth : bool
        Whether the curvature is finite, as steps by theory need it.
    kinked : bool
        True if the derivative jumps: then no second derivative tells of the curvature.
    lipschitz : float
        Largest |l'|; inf if there is none.
    of_residual : bool
        True if it depends on z - y alone: an offset of the margins is one of the targets then.
    shift_invariant : bool
        True if a common shift of the outputs of a problem changes nothing (softmax).
    default_param : float or None
        The parameter taken if none is given; None if the loss has no parameter.
    piecewise_quadratic : bool
        True if its second derivative is 0 or L.
    has_probabilities : bool
        True if the loss is the negative log-likelihood of a probability model.
    """

    name: ClassVar[str]
    domain: ClassVar[str]
    default_param: ClassVar[float | None] = None
    of_residual: ClassVar[bool] = False
    lipschitz: float = np.inf
    piecewise_quadratic: ClassVar[bool] = False
    has_probabilities: ClassVar[bool] = False
    kinked: ClassVar[bool] = False
    shift_invariant: ClassVar[bool] = False

    def __init__(self, param: float | None = None):
        self.param = self.default_param if param is None else self._checked(param)
        self.curvature = _registry.loss_curvature(self.core_id, self.core_param)

    def _checked(self, param: Any) -> float:
        if self.default_param is None:
            having = [name for name, loss in LOSSES.items() if loss.default_param is not None]
            raise ValueError(
                f"loss_param={param!r} has no meaning: loss={self.name!r} has no parameter, only "
                f"{' and '.join(having)} have one; leave it at None"
            )
        number = isinstance(param, Real) and not isinstance(param, bool)
        if not (number and 0 < float(param) < np.inf and 1 / float(param) < np.inf):
            raise ValueError(
                f"loss_param must be a finite number > 0 or None for loss={self.name!r} (None is "
                f"{self.default_param:g}), got {param!r}"
            )
        return float(param)

    @property
    def smooth(self) -> bool:
        """Whether the curvature is finite."""
        return bool(np.isfinite(self.curvature))

    @property
    def core_param(self) -> float:
        """The parameter as the kernels take it: 0 where there is none."""
        return 0.0 if self.param is None else self.param

    @property
    def core_id(self) -> int:
        """Position in src_cpp/losses.def."""
        return int(_CORE[self.name][0])

    @property
    def coupled(self) -> bool:
        """Whether the outputs of a problem share one value."""
        return bool(_CORE[self.name][1])

    def value(self, z: npt.ArrayLike, y: float) -> float:
        """l(z, y) of one row; z is a scalar or (C,)."""
        return float(self._point(0, z, y, 1)[0])

    def derivative(self, z: npt.ArrayLike, y: float) -> FloatArray:
        """l'(z, y) of one row, (C,)."""
        return self._point(1, z, y, np.size(z))

    def second(self, z: npt.ArrayLike, y: float) -> FloatArray:
        """l''(z, y) of one row, (C, C)."""
        size = np.size(z)
        return self._point(2, z, y, size * size).reshape(size, size)

    def conjugate(self, u: npt.ArrayLike, y: float) -> float:
        """l*(u, y) of one row, +inf outside its domain; u is a scalar or (C,)."""
        return float(self._point(3, u, y, 1)[0])

    def dual_feasible(self, u: FloatArray, y: FloatArray) -> FloatArray:
        """The nearest dual points with a finite conjugate, (n, B); for separate outputs."""
        return u

    def mean_slope(self, value: FloatArray, mean_label: FloatArray) -> FloatArray:
        """A bound on the mean |l'| of rows whose mean loss is `value`, (B,)."""
        with np.errstate(invalid="ignore"):  # no loss of no curvature
            bound: FloatArray = np.fmin(np.sqrt(2.0 * self.curvature * value), self.lipschitz)
        return bound

    def reach(self, value: FloatArray, mean_label: FloatArray) -> FloatArray:
        """The size of a margin that costs `value`, (B,).

        Losses are quadratic near their minimum and at most as steep as `lipschitz`.
        """
        return np.sqrt(2.0 * value / self.curvature) + value / self.lipschitz

    def smoothed(self, gamma: float, y: FloatArray, u: FloatArray) -> tuple[Loss, FloatArray]:
        """A smooth loss, and its labels for the labels y and dual points u (n, B).

        But for a constant its conjugate is that of this one plus gamma (v - u)^2 / 2 at v.
        """
        raise NotImplementedError(f"loss={self.name!r} has no smoothed form")

    def lacking(self, labels: FloatArray) -> str:
        """What the labels of all rows with a weight lack for a fit, or an empty string."""
        return ""

    def response(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The prediction of a regression at margins z."""
        return z

    def _point(self, what: int, z: npt.ArrayLike, y: float, size: int) -> FloatArray:
        out = np.empty(size)
        point = np.ascontiguousarray(np.atleast_1d(z), dtype=np.float64)
        _registry.loss_point(self.core_id, self.core_param, what, point, float(y), out)
        return out

    @abstractmethod
    def encode(self, y: npt.NDArray[np.generic]) -> FloatArray:
        """Labels as the kernels see them, float64.

        Raises
        ------
        ValueError
            If the labels do not fit the loss; the message names the losses that do.
        """


def distinct(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct values of y (n,), ascending: `numpy.unique`, without a sort where they are two.

    Of 400,000 labels a sort takes 20 to 40 ms, as long as two passes over their rows.
    """
    if y.ndim == 1 and y.size and y.dtype.kind in "biuf":
        low, high = y.min(), y.max()
        if ((y == low) | (y == high)).all():
            return np.array([low] if low == high else [low, high], dtype=y.dtype)
    return np.unique(y)


class _RealLoss(Loss):
    domain = "real"

    def encode(self, y: npt.NDArray[np.generic]) -> FloatArray:
        """Real targets, (n,) or (n, B)."""
        return np.ascontiguousarray(y, dtype=np.float64)


class Squared(_RealLoss):
    """Squared error.

    l(z, y) = (z - y)^2 / 2,  l*(u, y) = u^2 / 2 + u y,  L = 1.
    """

    name = "squared"
    of_residual = True
    piecewise_quadratic = True


class _ClassLoss(Loss):
    def lacking(self, labels: FloatArray) -> str:
        """Every class needs a row, or its intercept runs to infinity."""
        found = distinct(labels)
        if found.size < 2:
            return (
                f"y has a single class with a positive weight ({found[0]:g}); loss={self.name!r} "
                "needs rows of at least two classes"
            )
        return ""


class _SignLoss(_ClassLoss):
    domain = "sign"

    def encode(self, y: npt.NDArray[np.generic]) -> FloatArray:
        """Labels -1 and 1; 0 and 1 are mapped to them."""
        values = distinct(y)
        if values.size > 2 or not (np.isin(values, (0, 1)).all() or np.isin(values, (-1, 1)).all()):
            shown = ", ".join(map(str, values[:4].tolist()))
            raise ValueError(
                f"loss={self.name!r} needs labels y in {{-1, 1}} or {{0, 1}}, got {values.size} "
                f"distinct values ({shown}{', ...' if values.size > 4 else ''}). For more classes "
                "use loss='multinomial' with codes 0, ..., C - 1; for real targets loss='squared'."
            )
        return np.where(np.asarray(y) > 0, 1.0, -1.0)

    def dual_feasible(self, u: FloatArray, y: FloatArray) -> FloatArray:
        """-y u within [0, Lipschitz constant], for the sign of y."""
        sign = np.sign(y)
        return -sign * np.clip(-sign * u, 0.0, self.lipschitz)


class Logistic(_SignLoss):
    """Logistic loss of labels -1 and 1.

    l(z, y) = log(1 + exp(-y z)),  l*(u, y) = a log a + (1 - a) log(1 - a) with a = -y u in
    [0, 1],  L = 1/4.
    """

    name = "logistic"
    lipschitz = 1.0
    has_probabilities = True


class Multinomial(_ClassLoss):
    """Softmax cross-entropy of class codes 0, ..., C - 1.

    l(z, y) = log sum_c exp(z_c) - z_y,  l*(u, y) = sum_c p_c log p_c with p = u + e_y in the
    simplex,  L = 1/2 (Boehning, Ann. Inst. Statist. Math. 1992).
    """

    name = "multinomial"
    lipschitz = 1.0
    domain = "class"
    has_probabilities = True
    shift_invariant = True

    def encode(self, y: npt.NDArray[np.generic]) -> FloatArray:
        """Class codes 0, ..., C - 1 with C >= 2."""
        codes = np.asarray(y, dtype=np.float64)
        if codes.ndim != 1 or (codes < 0).any() or (codes != np.floor(codes)).any():
            raise ValueError(
                "loss='multinomial' needs y to hold the class codes 0, ..., C - 1; encode other "
                "labels with numpy.unique(y, return_inverse=True) or use an estimator"
            )
        if codes.max() < 1:
            raise ValueError("loss='multinomial' needs at least two classes in y, got one")
        return np.ascontiguousarray(codes)


class SquaredHinge(_SignLoss):
    """Squared hinge loss of labels -1 and 1, in liblinear's scale.

    l(z, y) = max(0, 1 - y z)^2,  l*(u, y) = a^2 / 4 - a with a = -y u >= 0,  L = 2.
    """

    name = "squared_hinge"
    piecewise_quadratic = True


class Huber(_RealLoss):
    """Huber's loss: squared near 0, absolute beyond delta, for targets with outliers.

    With r = z - y, l(z, y) = r^2 / 2 for |r| <= delta, delta (|r| - delta / 2) beyond,
    l*(u, y) = u^2 / 2 + u y for |u| <= delta,  L = 1 (Huber, Ann. Math. Statist. 35, 1964). The
    parameter is delta, in the units of y; 1.35 is scikit-learn's epsilon.
    """

    name = "huber"
    of_residual = True
    piecewise_quadratic = True
    default_param = 1.35

    def __init__(self, param: float | None = None):
        super().__init__(param)
        self.lipschitz = self.core_param

    def dual_feasible(self, u: FloatArray, y: FloatArray) -> FloatArray:
        """|u| <= delta."""
        return np.clip(u, -self.lipschitz, self.lipschitz)


class SmoothedHinge(_SignLoss):
    """Hinge loss of labels -1 and 1, with its corner rounded by a parabola of width gamma.

    With m = y z, l(z, y) = 0 for m >= 1, (1 - m)^2 / (2 gamma) for 1 - gamma <= m <= 1,
    1 - m - gamma / 2 below, l*(u, y) = gamma a^2 / 2 - a with a = -y u in [0, 1],  L = 1 / gamma
    (Shalev-Shwartz, Zhang, JMLR 14, 2013, section 5). The parameter is gamma.
    """

    name = "smoothed_hinge"
    piecewise_quadratic = True
    default_param = 1.0
    lipschitz = 1.0


class Hinge(_SignLoss):
    """Hinge loss of labels -1 and 1, that of support vector machines.

    l(z, y) = max(0, 1 - y z),  l*(u, y) = -a with a = -y u in [0, 1]; no L, for l' jumps at its
    kink (Cortes, Vapnik, Machine Learning 20, 1995).
    """

    name = "hinge"
    lipschitz = 1.0
    kinked = True

    def smoothed(self, gamma: float, y: FloatArray, u: FloatArray) -> tuple[Loss, FloatArray]:
        """Its corner, moved by -gamma u, rounded by a parabola of width gamma."""
        return SmoothedHinge(gamma), y - gamma * u

    def reach(self, value: FloatArray, mean_label: FloatArray) -> FloatArray:
        """The loss begins 1 away from 0."""
        return 1.0 + value


class Poisson(_RealLoss):
    """Half the deviance of Poisson counts y >= 0 with a log link: the mean is e^z.

    l(z, y) = e^z - y z + y log y - y >= 0,  l*(u, y) = m log m - y log y - u with m = u + y >= 0;
    no L, for l'' = e^z has no bound (Nelder, Wedderburn, J. R. Statist. Soc. A 135, 1972).
    """

    name = "poisson"

    def encode(self, y: npt.NDArray[np.generic]) -> FloatArray:
        """Targets >= 0, (n,) or (n, B)."""
        counts = super().encode(y)
        if (counts < 0).any():
            raise ValueError(
                f"loss='poisson' needs y >= 0, got {counts.min():g}; for targets of any sign use "
                "loss='squared' or 'huber'"
            )
        return counts

    def lacking(self, labels: FloatArray) -> str:
        """Without a count the intercept runs to minus infinity."""
        if labels.any(axis=0).all():
            return ""
        return "all y with a positive weight are 0; loss='poisson' needs one that is more"

    def dual_feasible(self, u: FloatArray, y: FloatArray) -> FloatArray:
        """u >= -y."""
        return np.maximum(u, -y)

    def mean_slope(self, value: FloatArray, mean_label: FloatArray) -> FloatArray:
        """By (sqrt(m) - sqrt(y))^2 <= l for the mean m = e^z of a row, and Cauchy-Schwarz."""
        root = np.sqrt(mean_label)
        bound: FloatArray = np.sqrt(2.0 * value * (mean_label + (root + np.sqrt(value)) ** 2))
        return bound

    def reach(self, value: FloatArray, mean_label: FloatArray) -> FloatArray:
        """Of the logarithm of the mean label: y (e^r - 1 - r) <= value bounds r."""
        cost = value / mean_label
        bound: FloatArray = np.maximum(np.sqrt(2.0 * cost), 1.0 + cost)
        return bound

    def response(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """e^z."""
        mean: npt.NDArray[Any] = np.exp(z)
        return mean


class SquaredRows(_RealLoss):
    """Squared error of the C targets of one problem, that a penalty of rows couples.

    l(z) = ||z||^2 / 2, l*(u) = ||u||^2 / 2, L = 1, for targets that are minus the offset (eq. 78):
    `Problem` makes it of "squared".
    """

    name = "squared_rows"
    piecewise_quadratic = True


_CLASSES = (Squared, Logistic, Multinomial, SquaredHinge, Huber, SmoothedHinge, Hinge, Poisson)
LOSSES: dict[str, Loss] = {loss.name: loss() for loss in _CLASSES}


def get_loss(name: str, param: float | None = None) -> Loss:
    """The loss of a name and parameter; a ValueError that lists the registry otherwise."""
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} is unknown; choose one of {sorted(LOSSES)}")
    return LOSSES[name] if param is None else type(LOSSES[name])(param)
