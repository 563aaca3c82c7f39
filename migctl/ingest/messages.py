"""Messages: a foreign JSON object by its paths, each value as the text that it has, and what of it nobody took. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from migctl.events import BadEvent
from migctl.events.codec import LINE_KEYS, is_own_line
from migctl.events.jsontext import split_object
from migctl.ingest.paths import Path

_OF_LINES: Final = frozenset((key,) for key in LINE_KEYS)


class Message:
    """A message, and what has been cut out of it so far."""

    __slots__ = ("_inner", "members", "text")

    def __init__(self, text: bytes, members: dict[str, bytes]) -> None:
        self.text = text
        self.members = members
        self._inner: dict[Path, dict[str, bytes]] | None = None

    def get(self, name: str, path: Path) -> bytes | None:
        """The text at `path`; None where there is nothing, or null. name: the field that it is for, for errors."""
        if len(path) == 1:
            raw = self.members.get(path[0])
        elif path:
            raw = self.members_of(name, path[:-1]).get(path[-1])
        else:
            return self.text
        return None if raw == b"null" else raw

    def members_of(self, name: str, path: Path) -> Mapping[str, bytes]:
        """The members of the object at `path`; none where there is no object."""
        if not path:
            return self.members
        if self._inner is None:
            self._inner = {}
        found = self._inner.get(path)
        if found is None:
            raw = self.get(name, path)
            if raw is None or raw[:1] != b"{":
                return {}
            try:
                found = self._inner[path] = split_object(raw)
            except ValueError as error:
                raise BadEvent(name, "json", str(error)) from None
        return found


def ours_of(members: Mapping[str, bytes]) -> set[Path]:
    """Paths that our own lines have beside an event's fields; of a stranger's message none of them."""
    found: set[Path] = set()
    if members.get("clock") == b'"arrival"':
        found.add(("clock",))
    if members.get("source_id", b"")[:1] == b'"':
        found.add(("source_id",))
    if is_own_line(members):
        found |= _OF_LINES
    return found


def left_out(message: Message, used: Collection[Path], path: Path = ()) -> Iterator[Path]:
    """Where what stands is in none of these, from the outside in: of an object that is used in part, its other members."""
    for key in message.members_of("data", path):
        here = (*path, key)
        if here in used:
            continue
        if any(len(each) > len(here) and each[: len(here)] == here for each in used) and message.members_of(
            "data", here
        ):
            yield from left_out(message, used, here)
        else:
            yield here
