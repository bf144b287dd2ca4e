"""What the K axis of the weights means: K = n_problems B * n_outputs C columns.

Independent problems (one-vs-rest classes, the targets of a regression) share one read of the
data; the C outputs of one problem are coupled inside its loss (softmax).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Shape of the K axis and what each problem sees as its label.

    Attributes
    ----------
    n_problems : int
        B, problems minimised side by side.
    n_outputs : int
        C, outputs coupled in one loss.
    targets : {"shared", "one_vs_rest", "multi"}
        All problems see y_i; problem b sees +1 where y_i = b and -1 elsewhere; problem b sees
        y_ib.
    """

    n_problems: int = 1
    n_outputs: int = 1
    targets: str = "shared"

    @property
    def width(self) -> int:
        """K."""
        return self.n_problems * self.n_outputs

    @classmethod
    def one_vs_rest(cls, n_classes: int) -> Columns:
        """One binary problem a class."""
        return cls(n_problems=n_classes, targets="one_vs_rest")

    @classmethod
    def coupled(cls, n_outputs: int) -> Columns:
        """One problem with coupled outputs."""
        return cls(n_outputs=n_outputs)

    @classmethod
    def multi_target(cls, n_targets: int) -> Columns:
        """One problem a column of y."""
        return cls(n_problems=n_targets, targets="multi")
