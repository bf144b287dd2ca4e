#!/usr/bin/env python3
"""Fuzz what reads bytes of others: CSR structures, svmlight text, model files, store manifests.

``fuzz.py [TARGET ...] --inputs N --seed S``. Each input is a seed of ``corpus/`` or a made one,
changed at random: bits, bytes, numbers at their borders, pieces cut or doubled. It is read as a
user's file would be; the only allowed outcomes are a result and a ValueError or TypeError that
says why. Whatever else happens, a crash of the process included, is a finding: the input is
written to the folder of ``--findings``, and the command ends with 1.

CSR structures that are accepted are used in a product that scipy and numpy repeat.
"""

import argparse
import faulthandler
import io
import json
import lzma
import random
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import fastsum
from fastsum.data import as_rows
from fastsum.datasets import read_data
from fastsum.store import Dataset, ingest

HERE = Path(__file__).resolve().parent
BORDERS = [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63)]
TOKENS = [b"nan", b"inf", b"-", b":", b"#", b" ", b"\n", b"qid:", b"1e999", b"0x1", b"\x00", b"1:1"]
TOKENS += [b"{", b"}", b"[", b'"', b"null", b"-1", b"1e400", b"18446744073709551616", b"true"]


def changed(data, rng):
    """Return bytes after one to four random changes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 2:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 3:
            del data[at : at + rng.randint(1, 16)]
        elif kind == 4:
            data[at:at] = data[at : at + rng.randint(1, 64)]
        elif kind == 5:
            data[at : at + 8] = (rng.choice(BORDERS) % 2**64).to_bytes(8, "little")
        else:
            data[at:at] = str(rng.choice(BORDERS)).encode()
    return bytes(data)


class Target:
    """What is fuzzed: seeds, and one reading of an input."""

    def __init__(self, folder):
        self.folder = Path(folder)
        corpus = sorted((HERE / "corpus" / self.name).glob("*"))
        self.seeds = [path.read_bytes() for path in corpus] + self.made()


class Csr(Target):
    """Arrays of a CSR matrix, as scipy holds what nobody has checked."""

    name = "csr"

    def made(self):
        return [b""]

    def input(self, rng):
        n, d, nnz = rng.randint(1, 6), rng.randint(1, 8), rng.randint(0, 12)
        pointers = sorted(rng.randint(0, nnz) for _ in range(n - 1))
        state = {
            "n": n,
            "d": d,
            "indptr": [0, *pointers, nnz],
            "indices": [rng.randrange(d) for _ in range(nnz)],
            "wide": rng.random() < 0.5,
            "ones": rng.random() < 0.3,
        }
        for _ in range(rng.randint(0, 3)):
            values = state[rng.choice(["indptr", "indices"])]
            if values and rng.random() < 0.8:
                limit = 2**63 if state["wide"] else 2**31
                new = rng.choice([*BORDERS, rng.randint(-3, 15)])
                values[rng.randrange(len(values))] = new if -limit <= new < limit else -1
            elif values:
                del values[rng.randrange(len(values))]
        return json.dumps(state).encode()

    def read(self, data):
        state = json.loads(data)
        kind = np.int64 if state["wide"] else np.int32
        X = sp.csr_matrix((state["n"], state["d"]))
        X.indptr = np.array(state["indptr"], dtype=kind)
        X.indices = np.array(state["indices"], dtype=kind)
        size = len(X.indices)
        X.data = np.ones(size) if state["ones"] else np.arange(1.0, size + 1)
        rows = as_rows(X)
        dense = np.zeros((state["n"], state["d"]))
        for i in range(state["n"]):
            part = slice(X.indptr[i], X.indptr[i + 1])
            np.add.at(dense[i], X.indices[part], X.data[part])
        W = np.linspace(-1, 1, state["d"] + 1)[:, None]
        z = rows.margins(W, 1, np.empty((state["n"], 1)))
        np.testing.assert_allclose(z, dense @ W[:-1] + W[-1], atol=1e-12)


class Svmlight(Target):
    """A text file of rows."""

    name = "svmlight"

    def made(self):
        return [b"1 1:0.5 3:2\n-1 2:1e-3 # note\n\n0 qid:3 1:1\n", b"+1 1:1 2:1 3:1\n-1 7:1\n"]

    def input(self, rng):
        return changed(rng.choice(self.seeds), rng)

    def read(self, data):
        path = self.folder / "input.svm"
        path.write_bytes(data)
        X, y, *_ = read_data(path)
        assert X.shape[0] == len(y) and np.isfinite(X.data).all() and np.isfinite(y).all()


class Model(Target):
    """A model file: the archive's bytes, or a member's, or its header."""

    name = "model"

    def made(self):
        rng = np.random.default_rng(0)
        X, path = rng.standard_normal((30, 3)), self.folder / "model"
        fastsum.save_model(path, fastsum.LogisticRegression().fit(X, np.arange(30) % 2))
        return [path.read_bytes()]

    def input(self, rng):
        data = rng.choice(self.seeds)
        if rng.random() < 0.3:
            return changed(data, rng)
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            names = old.namelist()
            victim = rng.choice(names)
            for name in names:
                member = old.read(name)
                new.writestr(name, changed(member, rng) if name == victim else member)
        return out.getvalue()

    def read(self, data):
        path = self.folder / "input.model"
        path.write_bytes(data)
        model = fastsum.load_model(path, max_bytes=1 << 24)
        assert np.isfinite(model.coef).all() and model.coef.nbytes <= 1 << 24


class Manifest(Target):
    """The manifest of a store, sealed again so that what it says is looked at."""

    name = "manifest"

    def made(self):
        source = self.folder / "data.svm"
        source.write_text("1 1:2 3:1\n0 2:3\n1 1:1\n0 3:2\n")
        self.store = self.folder / "store"
        ingest([source], self.store)
        return [(self.store / "manifest.json").read_bytes()]

    def input(self, rng):
        if rng.random() < 0.3:
            return changed(rng.choice(self.seeds), rng)
        manifest = json.loads(self.seeds[-1])
        for _ in range(rng.randint(1, 3)):
            self.change(manifest, rng)
        if rng.random() < 0.9:
            from fastsum.store._format import seal

            manifest["checksum"] = seal(manifest)
        return json.dumps(manifest).encode()

    def change(self, node, rng):
        """Replace or drop one value, somewhere."""
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = rng.choice(keys)
            if isinstance(node[key], dict | list) and rng.random() < 0.8:
                node = node[key]
                continue
            if rng.random() < 0.15:
                del node[key]
            else:
                node[key] = rng.choice([*BORDERS, 0.5, None, True, "", "float32", "../x", [], {}])
            return

    def read(self, data):
        (self.store / "manifest.json").write_bytes(data)
        rows = Dataset(self.store).rows
        W = np.ones((rows.n_cols + 1, 1), rows.dtype)
        assert np.isfinite(rows.margins(W, 1, np.empty((rows.n_rows, 1)))).all()


TARGETS = {kind.name: kind for kind in (Csr, Svmlight, Model, Manifest)}
REFUSED = (ValueError, TypeError, EOFError, lzma.LZMAError)


def run(kind, inputs, seed, findings):
    """Feed inputs to one target; how many were accepted and how many were findings."""
    rng, accepted, found, start = random.Random(seed), 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = kind(folder)
        last = findings / f"last-{kind.name}"  # of a process that ends
        for _ in range(inputs):
            data = target.input(rng)
            last.write_bytes(data)
            try:
                target.read(data)
                accepted += 1
            except REFUSED:
                pass
            except Exception as error:
                found += 1
                path = findings / f"{kind.name}-{found}"
                path.write_bytes(data)
                print(f"{path}: {type(error).__name__}: {error}", flush=True)
        last.unlink()
    print(
        f"{kind.name}: {inputs:,} inputs, {accepted:,} accepted, {found} findings, "
        f"{time.monotonic() - start:.0f} s"
    )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()) / "findings")
    arguments = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    arguments.findings.mkdir(parents=True, exist_ok=True)
    found = 0
    for name in arguments.targets:
        found += run(TARGETS[name], arguments.inputs, arguments.seed, arguments.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
