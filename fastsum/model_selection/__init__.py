"""Choice of parameters by cross-validation, many fits in one pass."""

from fastsum.model_selection._rules import one_standard_error
from fastsum.model_selection._search import FastGridSearchCV

__all__ = ["FastGridSearchCV", "one_standard_error"]
