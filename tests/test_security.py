"""No network, no pickle, no file that can take more than its share. SECURITY.md promises these."""

import ast
import io
import json
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastsum
from fastsum import load_model, save_model
from fastsum.jobs.model_file import MAX_HEADER_BYTES
from fastsum.store import Dataset, StoreError, ingest

PACKAGE = Path(__file__).resolve().parent.parent / "fastsum"
SOURCES = sorted(PACKAGE.rglob("*.py"))

NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "asyncio"}
NETWORK |= {
    "socketserver",
    "xmlrpc",
    "telnetlib",
    "poplib",
    "imaplib",
    "aiohttp",
    "httpx",
    "urllib3",
}
CODE = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
# between a fit and the processes it started, over their own pipe, never from a file; the loop of
# the user's own Dask client
ALLOWED = {"distributed/_processes.py": {"pickle"}, "distributed/_dask.py": {"asyncio"}}
CALLS = {"eval", "exec", "compile", "__import__"}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_sources_name_neither_network_nor_pickle(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set())
    assert not set(imported(tree)) & (NETWORK | CODE) - allowed
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if isinstance(node.func, ast.Name):
            assert name not in CALLS, name
        owner = getattr(getattr(node.func, "value", None), "id", "")
        assert (owner, name) not in {("joblib", "load"), ("os", "system")}
        if name == "load" and owner == "np":  # says it, whatever the default is
            given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            assert given.get("allow_pickle") is False
        assert not any(
            k.arg in ("shell", "allow_pickle") and getattr(k.value, "value", True) is not False
            for k in node.keywords
        )


# Ends the process at the first connection or class of a pickle, wherever it comes from.
GUARD = """
import sys
def guard(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "pickle.find_class",
                 "urllib.Request"):
        print("caught", event, arguments, flush=True)
        import os
        os._exit(3)
sys.addaudithook(guard)
"""


def guarded(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", GUARD + textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import pickle, collections; pickle.loads(pickle.dumps(collections.OrderedDict()))",
    ],
)
def test_the_guard_sees_what_it_should(code):
    assert guarded(code).returncode == 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a model and a store."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), np.arange(60) % 2
    save_model(folder / "model", fastsum.LogisticRegression().fit(X, y))
    rows = "\n".join(f"{b} 1:{a[0]:.3f} 2:{a[1]:.3f}" for a, b in zip(X, y, strict=True))
    (folder / "data.svm").write_text(rows + "\n")
    ingest([folder / "data.svm"], folder / "store")
    return folder


def test_fits_models_and_stores_open_no_connection_and_unpickle_nothing(files):
    code = """
        import sys
        import numpy as np, fastsum
        folder = sys.argv[1]
        X, y = fastsum.datasets.load_example("a9a", return_X_y=True)
        fastsum.LogisticRegression(n_jobs=2).fit(X[:2000], y[:2000]).predict(X)
        model = fastsum.load_model(folder + "/model")
        model.predict(np.zeros((2, 4)))
        data = fastsum.store.Dataset(folder + "/store")
        fastsum.minimize(fastsum.Problem(data, alpha=0.1), "saga")
        fastsum.show_versions()
    """
    done = guarded(code, files)
    assert done.returncode == 0, done.stdout + done.stderr


# --- files that ask for too much ------------------------------------------------------------------


def limited(code, *arguments, megabytes=700):
    """Run code that may take so much memory beyond what an import needs."""
    head = """
        import resource, sys
        import numpy as np, fastsum
        from fastsum.store import Dataset
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        most = used + int(sys.argv[-1]) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    """
    code = textwrap.dedent(head) + textwrap.dedent(code)
    return guarded(code, *arguments, megabytes)


