"""Event ids: UUIDs. A producer's own id that is no UUID becomes one, always the same for the same text."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from uuid import UUID, uuid5

# Fixed for ever: the id of a foreign event is made from it, and must be the same in every release and on every machine.
NAMESPACE = UUID("6d696763-746c-5e76-a65e-747300000001")


def uuid7() -> str:
    """A new time-ordered UUID (RFC 9562, version 7), as canonical text."""
    millis = time.time_ns() // 1_000_000
    value = (millis & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def canonical_id(text: str) -> tuple[str, str | None]:
    """Return (id, source_id): a UUID in canonical form and None, or the UUIDv5 of the text and the text itself.

    Only the spellings 8-4-4-4-12 and 32 hex digits are taken for a UUID; PostgreSQL reads both as the same value.
    Raises ValueError for an empty text or one that UTF-8 can't hold.
    """
    if not text:
        raise ValueError("is empty")
    if len(text) in (32, 36):
        try:
            value = UUID(text)
        except ValueError:
            pass
        else:
            canonical = str(value)
            if text.lower() in (canonical, value.hex):
                return canonical, None
    try:
        return str(uuid5(NAMESPACE, text)), text
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate") from None


def both_ids(event_id: str, source_id: str | None) -> str:
    """For people: the producer's own id, and beside it the one that was made of it."""
    return event_id if source_id is None else f"{source_id} ({event_id})"


def id_of_line(source: str, offset: int) -> str:
    """The id of an event that has none, from where it stands: the same line read again is the same event."""
    return str(uuid5(NAMESPACE, f"{source}\0{offset}"))


def id_of_conflict(event_id: str, text: bytes) -> str:
    """Of a line that is kept aside as its event's id is there with another body: the same line again is the same."""
    return str(uuid5(NAMESPACE, f"conflict\0{event_id}\0{sha256(text).hexdigest()}"))


def id_of_renewal(epoch: str, seq: int) -> str:
    """The id under which the event of a position is published once more: asked for twice, it is still one event."""
    return str(uuid5(NAMESPACE, f"renewed\0{epoch}\0{seq}"))
