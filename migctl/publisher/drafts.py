"""Drafts: a caller's arguments become an event, or are refused before anything is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import msgspec

from migctl.clock import now
from migctl.errors import Poison
from migctl.events import BadEvent, Event, make_event
from migctl.events.codec import too_deep
from migctl.events.jsontext import dumps
from migctl.events.times import read_time

# What `data` may be: a mapping, or the JSON text of an object, which is then kept byte for byte.
Data = Mapping[str, Any] | bytes | str


# An aware datetime, or one without a zone, a text, or Unix time in seconds, milliseconds, microseconds or nanoseconds.
Timestamp = datetime | str | int | float


class NewEvent(TypedDict):
    """One event of `publish_many`: the arguments of `publish`, as `POST /events` names them."""

    event_type: str
    data: Data
    id: NotRequired[str | UUID | None]
    timestamp: NotRequired[Timestamp | None]
    source: NotRequired[str | None]


class Published(msgspec.Struct, frozen=True, gc=False):
    """An event that is durable.

    epoch, seq: its position. id: a UUID; of a producer's id that is none, the one made from it.
    duplicate: the journal had it already, and seq is the one that it has had since.
    """

    epoch: str
    seq: int
    id: str
    duplicate: bool


def draft(
    event_type: str,
    data: Data,
    *,
    id: str | UUID | None,
    timestamp: Timestamp | None,
    source: str | None,
    default_source: str,
    zone: tzinfo = UTC,
) -> Event:
    """The event of these arguments, with an id and a time of our own where none was given. Raises Poison.

    zone: of times that name none, as a datetime or as a text.
    """
    try:
        return make_event(
            id=str(id) if id is not None else None,
            event_type=event_type,
            # Without a time it is now, marked as no word of the caller's: published again with its id, it is the same event.
            timestamp=None if timestamp is None else _moment(timestamp, zone),
            source=source,
            data=_text(data),
            arrived=now(),
            default_source=default_source,
        )
    except BadEvent as error:
        name = f"event {id}" if id is not None else f"an event of type {event_type!r}"
        raise Poison(
            f"{name} can't be published: {error}", do="mend what the message names; nothing was stored"
        ) from None


def _moment(timestamp: Timestamp, zone: tzinfo) -> datetime:
    """By the rules of `POST /events`."""
    try:
        if isinstance(timestamp, datetime):
            aware = timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=zone)
            return aware.astimezone(UTC)
        if isinstance(timestamp, bool):
            raise ValueError("expected a time, got a boolean")
        return read_time(timestamp if isinstance(timestamp, str) else repr(timestamp), zone)
    except (ValueError, OverflowError) as error:
        raise BadEvent("timestamp", "time", str(error)) from None


def _text(data: Data) -> bytes:
    try:
        if isinstance(data, bytes):
            return data
        if isinstance(data, str):
            return data.encode()
        return dumps(data if type(data) is dict else dict(data))
    except RecursionError:
        raise too_deep() from None
    except (TypeError, ValueError) as error:  # a lone surrogate is a ValueError too
        raise BadEvent("data", "type", f"is nothing that JSON can say: {error}") from None
