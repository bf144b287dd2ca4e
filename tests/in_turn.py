"""Parametrisations of which the default run takes each row, and each value, but not each pair."""

from itertools import product

import pytest


def in_turn(*lists):
    """The product of the lists as rows: the default run takes the values of the last one in turn.

    The turn is the sum of the other values' places, so that each of those meets every value of the
    last list. The pairs left out are marked `full`.
    """
    *others, last = map(list, lists)
    rows = []
    for places in product(*(range(len(values)) for values in others)):
        for place, value in enumerate(last):
            row = [values[at] for values, at in zip(others, places, strict=True)] + [value]
            marks = () if place == sum(places) % len(last) else pytest.mark.full
            rows.append(pytest.param(*row, marks=marks, id="-".join(map(name_of, row))))
    return rows


def name_of(value):
    if isinstance(value, tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        return "-".join(map(name_of, parts))
    return value.__name__ if isinstance(value, type) else str(value)
