"""`ingest`: sources in, a store out, in two passes over the disk with bounded memory.

Pass 1 turns each block of a source into a piece whose rows are dealt to buckets at random; pass 2
gathers a bucket from all pieces, shuffles it and writes a shard. A row's bucket and its place there
are both random, so the rows of the store are in random order. An interrupted ingest finds the
pieces it has and goes on; the store appears at its path by one rename, whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fastsum.files import sync_folder, write_whole
from fastsum.store._assemble import Columns, Piece, assemble
from fastsum.store._dataset import Dataset
from fastsum.store._format import MANIFEST
from fastsum.store._pieces import Block, Plan, blocks_of, found_piece, make_piece
from fastsum.store._schema import check_header, with_schema
from fastsum.store._settings import Encoding, Settings
from fastsum.store._sources import FORMATS, Source, find_sources
from fastsum.threads import resolve_n_threads

PARALLEL_FROM = 1 << 26  # bytes of text: less is over before other processes have started
Path_ = str | os.PathLike[str]
Tell = Callable[[int, int], None]


def ingest(
    sources: Sequence[Path_],
    out: Path_,
    *,
    format: str | None = None,
    target: str | None = None,
    test: Sequence[Path_] = (),
    test_fraction: float = 0.0,
    bits: int = 22,
    signed: bool = False,
    numbers: str = "bins",
    categorical: Sequence[str] = (),
    drop: Sequence[str] = (),
    header: bool | None = None,
    labels: Mapping[str, float] | None = None,
    zero_based: bool = False,
    n_features: int | None = None,
    dtype: str = "float64",
    on_error: str = "stop",
    like: Path_ | None = None,
    names: bool = True,
    seed: int = 0,
    shard_bytes: int = 1 << 29,
    n_jobs: int | None = None,
    tell: Tell | None = None,
) -> Dataset:
    """Makes a store of data files.

    Parameters
    ----------
    sources : sequence of paths or globs
        svmlight, Criteo-style TSV, CSV, TSV or Parquet; .gz, .bz2, .xz and .zst are undone.
    out : path
        The store to make; it must not exist, but for an interrupted ingest of the same call.
    format : {"svmlight", "criteo", "csv", "tsv", "parquet"}, default=None
        None goes by the names of the files.
    target : str, default=None
        The column that is the label; needed but for svmlight and criteo.
    test : sequence of paths or globs, default=()
        Files whose rows are the part "test".
    test_fraction : float, default=0.0
        Share of the rows of `sources` that go to "test", by a hash of the row: equal rows go
        together.
    bits : int, default=22
        Fields are hashed to 2^bits columns, in [1, 32]; only columns in use take memory.
    signed : bool, default=False
        Whether half of the categories are -1 instead of 1, so that collisions cancel on average.
    numbers : {"bins", "log", "raw"}, default="bins"
        What becomes of a number x: the category floor(log(|x|)^2) (itself up to 2), the value
        sign(x) log(1 + |x|), or x. A missing value has a column of its own.
    categorical, drop : sequences of str, default=()
        Columns of numbers that are categories; columns to leave out.
    header : bool, default=None
        Whether the first line of CSV and TSV names the columns (None: yes); else they are c0, c1...
    labels : mapping of str to float, default=None
        What to write for each label.
    zero_based : bool, default=False
        Whether the indices of svmlight start at 0.
    n_features : int, default=None
        Columns of svmlight; None is the largest index.
    dtype : {"float64", "float32"}, default="float64"
        Of values, and of the weights of fits on the store.
    on_error : {"stop", "skip"}, default="stop"
        Whether a malformed line ends the ingest or is left out and counted.
    like : path, default=None
        A store whose columns are to be kept, for data to predict: columns it does not have are
        left out, and the settings of hashing are its own.
    names : bool, default=True
        Whether the store keeps the most frequent categories of each field and their columns, which
        hashes do not tell: `Dataset.names`.
    seed : int, default=0
        Of hashes and of the order of rows.
    shard_bytes : int, default=2**29
        Bytes of text in a shard; memory needed is about twice that, and 250 MB a process.
    n_jobs : int, default=None
        Processes that read blocks.
    tell : callable, default=None
        Called with rows and bytes of text of each block done, for a progress bar.

    Returns
    -------
    Dataset
        The part "train", or the only part there is.

    Raises
    ------
    ValueError
        If a source is malformed (the message names file and line) or a setting is out of range.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format={format!r} is unknown; choose one of {list(FORMATS)}")
    settings = Settings(
        target=target,
        categorical=tuple(categorical),
        drop=tuple(drop),
        header=header,
        labels=dict(labels or {}),
        on_error=on_error,
        test_fraction=test_fraction,
        dtype=dtype,
        n_features=n_features,
        names=names,
        shuffle_seed=seed,
        shard_bytes=shard_bytes,
        encoding=Encoding(bits, signed, numbers, seed, zero_based=zero_based),
    )
    settings.check()
    found = find_sources(sources, format) if sources else []
    if test and test_fraction:
        raise ValueError("give test files or test_fraction, not both")
    held_out = find_sources(test, format, "test") if test else []
    found = [replace(source, part="train") for source in found] if test else found
    if not found + held_out:
        raise ValueError("there are no sources: name at least one file")
    if len({source.format == "svmlight" for source in found + held_out}) > 1:
        raise ValueError("svmlight and columns with names cannot be in one store")
    plan, known = _plan(found + held_out, settings, like)
    return _run(Path(out), plan, known, resolve_n_threads(n_jobs), tell or (lambda _r, _b: None))


