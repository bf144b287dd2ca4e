"""Which implementation of the passes runs: the CPU level, and whether a CUDA device can be used."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from types import ModuleType

from fastsum._core import _registry

DEVICES = ("auto", "cpu", "cuda")
CUDA_MODULE = "fastsum._cuda"  # tests put the emulation of its passes here


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
    module, reason = _loaded(CUDA_MODULE)
    if module is not None:
        reason = str(module.why_not())
    return not reason, reason


@cache
def _loaded(name: str) -> tuple[ModuleType | None, str]:
    """A module, or why there is none; an import in vain is made once."""
    try:
        return import_module(name), ""
    except ModuleNotFoundError:
        return None, "this build has no CUDA backend (it is made with -Dcuda=enabled)"
    except ImportError as error:
        return None, f"the CUDA backend does not load: {error}"


def cuda() -> ModuleType:
    """The passes of the CUDA backend.

    Raises
    ------
    RuntimeError
        If it cannot be used; says why.
    """
    usable, reason = cuda_state()
    if not usable:
        raise RuntimeError(f"device='cuda' cannot be used: {reason}. Use device='cpu' or 'auto'")
    return import_module(CUDA_MODULE)


def check_device(device: str) -> None:
    """Raises ValueError for a name that is none of `DEVICES`."""
    if device not in DEVICES:
        raise ValueError(f"device must be one of {list(DEVICES)}, got {device!r}")
