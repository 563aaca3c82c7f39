"""Tapped: by their ids, the events that a tap brought to the journal last, for who has to tell them from others there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

# Who asks follows the journal by some batches at most.
MOST = 20_000


class Tapped:
    """A container of ids."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._ids

    def add(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            self._ids[event_id] = None
            self._ids.move_to_end(event_id)
        while len(self._ids) > self._most:
            self._ids.popitem(last=False)
