"""``fastsum ingest``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fastsum.store import Dataset, ingest, text_size


def run_ingest(sources: Sequence[str], out: Path, **options: Any) -> None:
    """Make a store, with a progress bar on stderr, and say what it holds.

    Parameters
    ----------
    sources : sequence of str
        Files and globs.
    out : Path
        The store to make.
    **options
        Those of `fastsum.store.ingest`.

    Raises
    ------
    OSError, ValueError
        If a source cannot be read, or a setting is out of range.
    """
    console = Console(stderr=True, soft_wrap=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        size = text_size([*sources, *options.get("test", ())])
        task = bar.add_task("reading", total=size or None, rows=0, speed=0.0)
        done = 0

        def tell(rows: int, n_bytes: int) -> None:
            nonlocal done
            done += rows
            elapsed = bar.tasks[0].elapsed or 0.0
            speed = done / elapsed if elapsed > 0 else 0.0
            bar.update(task, advance=n_bytes, rows=done, speed=speed)

        data = ingest(sources, out, tell=tell, **options)
    skipped = data.manifest["skipped"]
    if skipped:
        console.print(f"{skipped:,} malformed lines were left out.", markup=False)
    for part in sorted({shard["part"] for shard in data.manifest["shards"]}):
        console.print(repr(Dataset(out, part)), markup=False, highlight=False)


def labels_of(pairs: Sequence[str]) -> dict[str, float]:
    """OLD=NEW pairs as a mapping.

    Raises
    ------
    ValueError
        If a pair is something else.
    """
    out = {}
    for pair in pairs:
        old, equals, new = pair.rpartition("=")
        try:
            out[old] = float(new)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"--map-label {pair!r} is not of the form OLD=NUMBER.")
    return out
