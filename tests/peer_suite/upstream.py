"""Turns scikit-learn's test modules into tests of ours, as `table.toml` says."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import sklearn
from peer_suite.shims import ALIASES, OURS, SOLVERS, running
from sklearn.base import BaseEstimator

TABLE = tomllib.loads((Path(__file__).parent / "table.toml").read_text())
REASONS, DEFAULTS = TABLE.pop("reasons"), TABLE.pop("defaults")
FIXTURE = type(pytest.fixture(lambda: None, name="any"))
PACKAGE = "sklearn.linear_model.tests"
ELSEWHERE = {"test_glm": "sklearn.linear_model._glm.tests", "test_svm": "sklearn.svm.tests"}


def reason(entry: dict[str, Any]) -> str | None:
    """Why a test does not apply; None if it does."""
    text = entry.get("skip")
    return None if text is None else REASONS.get(text, text)


def class_name(module: str) -> str:
    return "Test" + "".join(part.title() for part in module.split("_")[1:])


def load(module_name: str) -> ModuleType:
    """An own copy of an upstream module, with our classes where it imports theirs."""
    full_name = f"{ELSEWHERE.get(module_name, PACKAGE)}.{module_name}"
    importlib.import_module(full_name)  # so that what it imports in turn sees no substitute
    spec = importlib.util.find_spec(full_name)
    module = importlib.util.module_from_spec(spec)
    with ExitStack() as patches:
        for name, substitute in OURS.items():
            private = sys.modules[substitute.upstream.__module__]
            public = importlib.import_module(private.__name__.split("._")[0])
            for place in (public, private):  # older tests import from either
                patches.enter_context(mock.patch.object(place, name, substitute))
        spec.loader.exec_module(module)
    if hasattr(module, "svm"):  # where the bodies look their classes up
        module.svm = SimpleNamespace(**{**vars(module.svm), "LinearSVC": OURS["LinearSVC"]})
    for name, value in list(vars(module).items()):
        if isinstance(value, FIXTURE):
            setattr(module, name, with_our_params(value))
    # The marks have been made; what follows is seen by the bodies.
    references = {"test_logistic": ("newton-cholesky",), "test_ridge": ("svd",)}.get(
        module_name, ()
    )
    if hasattr(module, "SOLVERS"):
        module.SOLVERS = (*references, *ALIASES)
    for supported in ("SPARSE_SOLVERS_WITH_INTERCEPT", "SPARSE_SOLVERS_WITHOUT_INTERCEPT"):
        setattr(module, supported, tuple(ALIASES))
    return module


def with_our_params(fixture: Any) -> Any:
    """The fixture without the params whose estimators are all scikit-learn's."""
    marker = fixture._fixture_function_marker
    if marker.params is None:
        return fixture
    rows = [value if isinstance(value, tuple) else (value,) for value in marker.params]
    kept = [value for value, row in zip(marker.params, rows, strict=True) if concerns_us(row)]
    return pytest.fixture(params=kept)(fixture._fixture_function)


def tests_of(name: str) -> dict[str, Any]:
    """The tests (and fixtures) of one upstream module, by name."""
    entries = TABLE[name]
    try:
        module = load(name)
    except ImportError as error:
        return {
            test: not_there(f"{PACKAGE}.{name} cannot be imported: {error}") for test in entries
        }
    found: dict[str, Any] = {
        fixture: value for fixture, value in vars(module).items() if isinstance(value, FIXTURE)
    }
    for test, entry in entries.items():
        if reason(entry) is None:
            function = getattr(module, test, None)
            found[test] = (
                not_there(f"scikit-learn {sklearn.__version__} has no {name}.py::{test}")
                if function is None
                else build(function, entry, module)
            )
    return found


def not_there(why: str):
    def test():
        pytest.skip(why)

    return test


def build(function: Any, entry: dict[str, Any], module: ModuleType):
    """The upstream function under our solvers; its code, parametrization and fixtures are kept."""
    solvers = entry.get("solvers", SOLVERS)
    signature = inspect.signature(function)
    marks, names_solver = [], False
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names, values, options = parametrization(mark, entry, solvers)
            names_solver |= "solver" in names
            mark = pytest.mark.parametrize(names, values, **options).mark
        if mark.name != "xfail":
            marks.append(mark)
    asked = {**DEFAULTS.get(module.__name__.rpartition(".")[2], {}), **entry}
    settings = {key: asked[key] for key in ("tol", "max_iter", "references") if key in asked}
    parameters = list(signature.parameters.values())

    if names_solver or "SOLVERS" in function.__code__.co_names:
        names = parameters
    else:  # the solver is not the test's own matter: run it with each
        marks.append(pytest.mark.parametrize("fastsum_solver", solvers).mark)
        names = [*parameters, inspect.Parameter("fastsum_solver", inspect.Parameter.KEYWORD_ONLY)]

    def test(**arguments: Any):
        named = ALIASES.get(arguments.get("solver"), "auto")
        solver = arguments.pop("fastsum_solver", named)
        arguments = {key: with_solver(value, solver) for key, value in arguments.items()}
        with running(solver=solver, **settings):
            function(**arguments)

    test.entry = entry
    test.__name__ = test.__qualname__ = function.__name__
    test.__doc__ = function.__doc__
    test.__signature__ = signature.replace(parameters=names)
    of_module = getattr(module, "pytestmark", [])
    of_module = of_module if isinstance(of_module, list) else [of_module]
    test.pytestmark = [*marks, *(decorator.mark for decorator in of_module)]
    return test


def with_solver(value: Any, solver: str) -> Any:
    """Instances of our estimators among the arguments name the solver they run with."""
    if type(value) in OURS.values():
        return value.__class__(**{**value.get_params(deep=False), "solver": f"fastsum-{solver}"})
    return value


def parametrization(mark: Any, entry: dict[str, Any], solvers: Any) -> tuple[list, list, dict]:
    """Names, rows and options of a parametrize mark, with our solvers and classes only."""
    names, values = mark.args[:2]
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    options = dict(mark.kwargs)
    rows = []
    for value in values:
        if isinstance(value, type(pytest.param())):
            rows.append(tuple(value.values))
        else:
            rows.append(tuple(value) if len(names) > 1 else (value,))
    kept = [concerns_us(row) and not dropped(names, row, entry) for row in rows]
    rows = list(itertools.compress(rows, kept))
    if isinstance(options.get("ids"), list | tuple):
        options["ids"] = list(itertools.compress(options["ids"], kept))
    if "solver" in names:
        options.pop("ids", None)
        at = names.index("solver")
        others = entry.get("with_solver") or unique(row[:at] + row[at + 1 :] for row in rows)
        rows = [
            (*other[:at], f"fastsum-{solver}", *other[at:])
            for other, solver in itertools.product(map(tuple, others), solvers)
        ]
    return names, rows, options


def unique(rows: Any) -> list:
    found: list = []
    for row in rows:
        if not any(row == other for other in found):
            found.append(row)
    return found


def concerns_us(row: tuple) -> bool:
    """False for a row whose estimators are all scikit-learn's."""
    classes = [v if isinstance(v, type) else type(v) for v in row]
    classes = [c for c in classes if issubclass(c, BaseEstimator)]
    return not classes or any(c in OURS.values() for c in classes)


def dropped(names: list[str], row: tuple, entry: dict[str, Any]) -> bool:
    """Whether the table drops a value of this row: drop = { name = ["value", ...] }."""
    drop = entry.get("drop", {})
    return any(
        getattr(value, "__name__", str(value)) in map(str, drop.get(name, ()))
        for name, value in zip(names, row, strict=True)
    )
