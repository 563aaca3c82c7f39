"""Words: what several screens say of the same thing, once."""

from __future__ import annotations


def wait(events: int) -> str:
    """So many events, and that they wait."""
    return "1 event waits" if events == 1 else f"{events:,} events wait"
