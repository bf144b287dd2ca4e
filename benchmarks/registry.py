"""The objective, data sets and solvers of this folder, found by their files as benchopt does."""

import importlib
import re
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent


def load(folder, class_name):
    """{name: class} of a folder's modules."""
    found = {}
    for path in sorted((HERE / folder).glob("[a-z]*.py")):
        module = importlib.import_module(f"benchmarks.{folder}.{path.stem}")
        found[getattr(module, class_name).name] = getattr(module, class_name)
    return found


def datasets():
    return load("datasets", "Dataset")


def solvers():
    """All variants of all solvers."""
    return [
        cls.get_instance(solver=v)
        for cls in load("solvers", "Solver").values()
        for v in cls.parameters["solver"]
    ]


def objective(spec):
    """The objective of ``"task[reg=..., fit_intercept=...]"``."""
    from benchmarks.objective import Objective

    task, options = parse(spec)
    return Objective.get_instance(task=task, **options)


def dataset(spec):
    """The data set of ``"name[parameter=value, ...]"``."""
    name, options = parse(spec)
    known = datasets()
    if name not in known:
        raise SystemExit(f"no data set {name!r}; there are {sorted(known)}")
    return known[name].get_instance(**options)


def parse(spec):
    """('name', {parameter: value}) of ``"name[parameter=value, ...]"``."""
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\[(.*)\])?\s*", spec)
    if not match:
        raise SystemExit(f"{spec!r} is not of the form name[parameter=value, ...]")
    pairs = [pair.split("=") for pair in (match[2] or "").split(",") if pair.strip()]
    return match[1], {name.strip(): _value(value.strip()) for name, value in pairs}


def _value(text):
    if text in ("True", "False"):
        return text == "True"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            pass
    return text


def show():
    from benchmarks.objective import Objective

    table = Table("kind", "name", "parameters (first value: default)", "state")
    table.add_row("objective", "", str(Objective.parameters), "")
    for name, cls in datasets().items():
        table.add_row("data set", name, str(cls.parameters), cls.get_instance().unavailable() or "")
    for solver in solvers():
        state = solver.missing() or "installed"
        table.add_row("solver", solver.label, "", state)
    Console().print(table)
