"""Data on disk: a folder of memory-mapped shards, and how it is made."""

from ._dataset import Dataset
from ._format import StoreError
from ._ingest import ingest

__all__ = ["Dataset", "StoreError", "ingest"]
