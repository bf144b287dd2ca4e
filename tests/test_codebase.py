"""The repository checks itself: layers, versions, packaging, line budgets, forbidden code, pins.

These tests read files only. They need a checkout (or an unpacked sdist) around ``tests/``.
"""

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from mutation.mutants import equivalents, mutants_of
from mutation.targets import TARGETS

import fastsum

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastsum"

# --- layers ---------------------------------------------------------------------------------------

# Imports run downwards only. A new module is put into one of these layers.
LAYERS = [
    {
        "cli",
        "jobs",
        "distributed",
        "linear_model",
        "plot",
        "model_selection",
        "_versions",
        "callbacks",
    },
    {"solvers"},
    {"prepare"},
    {"problem", "problem_parts", "certificate", "margin_size", "free_columns", "passes"}
    | {"sampling", "null_model", "beside"},
    {"losses", "penalties", "columns", "data", "store", "result", "datasets"}
    | {"intercept", "line_search"},
    {"row_source", "device", "wide", "containers", "sparse_structure"},
    {"threads", "files", "backend"},
    {"_core"},
]
LEVEL = {name: len(LAYERS) - depth for depth, names in enumerate(LAYERS) for name in names}
LEVEL["fastsum"] = len(LAYERS) + 1  # the package itself: re-exports the public names of all layers
LEVEL["__main__"] = LEVEL["fastsum"]  # python -m fastsum

# The only imports between siblings of one layer: {importer: imported}.
SIBLINGS = {
    "beside": {"problem"},  # of which it makes one
    "cli": {"jobs", "plot", "datasets", "linear_model", "_versions", "fastsum"},  # a user of all
    "containers": {"sparse_structure"},  # what it checks before it reads
    "certificate": {"problem", "margin_size", "free_columns", "passes"},  # what is certified
    "free_columns": {"problem"},  # whose columns they are
    "distributed": {"linear_model"},  # whose estimators it gives other rows
    "intercept": {"line_search"},  # of each output
    "model_selection": {"linear_model"},  # whose fits it makes together
    "null_model": {"problem", "certificate"},  # which it certifies
    "passes": {"problem"},  # which they go over
    "plot": {"model_selection"},  # whose results it reads
    "problem": {"problem_parts"},  # what it checks
    "sampling": {"problem"},  # what is sampled
    "store": {"data", "datasets"},  # whose rows it holds, whose text it reads
}


def source_files(*suffixes):
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def relative(path):
    return path.relative_to(ROOT).as_posix()


