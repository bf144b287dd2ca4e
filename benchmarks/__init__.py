"""Benchmarks of fastsum against its peers, in benchopt's layout. See README.md.

``python -m benchmarks`` runs them without benchopt; ``benchopt run benchmarks`` with it.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# ``python -m`` puts the checkout first on the path, whose fastsum/ has no compiled core: last, the
# installed one is found. This folder itself is where benchopt too looks for `benchmark_utils`.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE.parent]
sys.path += [str(HERE.parent), str(HERE)]
