"""Names of solvers; the only place that maps a name to a method."""

from __future__ import annotations

from fastsum.problem import Problem
from fastsum.solvers import (
    accelerated,
    dual,
    full_gradient,
    preconditioned,
    stochastic,
    variance_reduced,
)
from fastsum.solvers._method import Method
from fastsum.solvers._tables import fits, table_bytes
from fastsum.solvers.auto import Auto
from fastsum.solvers.device_auto import DeviceAuto

GROUPS = (variance_reduced, accelerated, dual, full_gradient, stochastic, preconditioned)
SOLVERS: dict[str, type[Method]] = {m.name: m for group in GROUPS for m in group.METHODS}
SOLVER_NAMES = (Auto.name, *SOLVERS)


def resolve_solver(name: str, problem: Problem) -> type[Method] | type[Auto]:
    """The method of a name, or the phases of "auto".

    Raises
    ------
    ValueError
        If the name is unknown, or the method cannot serve the problem; the message names what is
        missing and which solvers can.
    """
    if name not in SOLVER_NAMES:
        raise ValueError(f"solver={name!r} is unknown; choose one of {list(SOLVER_NAMES)}")
    if name == Auto.name:
        kind = _auto(problem)
        if kind.serves(problem):
            return kind
        if problem.on_device:
            name = "fista"
        else:
            name = "saga" if fits(table_bytes(problem), 0.25) else "svrg"
    method = SOLVERS[name]
    missing = lacks(method, problem)
    if missing:
        able = [Auto.name] if _auto(problem).serves(problem) else []
        able += [n for n, other in SOLVERS.items() if not lacks(other, problem)]
        raise ValueError(
            f"solver={method.name!r} cannot serve this problem: {missing}. Solvers that can: {able}"
        )
    return method


def lacks(method: type[Method], problem: Problem) -> str:
    """What the problem lacks for a method, or an empty string."""
    if problem.own_weights and not method.own_weights:
        return "its problems side by side have weights of their own"
    return method.lacking(problem)


def _auto(problem: Problem) -> type[Auto]:
    """The phases of "auto" where the rows lie."""
    return DeviceAuto if problem.on_device else Auto