def rewrite(source, target, changes):
    """Copy a model file with some members replaced, deflated as a bomb would be."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def header_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(np.load(io.BytesIO(archive.read("header.npy"))).tobytes())


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="setrlimit of Linux")


@linux_only
@pytest.mark.parametrize("lie", [{"n_features": 2**40}, {"n_outputs": 2**61}, {"n_classes": 2**50}])
def test_a_header_that_lies_takes_no_memory(files, tmp_path, lie):
    header = json.dumps({**header_of(files / "model"), **lie}).encode()
    rewrite(files / "model", tmp_path / "m", {"header.npy": npy(np.frombuffer(header, np.uint8))})
    done = limited("fastsum.load_model(sys.argv[1])", tmp_path / "m")
    assert "ValueError" in done.stderr and "MemoryError" not in done.stderr


@linux_only
@pytest.mark.parametrize("member", ["coef.npy", "header.npy", "intercept.npy"])
def test_a_zip_bomb_is_refused_before_it_is_inflated(files, tmp_path, member):
    """256 megabytes of zeros in a few hundred kilobytes, where half of that is allowed."""
    with zipfile.ZipFile(files / "model") as old:
        names = old.namelist()
        with zipfile.ZipFile(tmp_path / "m", "w", zipfile.ZIP_DEFLATED) as new:
            for name in names:
                if name != member:
                    new.writestr(name, old.read(name))
                    continue
                with new.open(name, "w", force_zip64=True) as stream:
                    stream.write(npy(np.zeros(1))[:64])
                    for _ in range(64):
                        stream.write(bytes(1 << 22))
    assert (tmp_path / "m").stat().st_size < 1_000_000
    done = limited("fastsum.load_model(sys.argv[1])", tmp_path / "m", megabytes=128)
    assert "ValueError" in done.stderr and "MemoryError" not in done.stderr


def test_headers_nested_or_long_beyond_measure_are_refused(files, tmp_path):
    for text in (b"[" * 200_000, b'{"a":' * 100_000, b" " * (MAX_HEADER_BYTES + 20_000)):
        member = npy(np.frombuffer(text, np.uint8))
        rewrite(files / "model", tmp_path / "m", {"header.npy": member})
        with pytest.raises(ValueError, match="header"):
            load_model(tmp_path / "m")


@linux_only
def test_a_manifest_that_lies_takes_no_memory(files, tmp_path):
    """Manifests that claim 2^40 rows, and one that is larger than any is allowed to be."""
    from fastsum.store._format import MAX_MANIFEST_BYTES, write_manifest

    manifest = json.loads((files / "store" / "manifest.json").read_text())
    lying = tmp_path / "lying"
    lying.mkdir()
    for path in (files / "store").glob("*.npy"):
        (lying / path.name).write_bytes(path.read_bytes())
    manifest["shards"][0]["n_rows"] = 2**40
    write_manifest(lying, manifest)
    done = limited("Dataset(sys.argv[1])", lying)
    assert "StoreError" in done.stderr and "MemoryError" not in done.stderr
    (lying / "manifest.json").write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(StoreError, match="manifest"):
        Dataset(lying)


@pytest.mark.parametrize("name", ["../model", "/etc/passwd", "a/b", "..", ".hidden", "A", "a\0b"])
def test_no_name_leads_out_of_a_store(files, name):
    from fastsum.store._format import open_inside

    with pytest.raises(StoreError, match="no name of a store's file"):
        open_inside(files / "store", name)


def test_names_of_members_of_an_archive_are_never_paths(files, tmp_path):
    """A model file whose members are called like files elsewhere writes none of them."""
    with zipfile.ZipFile(files / "model") as old, zipfile.ZipFile(tmp_path / "m", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("../../escaped.npy", npy(np.zeros(1)))
        new.writestr("/tmp/fastsum_escaped.npy", npy(np.zeros(1)))
    before = set(tmp_path.iterdir())
    load_model(tmp_path / "m")
    assert set(tmp_path.iterdir()) == before
    assert not (tmp_path.parent.parent / "escaped.npy").exists()
    assert not Path("/tmp/fastsum_escaped.npy").exists()


# What numpy's reader of headers gives to Python's tokenizer, which raises an error of its own.
UNFINISHED = b"\x93NUMPY\x01\x00\x14\x00{'descr': '<f8', '(((" + b" " * 40


def test_headers_of_arrays_that_do_not_end_are_refused(files, tmp_path):
    rewrite(files / "model", tmp_path / "m", {"coef.npy": UNFINISHED, "header.npy": UNFINISHED})
    with pytest.raises(ValueError, match="header"):
        load_model(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("X.npy", UNFINISHED)
        archive.writestr("y.npy", npy(np.zeros(2)))
    with pytest.raises(ValueError, match="not a usable"):
        fastsum.datasets.read_data(tmp_path / "d.npz")
    broken = tmp_path / "store"
    broken.mkdir()
    for path in (files / "store").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "train-00000.indptr.npy").write_bytes(UNFINISHED)
    with pytest.raises(StoreError, match="no npy file"):
        _ = Dataset(broken).rows
