"""`fastsum.store.ingest`: what every kind of source becomes, against other readers and hashes."""

import bz2
import gzip
import itertools
import lzma
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import real_data
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils import murmurhash3_32

import fastsum
from fastsum.store import Dataset, ingest, stream
from fastsum.store._encode import log_bin
from fastsum.store._fields import split_fields
from fastsum.store._hash import PADDING, murmur3
from fastsum.store._settings import Encoding
from fastsum.store._sources import text_blocks

ROWS = "click,site,price\n1,a,0.5\n0,b,\n1,,12\n0,a,3\n"


def matrix_of(data):
    """A Dataset as scipy's matrix in the user's columns, and its labels."""
    parts = [rows.part(rows.blocks[0], 0, rows.n_rows) for rows, _ in data]
    stored = sp.coo_array(sp.vstack(parts))
    at = stored.row, data.columns[stored.col]
    return sp.csr_array((stored.data, at), shape=data.shape), data.y


def as_set(X, y):
    """The rows as a sorted list: their order is chance."""
    X = sp.csr_array(X)
    X.sum_duplicates()
    ends = X.indptr
    return sorted(
        (float(y[i]), X.indices[a:b].tolist(), X.data[a:b].tolist())
        for i, (a, b) in enumerate(itertools.pairwise(ends))
    )


def make_svm(path, n=400, d=300, seed=0, ones=False):
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, d), density=0.05, rng=rng, format="csr")
    if ones:
        X.data[:] = 1.0
    y = np.where(rng.random(n) < 0.4, 1.0, -1.0)
    dump_svmlight_file(X, y, str(path), zero_based=False)
    return load_svmlight_file(str(path), n_features=d, zero_based=False)


# ---- hashes and fields


def test_murmur3_is_scikit_learns():
    rng = np.random.default_rng(0)
    words = [rng.bytes(int(n)) for n in rng.integers(0, 40, size=300)]
    text = np.frombuffer(b"".join(words) + b"\0" * PADDING, dtype=np.uint8)
    lengths = np.array([len(w) for w in words])
    got = murmur3(text, np.cumsum(lengths) - lengths, lengths, 12345)
    assert got.tolist() == [murmurhash3_32(w, seed=12345, positive=True) for w in words]


def test_fields_are_those_of_csv():
    text = b'1,"a, b",2\r\n3,"say ""hi""",4\n\nbad,line\n5,x,6\n'
    fields = split_fields(text, b",", 3, quotes=True)
    assert [s.decode() for s in fields.columns[1].strings(9)] == ["a, b", 'say "hi"', "x"]
    assert fields.columns[2].numbers()[0].tolist() == [2.0, 4.0, 6.0]
    assert fields.bad.tolist() == [3] and fields.lines.tolist() == [0, 1, 4] and fields.found == 2


def test_log_bins_are_criteos():
    x = np.array([0, 1, 2, 3, 10, 1000, -1, -50, 0.5])
    levels = [0, 1, 2, *(int(np.log(v) ** 2) for v in (3, 10, 1000))]
    codes = log_bin(x)
    assert (codes[:6] >> 3).tolist() == levels
    assert len(set(codes.tolist())) == len(x)


def test_text_blocks_hold_whole_lines(tmp_path):
    lines = [b"x" * n + b"\n" for n in range(1, 60)]
    (tmp_path / "t").write_bytes(b"".join(lines)[:-1])
    blocks = list(text_blocks(str(tmp_path / "t"), 100))
    assert b"".join(b.text for b in blocks) == b"".join(lines)
    for block in blocks:
        assert block.text.startswith(lines[block.line - 1])


# ---- svmlight


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("shard_bytes", [1 << 29, 3000])
def test_svmlight_is_kept_to_the_row(tmp_path, ones, shard_bytes):
    X, y = make_svm(tmp_path / "a.svm", ones=ones)
    data = ingest([tmp_path / "a.svm"], tmp_path / "s", n_features=300, shard_bytes=shard_bytes)
    assert data.manifest["storage"] == ("ones" if ones else "csr")
    assert (len(data) > 3) is (shard_bytes < 1 << 29)
    assert as_set(*matrix_of(data)) == as_set(X, y)
    counts = np.bincount(data.rows.matrix().indices, minlength=data.rows.n_cols)
    assert (np.diff(counts) <= 0).all(), "columns are in order of frequency"


