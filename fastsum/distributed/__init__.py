"""One fit over the rows of many workers: Dask, processes with shared memory, or this process."""

from ._communicator import Communicator, InProcess, WorkerLost
from ._fit import DistributedResult, fit
from .estimators import FiniteSumClassifier, FiniteSumRegressor, LogisticRegression

__all__ = [
    "Communicator",
    "DistributedResult",
    "FiniteSumClassifier",
    "FiniteSumRegressor",
    "InProcess",
    "LogisticRegression",
    "WorkerLost",
    "fit",
]
