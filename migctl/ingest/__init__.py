"""Ingest: how events come in. Over HTTP, from a file or stdin, from an upstream WebSocket, or measured on this host.

The promise of 0 lost begins at the journal. What comes before it is counted and shown: what does not fit is kept with its reason,
and a time in which a tap did not listen is an outage.
"""

from migctl.ingest.mapping import Mapper, parse_map
from migctl.ingest.source import Source, open_source

__all__ = ["Mapper", "Source", "open_source", "parse_map"]
