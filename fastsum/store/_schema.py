"""What the fields of a source are, from its first lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.store._encode import DELIMITERS
from fastsum.store._fields import Text, split_fields, split_line
from fastsum.store._settings import CRITEO, Settings
from fastsum.store._sources import Source, arrow_for, open_text, text_blocks

SAMPLE_BYTES = 1 << 22


def with_schema(source: Source, settings: Settings) -> Settings:
    """The settings with the names and kinds of the fields of `source`.

    Raises
    ------
    ValueError
        If the target, or a column that is named, is not there.
    """
    if source.format == "svmlight":
        return settings
    if source.format == "parquet":
        names, numeric = _parquet(source)
    else:
        names, numeric = _text(source, settings)
    target = settings.target or (names[0] if source.format == "criteo" else None)
    if target is None:
        raise ValueError(
            f"{source.path}: which column is the label? Say so with --target, one of {names[:8]}"
        )
    for name in (target, *settings.categorical, *settings.drop):
        if name not in names:
            raise ValueError(f"{source.path} has no column {name!r}; it has {names[:40]}")
    kinds = []
    for name, number in zip(names, numeric, strict=True):
        if name == target:
            kinds.append("target" if number or settings.labels else "name")
        elif name in settings.drop:
            kinds.append("drop")
        else:
            kinds.append("number" if number and name not in settings.categorical else "category")
    if not {"number", "category"} & set(kinds):
        raise ValueError(f"{source.path}: there is no column but the label {target!r}")
    return replace(
        settings,
        encoding=replace(settings.encoding, names=names, kinds=kinds, format=source.format),
    )


def has_header(source: Source, settings: Settings) -> bool:
    """Whether the first line of a text file names its fields."""
    if source.format == "criteo":
        return False
    return True if settings.header is None else settings.header


def check_header(source: Source, settings: Settings) -> None:
    """Raises ValueError if the first line of a file has other names than the first file's."""
    if source.format in ("svmlight", "parquet") or not has_header(source, settings):
        return
    names = _first_line(source)
    if names != settings.encoding.names:
        raise ValueError(
            f"{source.path}: its first line names {names[:8]}..., other files "
            f"{settings.encoding.names[:8]}..."
        )


def _first_line(source: Source) -> list[str]:
    with open_text(source.path) as stream:
        line = stream.readline(1 << 20)
    names = split_line(line, DELIMITERS[source.format], quotes=source.format == "csv")
    return [name.removeprefix("\ufeff") for name in names]


def _text(source: Source, settings: Settings) -> tuple[list[str], list[bool]]:
    """Names, and whether all of a column's fields in the first block are numbers."""
    names = _first_line(source)
    if source.format == "criteo":
        if len(names) != len(CRITEO):
            raise ValueError(
                f"{source.path}: its first line has {len(names)} fields; "
                f"Criteo's files have {len(CRITEO)}, separated by tabs"
            )
        return list(CRITEO), [name[0] != "C" for name in CRITEO]
    header = has_header(source, settings)
    if not header:
        names = [f"c{i}" for i in range(len(names))]
    if len(set(names)) < len(names):
        raise ValueError(f"{source.path}: its first line names a column twice: {names[:40]}")
    block = next(text_blocks(source.path, SAMPLE_BYTES), None)
    text = block.text.partition(b"\n")[2] if block and header else block.text if block else b""
    fields = split_fields(
        text, DELIMITERS[source.format], len(names), quotes=source.format == "csv"
    )
    return names, [_numeric(column) for column in fields.columns]


def _numeric(column: Text) -> bool:
    values, bad = column.numbers()
    return not bad.any() and not bool(np.isnan(values).all())


def _parquet(source: Source) -> tuple[list[str], list[bool]]:
    types = arrow_for(source.path, "pyarrow.types")
    schema = open_parquet(source.path).schema_arrow
    for field in schema:
        t = field.type.value_type if types.is_dictionary(field.type) else field.type
        plain = types.is_string(t) or types.is_large_string(t) or _is_number(types, t)
        if not plain:
            raise ValueError(
                f"{source.path}: column {field.name!r} is of type {field.type}; only "
                "numbers, booleans and strings are read: leave it out with --drop"
            )
    return list(schema.names), [_is_number(types, field.type) for field in schema]


def _is_number(types: Any, t: Any) -> bool:
    kinds = types.is_integer, types.is_floating, types.is_boolean
    return any(kind(t) for kind in kinds)


def open_parquet(path: str) -> Any:
    """A Parquet file, or an error that names it."""
    arrow = arrow_for(path)
    try:
        return arrow_for(path, "pyarrow.parquet").ParquetFile(path)
    except (arrow.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path}: not a whole Parquet file ({error})") from None


def column_of(array: Any, path: str) -> Text | npt.NDArray[Any]:
    """A column of a Parquet batch as the encoder takes it."""
    arrow, types = arrow_for(path), arrow_for(path, "pyarrow.types")
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_number(types, array.type):
        numbers: npt.NDArray[Any] = array.cast(arrow.float64()).to_numpy(zero_copy_only=False)
        return numbers
    array = array.cast(arrow.large_string()).fill_null("")
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer((data.to_pybytes() if data else b"") + b"\0" * 8, dtype=np.uint8)
    return Text(text, ends[:-1], np.diff(ends))
