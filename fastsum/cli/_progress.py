"""The progress bar of a fit: how far the certified gap has come, on a log scale."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from fastsum.jobs import Recipe


class FitProgress:
    """A progress bar on stderr, fed by the engine's callback.

    The bar is full when the relative gap reaches ``tol``; between it moves with the logarithm
    of the gap, so a linearly convergent solver moves it evenly.

    Parameters
    ----------
    title : str
        What stands before the bar.
    null : float
        Objective of the null model.
    recipe : Recipe
        What is fitted.
    """

    def __init__(self, title: str, null: float, recipe: Recipe) -> None:
        self._null = null
        self._tol = max(recipe.tol, 1e-16)
        self._title = title
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> FitProgress:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=1.0, state="starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, info: Any) -> bool:
        """Show the state after a certificate; never stop the fit."""
        gap, objective = float(info.gap), float(info.objective)
        self._show(float(info.passes), objective, gap, self._share(objective, gap))
        return False

    def finish(self, result: Any) -> None:
        """Show the state the fit ended with."""
        self._show(float(result.n_iter), float(result.objective), float(result.dual_gap), 1.0)

    def _share(self, objective: float, gap: float) -> float:
        """Return how much of the way to tol lies behind, in [0, 1]."""
        scale = self._null - (objective - gap)
        if not (math.isfinite(gap) and scale > 0 and self._tol < 1):
            return 0.0
        relative = max(gap / scale, self._tol)
        return min(max(math.log(relative) / math.log(self._tol), 0.0), 1.0)

    def _show(self, passes: float, objective: float, gap: float, share: float) -> None:
        assert self._task is not None  # between __enter__ and __exit__
        state = f"pass {passes:4.0f}  objective {objective:.6g}"
        if math.isfinite(gap):
            state += f"  gap {gap:.1e}"
        self._bar.update(self._task, completed=share, state=state)
