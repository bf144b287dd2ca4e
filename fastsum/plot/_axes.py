"""Axes to draw on and the look that the displays share; the only import of matplotlib."""

from __future__ import annotations

from typing import Any

OUTSIDE: dict[str, dict[str, Any]] = {
    "right": {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)},
    # as far down as ticks and their label need, in units of the font
    "below": {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": 4.0},
}


def axes_for(ax: Any) -> Any:
    """`ax`, or the axes of a new figure if None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastsum[plot]'") from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def weaker_to_the_right(ax: Any, name: str) -> None:
    """A logarithmic axis of the strengths called `name`: of alpha from greater to smaller ones."""
    ax.set(xlabel=name, xscale="log")
    if name.rpartition("__")[2] != "C" and not ax.xaxis_inverted():
        ax.invert_xaxis()


def legend_outside(ax: Any, handles: list[Any], side: str, **style: Any) -> None:
    """A legend beside the axes if the figure has a layout that makes room for it, else inside."""
    if ax.figure.get_layout_engine() is None:
        ax.legend(handles=handles)
    else:
        ax.legend(handles=handles, frameon=False, **OUTSIDE[side], **style)


class Display:
    """What all displays have after `plot`."""

    ax_: Any
    figure_: Any

    def _drawn_on(self, ax: Any) -> None:
        ax.grid(True, which="major", alpha=0.3)
        self.ax_, self.figure_ = ax, ax.figure
