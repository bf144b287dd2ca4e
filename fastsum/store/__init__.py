"""Data on disk: a folder of memory-mapped shards, and how it is made."""

from ._dataset import Dataset
from ._format import StoreError
from ._ingest import ingest
from ._sources import text_size
from ._stream import stream

__all__ = ["Dataset", "StoreError", "ingest", "stream", "text_size"]
