"""Functions that a drill's activities name: probes, actions, and faults, each with its arguments as a model.

A function is found by its name in `FUNCTIONS`; a module that defines some is imported here.
"""

from __future__ import annotations

from migctl.drills.functions import (
    disk,
    flags,
    keys,
    lines,
    load,
    moving,
    odd,
    probes,
    processes,
    references,
    signs,
    slow,
    standin,
    target,
)
from migctl.drills.functions.registry import Armed, Function, functions_of

FUNCTIONS: dict[str, Function] = functions_of(
    lines, processes, disk, standin, keys, load, odd, flags, moving, target, probes, signs, slow, references
)

__all__ = ["FUNCTIONS", "Armed", "Function"]
