"""Axes to draw on; the only import of matplotlib."""

from __future__ import annotations

from typing import Any


def axes_for(ax: Any) -> Any:
    """`ax`, or the axes of a new figure if None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install 'fastsum[plot]'") from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax
