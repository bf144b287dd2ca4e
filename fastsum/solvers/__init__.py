"""Solvers: the registry, the rule behind "auto", and `minimize`."""

from fastsum.solvers._minimize import minimize, solve
from fastsum.solvers._registry import SOLVER_NAMES, SOLVERS, resolve_solver

__all__ = ["SOLVERS", "SOLVER_NAMES", "minimize", "resolve_solver", "solve"]
