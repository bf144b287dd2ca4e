"""Stubs of the compiled modules, free threading, versions and workflows."""

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "fastsum" / "_core"
COMPILED = sorted(path.stem for path in CORE.glob("*.pyx"))


def stub(name):
    """Return {function: [(parameter, has a default)]} and {class: members} of a stub."""
    functions, classes = {}, {}
    for node in ast.parse((CORE / f"{name}.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = parameters(node)
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = node
    return functions, classes


def parameters(node):
    a = node.args
    plain = [*a.posonlyargs, *a.args]
    with_default = len(plain) - len(a.defaults)
    names = [(arg.arg, k >= with_default) for k, arg in enumerate(plain)]
    pairs = zip(a.kwonlyargs, a.kw_defaults, strict=True)
    return names + [(arg.arg, default is not None) for arg, default in pairs]


def members(node):
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            yield item.name
        elif isinstance(item, ast.AnnAssign):
            yield item.target.id


def found(function):
    empty = inspect.Parameter.empty
    signature = inspect.signature(function)
    return [(p.name, p.default is not empty) for p in signature.parameters.values()]


@pytest.mark.parametrize("name", COMPILED)
def test_stubs_are_of_the_compiled_functions(name):
    module = importlib.import_module(f"fastsum._core.{name}")
    functions, classes = stub(name)
    own = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert own == set(functions) | set(classes)
    for key, expected in functions.items():
        assert found(getattr(module, key)) == expected, key


@pytest.mark.parametrize("name", COMPILED)
def test_stubs_are_of_the_compiled_classes(name):
    module = importlib.import_module(f"fastsum._core.{name}")
    for key, node in stub(name)[1].items():
        compiled = getattr(module, key)
        listed = set(members(node)) - {"__init__"}
        shown = {member for member in vars(compiled) if not member.startswith("_")}
        assert listed == shown, key


def test_every_compiled_module_has_a_stub_and_is_built():
    build = (CORE / "meson.build").read_text(encoding="utf-8")
    assert COMPILED == sorted(re.findall(r"'(_\w+)'", build.split("]")[0]))
    assert {path.stem for path in CORE.glob("*.pyi")} == set(COMPILED)


# --- free threading -------------------------------------------------------------------------------


def test_compiled_modules_declare_that_they_need_no_lock():
    build = (CORE / "meson.build").read_text(encoding="utf-8")
    assert "-Xfreethreading_compatible=True" in build


CPP = [p for p in (ROOT / "src_cpp").rglob("*") if p.suffix in {".hpp", ".cpp"}]
# at the beginning of a line: a variable of a namespace, neither constant nor atomic
MUTABLE = re.compile(
    r"^(?:static |inline |thread_local )*(?!.*\b(?:const|constexpr|using|atomic)\b)"
    r"(?:int|bool|double|float|char|auto|u?int\d+_t|std::\w+(?:<[^;()]*>)?)\s*\*?\s*\w+\s*(?:=|;|\{)"
)

LOCAL = re.compile(
    r"^\s+static (?!const|inline|std::once_flag)[\w:<>]+\s*\*?\s*\w+\s*(?:=|;|\{)"
)  # of a function


def test_kernels_have_no_mutable_globals():
    for path in CPP:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not MUTABLE.match(line), f"{path.name}: {line}"
            assert not LOCAL.match(line), f"{path.name}: {line}"


def test_the_search_for_globals_sees_them():
    for line in ("static int calls = 0;", "double cache;", "inline bool ready{false};"):
        assert MUTABLE.match(line)
    assert LOCAL.match("  static int calls = 0;")
    for line in ("const int kGuard = 1;", "std::atomic<bool> forked{false};", "double f(int a) {"):
        assert not MUTABLE.match(line)


def test_cython_modules_assign_no_globals():
    """`global` in a function, or a container of a module that a function writes to."""
    for path in CORE.glob("*.pyx"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s+global ", text, re.M), path.name
        for name in re.findall(r"^(?:cdef \w+ )?([A-Z_]+)\b.*=", text, re.M):
            inside = re.findall(rf"^[ \t]+{name}(?:\[.*\])?\s*[-+*]?=[^=]", text, re.M)
            assert not inside, f"{path.name}: {inside}"


# --- versions and workflows -----------------------------------------------------------------------

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_oldest_versions_tested_are_those_allowed():
    allowed = dict(re.match(r"([\w-]+)>=([\d.]+)", r).groups() for r in PROJECT["dependencies"])
    text = (ROOT / "tests" / "packaging" / "oldest.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+?)(?:\.\*)?$", text, re.M))
    assert pinned == allowed


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_are_well_formed_and_run_files_that_exist(path):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    text = path.read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs and all("runs-on" in job and job["steps"] for job in jobs.values())
    scripts = set(re.findall(r"(?<![\w/.{])((?:tests|benchmarks|\.ci)/[\w/]+(?:\.\w+)?)", text))
    assert all((ROOT / script).exists() for script in scripts), scripts


def test_workflows_cover_the_matrix_of_the_readme():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    for part in ("ubuntu-24.04-arm", "macos-14", '"3.11"', '"3.14"', "3.14t", "oldest"):
        assert part in text
    nightly = (ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8")
    assert "scientific-python-nightly-wheels" in nightly
