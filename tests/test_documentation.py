"""The documentation: its code runs, its links lead somewhere, its reference leaves nothing out."""

import importlib
import inspect
import re
import runpy
import shlex
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import typer
from numpydoc.validate import validate
from sklearn.exceptions import ConvergenceWarning

import fastsum
from fastsum.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    if not {"_build", "auto_examples", "generated"} & set(path.parts)
)
# A block of Python after this line names files that a reader has and a test has not.
ILLUSTRATION = "<!-- not run: reads files of yours -->"


def relative(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path):
    """Return the Python blocks of a page that run as they stand."""
    text = path.read_text(encoding="utf-8")
    pattern = rf"({re.escape(ILLUSTRATION)}\n)?^```python\n(.*?)^```$"
    return [code for left_out, code in re.findall(pattern, text, re.M | re.S) if not left_out]


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p)], ids=relative)
def test_the_code_of_a_page_runs(path, tmp_path, monkeypatch, capsys):
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for code in blocks(path):
            exec(compile(code, relative(path), "exec"), namespace)
    plt.close("all")


def command_lines(path):
    """Return the lines of a page's shell blocks that call `fastsum`."""
    shell = re.findall(r"^```bash\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(shell).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("fastsum ")]


@pytest.mark.parametrize("path", [p for p in PAGES if command_lines(p)], ids=relative)
def test_the_commands_of_a_page_parse(path):
    """Their files are the reader's, so they are not run: a wrong option or value is an error."""
    commands = typer.main.get_command(app).commands
    for line in command_lines(path):
        _, name, *arguments = shlex.split(line, comments=True)
        commands[name].make_context(name, arguments)


def test_getting_started_shows_a_certificate():
    page = "".join(blocks(DOCS / "getting_started.md"))
    for part in ("dual_gap_", "status_", "save_model", "sample_weight"):
        assert part in page


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_lead_to_files(path):
    """On the site a link to a page outside of docs/ is plain text, so a build does not tell."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name = target.split("#")[0]
        if not name or re.match(r"https?:|mailto:", name) or "auto_examples" in name:
            continue
        assert (path.parent / name).exists(), f"{relative(path)} links to {target}"


def test_the_gallery_orders_every_example():
    order = runpy.run_path(str(DOCS / "gallery_order.py"))["EXAMPLES"]
    assert sorted(order) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


# --- the API reference ----------------------------------------------------------------------------

REFERENCE = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^   ([\w.]+)$", REFERENCE, re.M)


def test_the_reference_lists_every_public_name():
    modules = {n for n in fastsum.__all__ if inspect.ismodule(getattr(fastsum, n))}
    wanted = set(fastsum.__all__) - modules - {"__version__"}
    for module in modules:
        public = getattr(fastsum, module).__all__
        wanted |= {f"{module}.{name}" for name in public}
    wanted -= {"store.StoreError", "store.text_size", "datasets.DataInfo", "datasets.first_fault"}
    assert wanted <= set(LISTED)


def shown(name):
    """Yield the dotted names that a page of the reference shows."""
    module, _, last = f"fastsum.{name}".rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    yield f"fastsum.{name}"
    template = REFERENCE[: re.search(rf"^   {re.escape(name)}$", REFERENCE, re.M).start()]
    if not template[template.rindex(":template:") :].startswith(":template: class.rst"):
        return
    for key, member in inspect.getmembers(thing):
        own = getattr(member, "__module__", None) or getattr(
            getattr(member, "fget", None), "__module__", ""
        )
        callable_ = inspect.isroutine(member) or isinstance(member, property)
        if not key.startswith("_") and callable_ and own.startswith("fastsum"):
            yield f"fastsum.{name}.{key}"


# Parameters documented, only they and in order; a description for each; what is returned.
RULES = {"GL07", "GL08", "PR01", "PR02", "PR03", "PR04", "PR07", "RT01", "RT03", "SS01"}
READ_ONLY = {
    "Result",
    "RegularizationPath",
    "Status",
}  # made by functions: attributes, no arguments


@pytest.mark.parametrize("name", sorted(set(LISTED) - READ_ONLY))
def test_the_reference_documents_every_parameter(name):
    for path in shown(name):
        errors = [error for error in validate(path)["errors"] if error[0] in RULES]
        assert not errors, path
