"""Theory against practice: sample gradients to an accuracy, beside each method's stated rate.

problems.py  the synthetic problems         laws.py     the stated rates, with their sources
counts.py    sample gradients of one fit    regimes.py  l1, interpolation, maximum margin
figures.py   what docs/theory.md shows
"""
