"""Which implementation of src_cpp/kernels.hpp runs: the CPU level, and the state of CUDA."""

from __future__ import annotations

import os

from fastsum._core import _registry


def select_cpu_level() -> None:
    """Honours FASTSUM_CPU; called once at import.

    Raises
    ------
    ImportError
        If FASTSUM_CPU names a level that is unknown, not built in or not supported by this CPU.
    """
    wanted = os.environ.get("FASTSUM_CPU")
    if not wanted:
        return
    if not _registry.select_cpu_level(wanted):
        usable = [level for level, runs in _registry.cpu_levels().items() if runs]
        raise ImportError(
            f"FASTSUM_CPU={wanted!r} is not a CPU level this build can run here; valid are "
            f"{usable}, or leave it unset for the best"
        )


def cuda_state() -> tuple[bool, str]:
    """Whether the CUDA backend can be used, and why not if it cannot."""
    return False, "this build has no CUDA backend"
