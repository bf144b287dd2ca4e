"""Displays; matplotlib is imported when one is drawn."""

from fastsum.plot._convergence import ConvergenceDisplay

__all__ = ["ConvergenceDisplay"]
