"""What is asked of an ingest, and what the columns of its sources are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sklearn.utils import murmurhash3_32

CRITEO = ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
NUMBERS = ("bins", "log", "raw")


@dataclass(frozen=True)
class Encoding:
    """How fields become columns: what a store keeps so that other data can be read alike.

    Attributes
    ----------
    bits : int
        Fields are hashed to 2^bits columns.
    signed : bool
        Whether half of the categories have the value -1 instead of 1.
    numbers : {"bins", "log", "raw"}
        What becomes of a number x: a category, floor(log(|x|)^2); sign(x) log(1 + |x|); itself.
    seed : int
        Of the hashes.
    names, kinds : list of str
        Of the fields, in order; a kind is category, number, drop, target or
        name (a target that is no number). Empty for svmlight.
    zero_based : bool
        Whether the indices of svmlight start at 0.
    format : str
        What the first source was.
    """

    bits: int = 22
    signed: bool = False
    numbers: str = "bins"
    seed: int = 0
    names: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    zero_based: bool = False
    format: str = "svmlight"

    @property
    def hashed(self) -> bool:
        """Whether there are fields; svmlight has columns already."""
        return bool(self.names)

    @property
    def n_features(self) -> int:
        """Columns that hashes are in."""
        return 1 << self.bits

    def seed_of(self, name: str) -> int:
        """The seed of a field's hash."""
        return int(murmurhash3_32(name, seed=self.seed, positive=True))

    def to_json(self) -> dict[str, Any]:
        """As a manifest has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Encoding:
        """What `to_json` made, checked.

        Raises
        ------
        ValueError
            If it is something else.
        """
        known = {f.name: type(getattr(cls(), f.name)) for f in fields(cls)}
        same = set(found) == set(known)
        if not (same and all(type(found[name]) is kind for name, kind in known.items())):
            raise ValueError("the encoding of the store is not one of this version")
        encoding = cls(**found)
        encoding.check()
        return encoding

    def check(self) -> None:
        """Raises ValueError for a value out of range."""
        if not 1 <= self.bits <= 32:
            raise ValueError(f"bits must be in [1, 32], got {self.bits}")
        if self.signed and self.bits == 32:
            raise ValueError(
                "signed takes the top bit of a hash of 32: with bits=32 all categories of a column "
                "would have one sign; give bits=31 or leave signed out"
            )
        if self.numbers not in NUMBERS:
            raise ValueError(f"numbers={self.numbers!r} is unknown; choose one of {list(NUMBERS)}")
        if not 0 <= self.seed < 1 << 32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if len(self.names) != len(self.kinds):
            raise ValueError("an encoding needs a kind for each of its names")


@dataclass(frozen=True)
class Settings:
    """What is asked of an ingest beside its sources; `fastsum.store.ingest` tells what each is."""

    target: str | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    header: bool | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    on_error: str = "stop"
    test_fraction: float = 0.0
    dtype: str = "float64"
    n_features: int | None = None
    names: bool = True
    shuffle_seed: int = 0
    shard_bytes: int = 1 << 29
    encoding: Encoding = field(default_factory=Encoding)

    def check(self) -> None:
        """Raises ValueError for a value out of range."""
        self.encoding.check()
        if self.on_error not in ("stop", "skip"):
            raise ValueError(f"on_error must be 'stop' or 'skip', got {self.on_error!r}")
        if not 0.0 <= self.test_fraction < 1.0:
            raise ValueError(f"test_fraction must be in [0, 1), got {self.test_fraction}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {self.dtype!r}")
        if self.n_features is not None and self.n_features < 1:
            raise ValueError(f"n_features must be at least 1, got {self.n_features}")
        if self.shard_bytes < 1:
            raise ValueError(f"shard_bytes must be positive, got {self.shard_bytes}")
