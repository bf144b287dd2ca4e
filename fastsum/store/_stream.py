"""Files as sparse rows in their own order, read as the sources of a store were."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastsum.store._pieces import blocks_of, encode
from fastsum.store._schema import check_header
from fastsum.store._settings import Encoding, Settings
from fastsum.store._sources import find_sources


def stream(
    path: str | os.PathLike[str],
    encoding: Mapping[str, Any],
    *,
    format: str | None = None,
    header: bool | None = None,
) -> Iterator[sp.csr_array]:
    """The rows of a file of hashed fields, a block at a time.

    Parameters
    ----------
    path : path
        A file with the fields of the store's sources; the label may be anything.
    encoding : mapping
        Of a store's manifest, or a model's header.
    format : str, default=None
        As `ingest` takes it; None is that of the store's sources.
    header : bool, default=None
        Whether the first line names the fields; None: yes.

    Yields
    ------
    X : csr_array of shape (n_block, 2^bits)

    Raises
    ------
    ValueError
        If a line is malformed; the message names it.
    """
    known = Encoding.from_json(encoding)
    kinds = ["drop" if kind in ("target", "name") else kind for kind in known.kinds]
    settings = Settings(header=header, encoding=replace(known, kinds=kinds))
    for source in find_sources([path], format or known.format):
        check_header(source, settings)
        for block in blocks_of(source, settings):
            rows = encode(source, block, settings)
            indptr = np.append(0, np.cumsum(rows.sizes))
            values = np.ones(len(rows.ids)) if rows.values is None else rows.values
            yield sp.csr_array(
                (values, rows.ids, indptr), shape=(len(rows.sizes), known.n_features)
            )
