"""Marking: whether the witness hears a transport yet, and whether it can ever hear a marker that was placed. Pure.

A witness hears each transport from a position on. One that is just starting, or was started anew, has others than it had before.

| of a transport it says | a marker placed now | one placed at or before that position | one placed after it |
|---|---|---|---|
| a position | is heard | never is: another one is placed | is heard |
| nothing yet | is missed: it is waited for | - | - |
| no witness says anything | is placed all the same: another machine's may hear it | - | - |
"""

from __future__ import annotations

from collections.abc import Mapping

TRANSPORTS = frozenset(("websocket", "realtime"))


def unheard(heard_from: Mapping[str, str] | None) -> frozenset[str]:
    """Transports that the witness does not hear yet. heard_from: by transport; None where no witness says."""
    return frozenset() if heard_from is None else TRANSPORTS - frozenset(heard_from)


def missed(marker: str | None, heard_from: Mapping[str, str] | None) -> frozenset[str]:
    """Transports on which the witness never hears this marker: it listens to them from a position behind it."""
    if marker is None or heard_from is None:
        return frozenset()
    epoch, _, seq = marker.rpartition("/")
    begins = {name: position.rpartition("/") for name, position in heard_from.items()}
    return frozenset(
        name for name, begin in begins.items() if begin[0] == epoch and int(seq) <= int(begin[2])
    )