def test_many_files_and_every_compression(tmp_path):
    sets = []
    for k, (end, opener) in enumerate(
        {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.items()
    ):
        X, y = make_svm(tmp_path / "plain", n=50, seed=k)
        with opener(tmp_path / f"part{k}.svm{end}", "wb") as stream:
            stream.write((tmp_path / "plain").read_bytes())
        sets += as_set(X, y)
    data = ingest([str(tmp_path / "part*")], tmp_path / "s")
    assert as_set(*matrix_of(data)) == sorted(sets)


def test_order_of_rows_is_shuffled_and_the_same_each_time(tmp_path):
    (tmp_path / "a.svm").write_text("".join(f"{i} 1:1\n" for i in range(500)))
    first = ingest([tmp_path / "a.svm"], tmp_path / "s", shard_bytes=800)
    again = ingest([tmp_path / "a.svm"], tmp_path / "t", shard_bytes=800)
    assert np.array_equal(first.y, again.y) and sorted(first.y) == list(range(500))
    assert abs(np.corrcoef(first.y, np.arange(500))[0, 1]) < 0.2
    assert first.fingerprint == again.fingerprint


# ---- columns with names


def reference_rows(encoding, rows):
    """What (click, site, price) becomes, from the definition with scikit-learn's hash."""
    out = []
    for label, site, price in rows:
        ids = {murmurhash3_32(site, encoding.seed_of("site"), positive=True) % (1 << encoding.bits)}
        code = np.int32(-1) if price == "" else log_bin(np.array([float(price)]))[0]
        seed = encoding.seed_of("price")
        ids.add(murmurhash3_32(code, seed, positive=True) % (1 << encoding.bits))
        out.append((float(label), sorted(int(i) for i in ids), [1.0] * len(ids)))
    return sorted(out)


@pytest.mark.parametrize("kind", ["csv", "tsv", "quoted"])
def test_hashed_columns(tmp_path, kind):
    text = ROWS.replace(",", "\t") if kind == "tsv" else ROWS
    text = text.replace(",a,", ',"a",') if kind == "quoted" else text
    path = tmp_path / f"a.{'tsv' if kind == 'tsv' else 'csv'}"
    path.write_text(text)
    data = ingest([path], tmp_path / "s", target="click", bits=12)
    encoding = Encoding.from_json(data.manifest["encoding"])
    assert encoding.kinds == ["target", "category", "number"]
    rows = [line.split(",") for line in ROWS.splitlines()[1:]]
    assert as_set(*matrix_of(data)) == reference_rows(encoding, rows)


def test_parquet_is_the_same_as_csv(tmp_path):
    arrow = pytest.importorskip("pyarrow", exc_type=ImportError)
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    (tmp_path / "a.csv").write_text(ROWS)
    click, site, price = [1, 0, 1, 0], ["a", "b", None, "a"], [0.5, None, 12.0, 3.0]
    table = arrow.table(
        {"click": click, "site": arrow.array(site).dictionary_encode(), "price": price}
    )
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    text = ingest([tmp_path / "a.csv"], tmp_path / "s", target="click")
    data = ingest([tmp_path / "a.parquet"], tmp_path / "t", target="click")
    assert as_set(*matrix_of(data)) == as_set(*matrix_of(text))


def test_numbers_as_values_and_signs(tmp_path):
    (tmp_path / "a.csv").write_text(ROWS)
    data = ingest([tmp_path / "a.csv"], tmp_path / "s", target="click", numbers="log", signed=True)
    X, _ = matrix_of(data)
    values = sorted(abs(X.data[np.abs(X.data) != 1]).tolist())
    assert np.allclose(values, np.log1p([0.5, 3.0, 12.0]))
    assert set(np.sign(X.data)) <= {-1.0, 1.0}


def test_labels_are_mapped_or_kept(tmp_path):
    (tmp_path / "a.csv").write_text("y,c\nyes,u\nno,v\nyes,v\n")
    assert sorted(ingest([tmp_path / "a.csv"], tmp_path / "s", target="y").y) == [
        "no",
        "yes",
        "yes",
    ]
    mapped = ingest([tmp_path / "a.csv"], tmp_path / "t", target="y", labels={"yes": 1, "no": -1})
    assert sorted(mapped.y) == [-1, 1, 1]
    (tmp_path / "r.csv").write_text("y,c\n" + "".join(f"{i / 7},u\n" for i in range(600)))
    targets = ingest([tmp_path / "r.csv"], tmp_path / "r", target="y")
    assert targets.classes is None and np.array_equal(np.sort(targets.y), np.arange(600) / 7)


def test_split_by_hash_keeps_equal_rows_together(tmp_path):
    lines = [f"1 {i}:1 {i + 400}:1\n" for i in range(1, 301)]
    (tmp_path / "a.svm").write_text("".join(lines * 2))
    ingest([tmp_path / "a.svm"], tmp_path / "s", test_fraction=0.3)
    parts = [Dataset(tmp_path / "s", part) for part in ("train", "test")]
    assert 60 < parts[1].n_rows / 2 < 120 and sum(p.n_rows for p in parts) == 600
    seen = [{tuple(row[1]) for row in as_set(*matrix_of(p))} for p in parts]
    assert not seen[0] & seen[1]


def test_split_by_file_and_a_store_like_another(tmp_path):
    make_svm(tmp_path / "a.svm", n=60)
    Z, z = make_svm(tmp_path / "b.svm", n=30, seed=5)
    ingest([tmp_path / "a.svm"], tmp_path / "s", test=[tmp_path / "b.svm"], n_features=300)
    assert as_set(*matrix_of(Dataset(tmp_path / "s", "test"))) == as_set(Z, z)
    train = ingest([tmp_path / "a.svm"], tmp_path / "t", n_features=300)
    like = ingest([tmp_path / "b.svm"], tmp_path / "u", like=tmp_path / "t")
    assert np.array_equal(like.columns, train.columns) and like.n_features == 300
    used = np.isin(np.arange(300), train.columns)
    assert as_set(*matrix_of(like)) == as_set(sp.csr_array(Z) @ sp.diags_array(used * 1.0), z)
    model = fastsum.FiniteSumClassifier(alpha=1e-2).fit(train)
    assert np.allclose(np.sort(model.decision_function(like)), np.sort(model.decision_function(Z)))


# ---- errors


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "y,c\n1,u\n0\n", {"target": "y"}, "a.csv, line 3: it has 1 fields, expected 2"),
        ("a.csv", "y,x\n1,2\n0,3\n1,q\n", {"target": "y"}, None),  # q makes x a category
        ("a.csv", "y,c\n1,u\n,v\n", {"target": "y"}, "line 3: the label is missing"),
        ("a.csv", "y,c\n1,u\n", {"target": "z"}, "has no column 'z'"),
        ("a.csv", "y,c\n1,u\n", {}, "--target"),
        ("a.svm", "1 1:1\n1 2:x\n", {}, "a.svm, line 2: the value of '2:x' is not a number"),
        ("a.svm", "1 9:1\n", {"n_features": 4}, "column 9, n_features is 4"),
        ("a.bin", "", {}, "does not tell what it holds"),
        ("a.svm.gz", "no gzip", {}, "a.svm.gz: not a whole .gz file"),
        ("a.tsv", "1\t2\n", {"format": "criteo"}, "has 2 fields; Criteo's files have 40"),
        ("a.svm", "", {}, "the sources hold no rows"),
    ],
)
def test_bad_sources_are_named(tmp_path, name, text, options, message):
    (tmp_path / name).write_text(text)
    if message is None:
        ingest([tmp_path / name], tmp_path / "s", **options)
        return
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        ingest([tmp_path / name], tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_bad_lines_are_skipped_and_counted(tmp_path):
    (tmp_path / "a.csv").write_text("y,c\n1,u\n0\n,v\n0,v\n")
    data = ingest([tmp_path / "a.csv"], tmp_path / "s", target="y", on_error="skip")
    assert data.n_rows == 2 and data.manifest["skipped"] == 2
    (tmp_path / "a.svm").write_text("1 1:1\n1 2:x\nno\n0 3:1\n")
    data = ingest([tmp_path / "a.svm"], tmp_path / "t", on_error="skip")
    assert data.n_rows == 2 and data.manifest["skipped"] == 2


def test_settings_out_of_range(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:1\n")
    for options in (
        {"bits": 40},
        {"numbers": "no"},
        {"test_fraction": 1.5},
        {"dtype": "int8"},
        {"on_error": "pray"},
        {"format": "xml"},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            ingest([tmp_path / "a.svm"], tmp_path / "s", **options)
    with pytest.raises(ValueError, match="no such file"):
        ingest([tmp_path / "none.svm"], tmp_path / "s")


def test_several_processes_make_the_same_store(tmp_path, monkeypatch):
    make_svm(tmp_path / "a.svm", n=300)
    make_svm(tmp_path / "b.svm", n=300, seed=1)
    sources = [tmp_path / "a.svm", tmp_path / "b.svm"]
    alone = ingest(sources, tmp_path / "s", n_jobs=1)
    monkeypatch.setattr("fastsum.store._ingest.PARALLEL_FROM", 0)
    done = []
    together = ingest(sources, tmp_path / "t", n_jobs=2, tell=lambda *a: done.append(a))
    assert together.fingerprint == alone.fingerprint
    assert [sum(x) for x in zip(*done, strict=True)] == [
        600,
        sum(p.stat().st_size for p in sources),
    ]


# ---- interruption

KILLED = """
import sys
from fastsum.store import _ingest, _sources
_sources.text_blocks.__defaults__ = (20_000,)
_ingest.ingest([sys.argv[1]], sys.argv[2], shard_bytes=40_000, n_jobs=1)
"""


def kill_until_done(source, out, delays):
    """Runs the ingest in a process that is killed after each delay, then to its end."""
    for delay in [*delays, None]:
        process = subprocess.Popen([sys.executable, "-c", KILLED, source, out])
        if delay is None:
            assert process.wait() == 0
        else:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(out) and not os.path.exists(f"{out}.partial"):
                break


def killed_at_random(tmp_path, n_kills, seed):
    make_svm(tmp_path / "a.svm", n=1500)
    begin = time.perf_counter()
    kill_until_done(str(tmp_path / "a.svm"), str(tmp_path / "whole"), [])
    took = time.perf_counter() - begin
    rng = np.random.default_rng(seed)
    delays = took * (0.4 + 0.6 * rng.random(n_kills))  # the first part is imports
    kill_until_done(str(tmp_path / "a.svm"), str(tmp_path / "cut"), delays.tolist())
    names = sorted(os.listdir(tmp_path / "whole"))
    assert names == sorted(os.listdir(tmp_path / "cut")) and len(names) > 20
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    assert not (tmp_path / "cut.partial").exists()


def test_a_killed_ingest_goes_on_to_the_same_store(tmp_path):
    killed_at_random(tmp_path, 1, 0)


@pytest.mark.full
def test_many_killed_ingests(tmp_path):
    killed_at_random(tmp_path, 20, 1)


def test_an_interrupted_ingest_reads_no_block_twice(tmp_path, monkeypatch):
    from fastsum.store import _ingest

    make_svm(tmp_path / "a.svm", n=3000)
    monkeypatch.setattr("fastsum.store._sources.text_blocks.__defaults__", (20_000,))
    real, made = _ingest.make_piece, []

    def stops(folder, plan, file, block):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(block.number)
        return real(folder, plan, file, block)

    monkeypatch.setattr(_ingest, "make_piece", stops)
    with pytest.raises(KeyboardInterrupt):
        ingest([tmp_path / "a.svm"], tmp_path / "s")
    assert made == [0, 1, 2]
    with pytest.raises(ValueError, match="other sources or settings"):
        ingest([tmp_path / "a.svm"], tmp_path / "s", dtype="float32")
    monkeypatch.setattr(_ingest, "make_piece", lambda *a: made.append(a[3].number) or real(*a))
    data = ingest([tmp_path / "a.svm"], tmp_path / "s")
    assert made == list(range(len(made))) and data.n_rows == 3000
    with pytest.raises(ValueError, match="exists already"):
        ingest([tmp_path / "a.svm"], tmp_path / "s")


# ---- Criteo


@pytest.mark.skipif(real_data.FOLDER is None, reason="needs FASTSUM_TEST_DATA")
def test_criteo_gives_the_log_loss_of_feature_hashing(tmp_path):
    """Against scikit-learn's FeatureHasher and LogisticRegression, whose hash has other seeds."""
    source = os.path.join(real_data.FOLDER, "criteo10k.tsv.xz")
    data = ingest([source], tmp_path / "s", format="criteo", bits=18)
    assert data.n_rows == 10_000 and data.manifest["skipped"] == 0
    model = fastsum.LogisticRegression(C=0.05, tol=1e-8).fit(data)
    ours = log_loss(data.y, model.predict_proba(data)[:, 1])

    with lzma.open(source, "rt") as stream:
        lines = [line.rstrip("\n").split("\t") for line in stream]
    counts = np.array([[float(f or 0) for f in fields[1:14]] for fields in lines])
    bins = log_bin(counts).astype(str)

    def tokens(fields, row):
        for j, field in enumerate(fields[1:]):
            yield f"{j}={row[j] if j < 13 and field else field}"

    hasher = FeatureHasher(1 << 18, input_type="string", alternate_sign=False)
    X = hasher.transform([list(tokens(*both)) for both in zip(lines, bins, strict=True)])
    y = np.array([int(fields[0]) for fields in lines])
    other = LogisticRegression(C=0.05, max_iter=1000).fit(X, y)
    assert abs(ours - log_loss(y, other.predict_proba(X)[:, 1])) < 1e-3


def test_files_are_streamed_as_the_store_has_them(tmp_path):
    (tmp_path / "a.csv").write_text(ROWS)
    data = ingest([tmp_path / "a.csv"], tmp_path / "s", target="click", bits=10)
    X = sp.vstack(list(stream(tmp_path / "a.csv", data.manifest["encoding"])))
    labels = [float(line[0]) for line in ROWS.splitlines()[1:]]
    assert as_set(X, labels) == as_set(*matrix_of(data))
    (tmp_path / "b.csv").write_text("click,site,cost\n1,a,2\n")
    with pytest.raises(ValueError, match="first line names"):
        list(stream(tmp_path / "b.csv", data.manifest["encoding"]))
    (tmp_path / "c.csv").write_text("click,site,price\n,a,2\n0,b\n")
    with pytest.raises(ValueError, match="line 3"):
        list(stream(tmp_path / "c.csv", data.manifest["encoding"]))
