"""The embedded stack: PostgreSQL, Valkey and the stand-in for Supabase, for development, drills and CI.

`EmbeddedStack` owns its parts as children and takes them along when it dies. `up`, `down`, `status` and `ensure` speak of the
stack of a state folder, which a small supervisor process owns, so that it outlives the command that started it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migctl.stack.detached import bring_up, down, ensure, start_part, status, stop_part, up
    from migctl.stack.embedded import PARTS, EmbeddedStack, Part, PartStatus, Ports

_WHERE = {
    **dict.fromkeys(("bring_up", "down", "ensure", "start_part", "status", "stop_part", "up"), "detached"),
    **dict.fromkeys(("PARTS", "EmbeddedStack", "Part", "PartStatus", "Ports"), "embedded"),
}

__all__ = [
    "PARTS",
    "EmbeddedStack",
    "Part",
    "PartStatus",
    "Ports",
    "bring_up",
    "down",
    "ensure",
    "start_part",
    "status",
    "stop_part",
    "up",
]


def __getattr__(name: str) -> Any:
    # Looked up late: the stand-in lives in this package, and must neither see nor load the rest of it.
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
