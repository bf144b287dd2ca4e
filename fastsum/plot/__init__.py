"""Displays; matplotlib is imported when one is drawn."""

from fastsum.plot._convergence import ConvergenceDisplay
from fastsum.plot._cv import CVDisplay
from fastsum.plot._path import PathDisplay

__all__ = ["CVDisplay", "ConvergenceDisplay", "PathDisplay"]
