"""Shared set-up of the tests."""

import sys
from pathlib import Path

# ``python -m pytest`` puts the checkout on the path; its fastsum/ has no compiled core. An editable
# install does not need the path, it brings its own finder.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