def unit_of(module):
    """Return the layer table's name of a dotted module: 'fastsum.solvers.saga' -> 'solvers'."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "fastsum"


def module_of(path):
    """Return the package that relative imports in ``path`` start from, and its own dotted name."""
    parts = ("fastsum", *path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__":
        return parts[:-1], ".".join(parts[:-1])
    return parts[:-1], ".".join(parts)


def resolve(package, level, name):
    """Return the absolute name of ``from <level dots><name> import``."""
    if level == 0:
        return name
    base = package[: len(package) - level + 1]
    return ".".join((*base, name)) if name else ".".join(base)


def imports_of_python(path):
    """Yield the absolute module name of each import statement, wherever in the file it stands."""
    package, _ = module_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve(package, node.level, node.module or "")
            # "from . import x" at the top level may name the module x, elsewhere base tells enough
            yield from (f"{base}.{a.name}" if base == "fastsum" else base for a in node.names)


CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<dots>\.*)(?P<base>[\w.]*)\s+c?import\s+(?P<names>[\w, ]+)"
    r"|c?import\s+(?P<plain>[\w.]+))",
    re.MULTILINE,
)


def imports_of_cython(path):
    package, _ = module_of(path)
    for match in CYTHON_IMPORT.finditer(path.read_text(encoding="utf-8")):
        if match["plain"]:
            yield match["plain"]
            continue
        base = resolve(package, len(match["dots"]), match["base"])
        names = (name.split()[0] for name in match["names"].split(",") if name.strip())
        yield from (f"{base}.{name}" if base == "fastsum" else base for name in names)


def is_module(unit):
    return unit in LEVEL or any(PACKAGE.glob(f"{unit}.*")) or (PACKAGE / unit).is_dir()


def fastsum_imports(path):
    """Return the layer-table names that ``path`` imports.

    ``from fastsum import Problem`` names no module: it is an import of the package itself.
    """
    reader = imports_of_python if path.suffix in {".py", ".pyi"} else imports_of_cython
    names = {name for name in reader(path) if name.split(".")[0] == "fastsum"}
    names.discard("fastsum.__version__")  # a string, no module
    units = {unit_of(name) for name in names}
    return {unit if is_module(unit) else "fastsum" for unit in units}


# Inside solvers: what runs a fit, what chooses phases, the phases, and what they stand on.
SOLVER_LAYERS = [
    {"many"},
    {"_resumable", "_one_pass"},
    {"_minimize", "_path", "_memory", "stream"},
    {"_placement", "_shortfall"},
    {"_rounds"},
    {"_registry"},
    {"device_auto"},
    {"auto", "accelerated", "full_gradient", "preconditioned", "stochastic"},
    {"variance_reduced", "dual"},  # which accelerated methods may wrap
    {"phases", "_driver"},
    {"_newton", "_warm_start", "_proximal_point", "_pairs"},
    {"_method", "_progress", "_extrapolation", "_working_set", "_full_pass", "_tables"},
]


def test_imports_between_solvers_run_downwards():
    level = {name: -depth for depth, names in enumerate(SOLVER_LAYERS) for name in names}
    found = 0
    for path in (PACKAGE / "solvers").rglob("*.py"):
        if path.stem == "__init__":
            continue
        importer = path.relative_to(PACKAGE / "solvers").parts[0].removesuffix(".py")
        assert importer in level, f"put {importer!r} into a layer of tests/test_codebase.py"
        for name in imports_of_python(path):
            if not name.startswith("fastsum.solvers.") or name.split(".")[2] == importer:
                continue
            imported, found = name.split(".")[2], found + 1
            assert level[imported] < level[importer], f"{relative(path)} imports {name}"
    assert found > 20, "the reader of imports found nothing"


@pytest.mark.parametrize("path", source_files(".py", ".pyi", ".pyx", ".pxd"), ids=relative)
def test_imports_run_downwards(path):
    _, module = module_of(path)
    unit = unit_of(module)
    assert unit in LEVEL, f"put {unit!r} into a layer of tests/test_codebase.py"
    for other in fastsum_imports(path) - {unit}:
        assert other in LEVEL, f"put {other!r} into a layer of tests/test_codebase.py"
        allowed = LEVEL[other] < LEVEL[unit] or other in SIBLINGS.get(unit, set())
        assert allowed, f"{relative(path)} ({unit}) imports {other}: the arrow must run downwards"


def test_the_import_reader_sees_imports():
    """The reader finds arrows that are known to exist: a blind one would void the test above."""
    arrows = {
        (unit_of(module_of(path)[1]), other)
        for path in source_files(".py", ".pyx")
        for other in fastsum_imports(path)
    }
    assert {("linear_model", "problem"), ("solvers", "certificate")} <= arrows


# --- version and packaging ------------------------------------------------------------------------


def test_version_stands_in_one_place():
    version = (PACKAGE / "VERSION").read_text(encoding="utf-8").strip()
    assert fastsum.__version__ == importlib.metadata.version("fastsum") == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"], "the build takes it from meson.build"
    assert "version: files('fastsum/VERSION')" in (ROOT / "meson.build").read_text(encoding="utf-8")


def test_installed_package_holds_every_source():
    """What no meson.build lists is missing from the wheel, though an editable install has it."""
    installed = {str(name) for name in importlib.metadata.files("fastsum") or []}
    if "fastsum/__init__.py" not in installed:
        pytest.skip("editable install: the sources are read from the checkout")
    wanted = {relative(path) for path in source_files(".py", ".pyi")}
    wanted |= {f"fastsum/{name}" for name in ("py.typed", "VERSION")}
    assert sorted(wanted - installed) == []


def test_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


# --- forbidden code -------------------------------------------------------------------------------

# Standard headers whose templates and inline functions become weak symbols: of those the linker
# keeps one copy for all CPU levels, perhaps the AVX-512 one. tests/cpp/check_symbols.py looks at
# the result.
WEAK_HEADERS = re.compile(
    r"#\s*include\s*<(?:vector|string|map|set|unordered_map|unordered_set|deque|list|queue|array"
    r"|span|memory|algorithm|numeric|functional|optional|variant|tuple|thread|mutex|iostream"
    r"|sstream|random|ranges)>"
)
CPP = sorted(
    p for p in (ROOT / "src_cpp").rglob("*") if p.suffix in {".hpp", ".cpp", ".def", ".cu"}
)


def per_level_sources():
    """Return the sources compiled once per CPU level: the .cpp files and what they include."""
    names = ("level.cpp", "hot.cpp", "family.cpp")
    todo, seen = [ROOT / "src_cpp" / "omp" / name for name in names], set()
    while todo:
        path = todo.pop().resolve()
        if path in seen:
            continue
        seen.add(path)
        names = re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(encoding="utf-8"), re.M)
        for name in names:
            todo += [p for p in (path.parent / name, ROOT / "src_cpp" / name) if p.exists()]
    return sorted(seen)


def test_per_level_sources_use_no_containers():
    sources = per_level_sources()
    assert len(sources) > 3, "the walk over #include lines found nothing"
    for path in sources:
        assert not WEAK_HEADERS.search(path.read_text(encoding="utf-8")), relative(path)


def test_one_module_asks_the_dispatch_for_its_kernels():
    """Each module links its own copy of the dispatch: a CPU level is set in that of _registry."""
    asking = [p.name for p in source_files(".pyx") if "c.kernels()" in p.read_text("utf-8")]
    assert asking == ["_registry.pyx"]


def test_no_fast_math():
    """-ffast-math switches a whole process to flush-to-zero when the library is loaded."""
    flag = re.compile(r"-ffast-math|-Ofast|/fp:fast|optimize.*fast-math|optimize.*Ofast")
    builds = [*ROOT.glob("meson*"), *PACKAGE.rglob("meson.build"), ROOT / "pyproject.toml"]
    for path in [*builds, *source_files(".pyx", ".pxd")]:
        code = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))  # comments may name the flag
        assert not flag.search(code), relative(path)
    for path in CPP:
        assert not flag.search(path.read_text(encoding="utf-8")), relative(path)


# --- line budgets ---------------------------------------------------------------------------------

MAX_FILE, MAX_FUNCTION = 400, 60
# What is longer, with the reason. Docstrings and blank lines of a function are not counted.
LONG_FILES: dict[str, str] = {
    "fastsum/certificate.py": "all that makes a gap, in the order of its proof",
    "fastsum/losses.py": "every loss, side by side",
}
LONG_FUNCTIONS: dict[str, str] = {}


def code_length(node, lines):
    """Count the lines of a Python function without its docstring and its blank lines."""
    skipped = set()
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        skipped = set(range(first.lineno, first.end_lineno + 1))
    span = range(node.lineno, node.end_lineno + 1)
    return sum(1 for n in span if n not in skipped and lines[n - 1].strip())


def python_functions(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, code_length(node, lines)


def cython_functions(path):
    """Yield the functions of a Cython file, each up to the next line not indented deeper."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = re.compile(r"^(\s*)(?:cp?def|def)\s+(?!class|extern|struct|enum)(?:[^=]*?)(\w+)\s*\(")
    for start, line in enumerate(lines):
        if not (match := head.match(line)):
            continue
        indent, length, opened = len(match[1]), 1, "(" in line and ")" not in line
        for later in lines[start + 1 :]:
            if later.strip() and not opened and len(later) - len(later.lstrip()) <= indent:
                break
            opened = opened and ")" not in later
            length += bool(later.strip())
        yield match[2], length


def test_files_are_short():
    paths = [*source_files(".py", ".pyi", ".pyx", ".pxd"), *CPP]
    lengths = {relative(p): len(p.read_text(encoding="utf-8").splitlines()) for p in paths}
    long = {name for name, length in lengths.items() if length > MAX_FILE}
    assert long == set(LONG_FILES), "give the reason in LONG_FILES, or take the entry out"


def test_functions_are_short():
    found = {}
    for path in source_files(".py"):
        found |= {f"{relative(path)}::{name}": length for name, length in python_functions(path)}
    for path in source_files(".pyx"):
        found |= {f"{relative(path)}::{name}": length for name, length in cython_functions(path)}
    long = {name for name, length in found.items() if length > MAX_FUNCTION}
    assert long == set(LONG_FUNCTIONS), "give the reason in LONG_FUNCTIONS, or take the entry out"


# --- tools and documents --------------------------------------------------------------------------


def test_pinned_tools_agree():
    """requirements-lint.txt (for CI) and .pre-commit-config.yaml name the same versions."""
    text = (ROOT / "requirements-lint.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)$", text, re.M))
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooks = re.findall(r"repo: \S+/([\w-]+)\s+rev: v([\w.]+)", text)
    hooks = {re.sub(r"^mirrors-|-pre-commit$", "", name): version for name, version in hooks}
    hooks |= dict(re.findall(r"additional_dependencies: \[([\w-]+)==([\w.]+)\]", text))
    assert hooks == pins


