"""What stands where a matrix X may stand because it has rows, and labels, already."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy.typing as npt


class RowSource(ABC):
    """Data that hold their rows as the engine reads them, such as `fastsum.store.Dataset`."""

    @property
    @abstractmethod
    def rows(self) -> Any:
        """The `fastsum.data.Rows`."""

    @property
    @abstractmethod
    def y(self) -> npt.NDArray[Any]:
        """The label of each row, (n,)."""


def labels_with(X: Any, y: Any) -> Any:
    """y, or the labels that X brings where y is None."""
    return X.y if y is None and isinstance(X, RowSource) else y
