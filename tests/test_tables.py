"""Tables of a scalar a row in memory maps: the same bits as in memory."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file

import fastsum
from fastsum.datasets import make_click_log
from fastsum.solvers import _tables
from fastsum.solvers._registry import SOLVERS
from fastsum.solvers._resumable import Resumable
from fastsum.store import ingest

WITH_TABLES = [name for name, kind in SOLVERS.items() if getattr(kind, "tables", ())]


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    X, y = make_click_log(900, 300, n_fields=6, click_rate=0.3, random_state=1)
    dump_svmlight_file(X, y, str(folder / "a.svm"), zero_based=False)
    data = ingest([folder / "a.svm"], folder / "s", shard_bytes=20_000)
    assert len(data) > 1
    return fastsum.Problem(data, alpha=1e-3)


def mapped(state):
    return [name for name, value in state.items() if isinstance(value, np.memmap)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", WITH_TABLES)
def test_maps_change_nothing(problem, solver, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run(init=None):
        return fastsum.minimize(problem, solver, tol=0.0, max_iter=6, init=init)

    first = run()
    rest = run(first)
    assert not mapped(first.state)
    monkeypatch.setattr(_tables, "MAPPED_FROM", 0)
    again = run()
    assert (
        set(mapped(again.state))
        == {name for name in SOLVERS[solver].tables if name in again.state}
        != set()
    )
    assert np.array_equal(again.coef, first.coef) and again.dual_gap == first.dual_gap
    onwards = run(again)
    assert mapped(onwards.state) and np.array_equal(onwards.coef, rest.coef)
    assert list(tmp_path.iterdir()) == []  # files without a name


def test_a_job_goes_on_with_its_tables_mapped(problem, monkeypatch):
    monkeypatch.setattr(_tables, "MAPPED_FROM", 0)
    fit, memories = Resumable(problem, "saga", 1e-6, 1, 0), []

    def keep(_progress, _whole):
        memories.append({k: v.copy() if hasattr(v, "copy") else v for k, v in fit.memory().items()})
        return False

    whole = fit.loop(30, None, keep)
    again = Resumable(problem, "saga", 1e-6, 1, 0)
    memory = memories[1]
    again.recall({k: np.array(v) if isinstance(v, np.memmap) else v for k, v in memory.items()})
    result = again.loop(30, None, lambda *_: False)
    assert mapped(again._run.state) and np.array_equal(result.coef, whole.coef)


def test_data_in_memory_have_no_maps(monkeypatch):
    monkeypatch.setattr(_tables, "MAPPED_FROM", 0)
    X, y = make_click_log(200, 100, n_fields=4, click_rate=0.3, random_state=1)
    result = fastsum.minimize(fastsum.Problem(X, y), "saga", tol=1e-3)
    assert not mapped(result.state)


def test_a_full_disk_is_told_before_the_first_step(problem, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_tables, "MAPPED_FROM", 0)
    monkeypatch.setattr(_tables.os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"does not fit in .*No space.*set TMPDIR") as caught:
        fastsum.minimize(problem, "saga")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="of Linux")
def test_pages_of_a_map_are_not_private(problem, monkeypatch):
    monkeypatch.setattr(_tables, "MAPPED_FROM", 0)

    def private():
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    class Large:
        K, dtype = 1, np.dtype(np.float64)

        class rows:
            n_rows, user_cols = 1 << 23, 1

    before = private()
    table = _tables.new_table(Large)
    table[...] = 1.0
    assert private() - before < table.nbytes / 4