def test_mutants_are_of_all_solvers_and_their_exceptions_exist():
    """The mutation check lists every header of a solver, and no stale mutant as equivalent."""
    solvers = {f"solvers/{path.name}" for path in (ROOT / "src_cpp" / "solvers").glob("*.hpp")}
    assert solvers | {"losses.hpp", "prox.hpp", "omp/passes.hpp"} <= set(TARGETS)
    for (header, line), reason in equivalents().items():
        text = (ROOT / "src_cpp" / header).read_text(encoding="utf-8")
        assert reason and line in {mutant.text for mutant in mutants_of(header, text)}, line


def test_cited_equations_exist():
    """Each number of an equation of docs/maths.md is given once, and the sources cite no other."""
    maths = (ROOT / "docs" / "maths.md").read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"(?:\\tag\{|^\| \()(\d+)[})]", maths, re.M)]
    assert sorted(numbers) == sorted(set(numbers)) and set(numbers) >= set(range(1, 22))
    for path in [*source_files(".py", ".pyx", ".pxd"), *CPP]:
        for line in path.read_text(encoding="utf-8").splitlines():
            cited = re.findall(r"\((\d+)\)", line[line.index("eq. (") :]) if "eq. (" in line else []
            assert {int(n) for n in cited} <= set(numbers), f"{relative(path)}: {line.strip()}"


@pytest.mark.parametrize("name", ["demo", "test"])
def test_readme_names_the_commands_that_ci_runs(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^<!-- ci: {name} -->\n```\w*\n(.+)\n```$", readme, re.M)
    assert block, f"README.md needs one line of shell in a block after <!-- ci: {name} -->"
    assert block[1].startswith("pip install ")