def _plan(
    sources: list[Source], settings: Settings, like: Path_ | None
) -> tuple[Plan, Columns | None]:
    """Everything decided; and the columns of the store to be like."""
    known = None
    if like is None:
        settings = with_schema(sources[0], settings)
    else:
        model = Dataset(like, _first_part(like))
        encoding = Encoding.from_json(model.manifest["encoding"])
        known, n = Columns(model.columns), model.n_features
        settings = replace(settings, encoding=encoding, n_features=n, dtype=model.rows.dtype.name)
        if encoding.hashed is (sources[0].format == "svmlight"):
            raise ValueError(f"{sources[0].path} is not of the kind that {like} was made from")
    for source in sources:
        check_header(source, settings)
    test = [source for source in sources if source.part == "test"]
    total = sum(source.text_bytes for source in sources)
    held_out = sum(source.text_bytes for source in test) + total * settings.test_fraction
    size = settings.shard_bytes
    n_test = -(-int(held_out) // size) if held_out else 0
    n_train = max(1, -(-int(total - held_out) // size))
    return Plan(sources, settings, n_train, n_test), known


def _first_part(path: Path_) -> str:
    manifest = json.loads((Path(path) / MANIFEST).read_bytes()) if Path(path).is_dir() else {}
    shards = manifest.get("shards") or [{}]
    return "test" if shards[0].get("part") == "test" else "train"


def _run(out: Path, plan: Plan, known: Columns | None, n_jobs: int, tell: Tell) -> Dataset:
    """Both passes, in a folder beside the store."""
    work = out.with_name(f"{out.name}.partial")
    described = json.dumps({"plan": asdict(plan)}, sort_keys=True, default=str).encode()
    if out.exists() and not (_same_plan(work, described) and (out / MANIFEST).exists()):
        raise ValueError(f"{out} exists already: remove it, or choose another name")
    if not out.exists():
        _prepare_folder(work, described)
        pieces = _pieces(work, plan, n_jobs, tell)
        store = work / "store"
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        assemble(work, store, plan, pieces, known, lambda _rows: None)
        os.rename(store, out)
        sync_folder(out.absolute().parent)
    shutil.rmtree(work)
    return Dataset(out, _first_part(out))


def _same_plan(work: Path, described: bytes) -> bool:
    plan = work / "plan.json"
    return plan.exists() and plan.read_bytes() == described


def _prepare_folder(work: Path, described: bytes) -> None:
    """The folder of the pieces: new, or that of an interrupted ingest of the same plan."""
    if not work.parent.is_dir():
        raise ValueError(f"the folder {work.parent} does not exist; create it first")
    if (work / "plan.json").exists() and not _same_plan(work, described):
        raise ValueError(
            f"{work} belongs to an interrupted ingest of other sources or settings: remove it, or "
            "go on with those"
        )
    work.mkdir(exist_ok=True)
    write_whole(work / "plan.json", lambda stream: _write(stream, described))


def _write(stream: Any, text: bytes) -> None:
    stream.write(text)


def _pieces(work: Path, plan: Plan, n_jobs: int, tell: Tell) -> list[Piece]:
    """Pass 1: the pieces of all blocks, those found of an earlier run included."""
    pieces: list[Piece] = []

    def keep(file: int, block: int, size: int, about: dict[str, Any]) -> None:
        pieces.append(Piece(file, block, about))
        tell(sum(about["rows"]), size)

    todo = _todo(work, plan, keep)
    total = sum(source.text_bytes for source in plan.sources)
    if n_jobs == 1 or total < PARALLEL_FROM:
        for file, block, size in todo:
            keep(file, block.number, size, make_piece(work, plan, file, block))
    else:
        _in_parallel(work, plan, todo, n_jobs, keep)
    return sorted(pieces, key=lambda piece: (piece.file, piece.block))


def _todo(
    work: Path, plan: Plan, keep: Callable[[int, int, int, dict[str, Any]], None]
) -> Iterator[tuple[int, Block, int]]:
    """(file, block, bytes) of the blocks without a piece; the others are passed to `keep`."""
    for file, source in enumerate(plan.sources):
        for block in blocks_of(source, plan.settings):
            size = len(block.text) if hasattr(block, "text") else 0
            about = found_piece(work, file, block.number)
            if about is None:
                yield file, block, size
            else:
                keep(file, block.number, size, about)


def _in_parallel(
    work: Path,
    plan: Plan,
    todo: Iterator[tuple[int, Block, int]],
    n_jobs: int,
    keep: Callable[[int, int, int, dict[str, Any]], None],
) -> None:
    """The same by several processes, with few blocks in memory at a time."""
    waiting: dict[Future[dict[str, Any]], tuple[int, int, int]] = {}

    def collect(most: int) -> None:
        while len(waiting) > most:
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                keep(*waiting.pop(done), done.result())

    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
        try:
            for file, block, size in todo:
                future = pool.submit(make_piece, work, plan, file, block)
                waiting[future] = file, block.number, size
                collect(n_jobs)
            collect(0)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
