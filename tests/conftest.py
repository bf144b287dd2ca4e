"""Shared set-up of the tests."""

import os
import sys
from pathlib import Path

# The checkout's fastsum/ has no compiled core, the installed one has. So the checkout must not be
# on the path: neither here, where ``python -m pytest`` puts it, nor in the processes that tests
# start. An editable install does not need it, that brings its own finder.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"
