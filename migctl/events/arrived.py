"""When something reached this process."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Arrived(msgspec.Struct, frozen=True):
    """When an answer left the socket."""

    at: datetime
    mono_ns: int
