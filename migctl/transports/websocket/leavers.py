"""Leavers: who had a socket and has none any more, bounded in number. Pure.

Whoever is forgotten for room moves `since` behind the moment at which it left, so nobody takes what is not known for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from migctl.status.clients import ClientStatus

MOST = 10_000


class Leavers:
    """since: whoever left after it is remembered. One that names its user and comes and goes is one, as it was last."""

    def __init__(self, since: datetime, remembered: Iterable[ClientStatus] = (), *, most: int = MOST) -> None:
        self.since = since
        self._most = most
        self._known: dict[tuple[str, str, str | int], ClientStatus] = {}
        self._number = 0
        for one in remembered:
            self.add(one)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, client: ClientStatus) -> None:
        """It has left. The witness is no subscriber, and is not kept."""
        if client.witness:
            return
        self._number += 1
        key = (client.transport, client.protocol, client.user or self._number)
        self._known.pop(key, None)
        self._known[key] = msgspec.structs.replace(client, connected=False)
        if len(self._known) > self._most:
            forgotten = self._known.pop(next(iter(self._known)))
            self.since = max(self.since, forgotten.last_seen)

    def all(self) -> list[ClientStatus]:
        """The first that left first."""
        return list(self._known.values())
