"""What a fit shows while it runs: the callback's view and the bar behind verbose=1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from fastsum.certificate import Certificate


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


class ProgressBar:
    """tqdm bar over passes with objective and gap; does nothing at verbose=0."""

    def __init__(self, verbose: int, solver: str, max_iter: int):
        self._bar: Any = tqdm(total=max_iter, desc=solver, unit="pass") if verbose else None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(
        self,
        passes: int,
        certificate: Certificate,
        target: npt.NDArray[np.float64],
        phase: str,
    ) -> None:
        """Moves to `passes`; shows the phase and the problem that is furthest from its target."""
        if self._bar is None:
            return
        gap = np.where(np.isfinite(certificate.gap), certificate.gap, 0.0)
        worst = int(np.argmax(gap - target))
        self._bar.set_postfix(
            phase=phase,
            objective=f"{certificate.objective[worst]:.6g}",
            gap=f"{certificate.gap[worst]:.1e}",
            target=f"{target[worst]:.1e}",
            refresh=False,
        )
        self._bar.update(passes - self._bar.n)
