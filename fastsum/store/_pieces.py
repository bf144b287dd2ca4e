"""The first pass of an ingest: each block of a source becomes a piece, its rows dealt to buckets.

A piece is written once and whole, depends on nothing but its block and the settings, and is found
again when an interrupted ingest goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.files import write_whole
from fastsum.store._encode import BadLine, SparseRows, encode_columns, encode_text
from fastsum.store._format import write_array
from fastsum.store._hash import row_hash
from fastsum.store._names import Entry
from fastsum.store._schema import column_of, has_header, open_parquet
from fastsum.store._settings import Settings
from fastsum.store._sources import Source, TextBlock, text_blocks

BATCH_ROWS = 1 << 17


@dataclass(frozen=True)
class Plan:
    """What is to be done, all of it decided before the first block is read.

    n_train, n_test: buckets, each of which becomes a shard.
    """

    sources: list[Source]
    settings: Settings
    n_train: int
    n_test: int

    @property
    def n_buckets(self) -> int:
        """Of both parts; those of "train" come first."""
        return self.n_train + self.n_test


@dataclass(frozen=True)
class Batch:
    """A run of rows of a Parquet file; what a `TextBlock` is to text."""

    number: int
    row: int  # of the first, from 1
    columns: dict[str, Any]


Block = TextBlock | Batch


def blocks_of(source: Source, settings: Settings) -> Iterator[Block]:
    """The blocks of a source, the same each time."""
    if source.format != "parquet":
        for block in text_blocks(source.path):
            if block.number == 0 and source.format != "svmlight" and has_header(source, settings):
                yield TextBlock(0, 2, block.text.partition(b"\n")[2])
            else:
                yield block
        return
    row, file = 1, open_parquet(source.path)
    names = [
        n
        for n, k in zip(settings.encoding.names, settings.encoding.kinds, strict=True)
        if k != "drop"
    ]
    if missing := set(names) - set(file.schema_arrow.names):
        raise ValueError(f"{source.path} lacks the columns {sorted(missing)}")
    for number, batch in enumerate(file.iter_batches(batch_size=BATCH_ROWS, columns=names)):
        columns = {name: column_of(batch.column(name), source.path) for name in names}
        yield Batch(number, row, columns)
        row += batch.num_rows


def piece_path(folder: Path, file: int, block: int, kind: str) -> Path:
    """Where one array of a piece is, its frequent categories ("names.json"), or what it is."""
    return folder / f"{file:05d}-{block:06d}.{kind}{'' if kind.endswith('json') else '.npy'}"


def make_piece(folder: Path, plan: Plan, file: int, block: Block) -> dict[str, Any]:
    """Writes the piece of a block; its description, which is written last."""
    source, settings = plan.sources[file], plan.settings
    names: list[Entry] | None = [] if settings.names else None
    rows = encode(source, block, settings, names)
    bucket = _buckets(rows, plan, file, block.number)
    order = np.argsort(bucket, kind="stable")
    starts = np.cumsum(rows.sizes) - rows.sizes
    sizes = rows.sizes[order]
    places = np.repeat(starts[order] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    largest = int(rows.ids.max(initial=-1))
    arrays = {
        "sizes": sizes.astype(np.int32),
        "ids": rows.ids[places].astype(np.uint32 if largest < 1 << 32 else np.int64),
        "labels": rows.labels[order],
    }
    if rows.values is not None:
        arrays["values"] = rows.values[places]
    for kind, array in arrays.items():
        write_array(piece_path(folder, file, block.number, kind), array)
    about = {
        "rows": np.bincount(bucket, minlength=plan.n_buckets).tolist(),
        "stored": np.bincount(bucket, rows.sizes, plan.n_buckets).astype(int).tolist(),
        "ones": rows.values is None,
        "largest": largest,
        "skipped": rows.skipped,
    }
    _write_json(piece_path(folder, file, block.number, "names.json"), names or [])
    _write_json(piece_path(folder, file, block.number, "json"), about)
    return about


def _write_json(path: Path, thing: Any) -> None:
    text = json.dumps(thing).encode()
    write_whole(path, lambda stream: _write(stream, text))


def _write(stream: Any, text: bytes) -> None:
    stream.write(text)


def found_piece(folder: Path, file: int, block: int) -> dict[str, Any] | None:
    """The description of a piece that an earlier run has finished."""
    path = piece_path(folder, file, block, "json")
    if not path.exists():
        return None
    about: dict[str, Any] = json.loads(path.read_bytes())
    return about


def encode(
    source: Source, block: Block, settings: Settings, names: list[Entry] | None = None
) -> SparseRows:
    """The rows of a block of a source; its frequent categories are added to `names`."""
    if isinstance(block, TextBlock):
        return encode_text(source.path, block, source.format, settings, names)

    def fault(row: int, reason: str) -> BadLine:
        return BadLine(f"{source.path}, row {block.row + row}: {reason}")

    return encode_columns(block.columns, settings, fault, names)


def _buckets(rows: SparseRows, plan: Plan, file: int, block: int) -> npt.NDArray[Any]:
    """The bucket of each row: its part is the file's or by hash of the row, the rest is chance."""
    n, settings = len(rows.sizes), plan.settings
    rng = np.random.Generator(np.random.PCG64([settings.shuffle_seed, file, block]))
    train = rng.integers(plan.n_train, size=n)
    test = plan.n_train + rng.integers(max(1, plan.n_test), size=n)
    part = plan.sources[file].part
    if part:
        return train if part == "train" else test
    held_out = row_hash(rows.ids, rows.sizes) < settings.test_fraction
    return np.where(held_out, test, train)
