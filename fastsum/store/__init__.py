"""Data on disk: a folder of memory-mapped shards, and how it is made."""

from ._dataset import Dataset
from ._format import StoreError
from ._ingest import ingest
from ._sources import text_size

__all__ = ["Dataset", "StoreError", "ingest", "text_size"]
