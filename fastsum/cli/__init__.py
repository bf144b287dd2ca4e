"""The command line: ``fastsum fit``, ``predict``, ``info`` and ``demo``."""

from ._app import app, main

__all__ = ["app", "main"]
