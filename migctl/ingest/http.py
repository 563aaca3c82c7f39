"""The body of `POST /events`: bytes and content type in, events out, or every error of the request with its item.

Pure. A body is one JSON object, an array, or NDJSON, by content type or by looking. Nothing of a request with an error is taken,
unless it asks for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Literal
from uuid import uuid5

from msgspec.structs import replace

from migctl.events import BadEvent, Event, decode_event
from migctl.events.codec import Unknown, too_deep
from migctl.events.ids import NAMESPACE
from migctl.events.jsontext import TooDeep, TooMany, loads, split_array, split_object, type_word
from migctl.ingest.times import Times
from migctl.transports.wire import MAX_BODY_BYTES

MAX_EVENTS = 10_000
MAX_KEY_CHARS = 255

_NDJSON = frozenset(
    (
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
        "application/json-lines",
        "application/json-seq",
    )
)
_TIMES = Times(unread="reject")
_WHITE = b" \t\r\n"
_BLANK = b" \t\r\n\x1e"
_LINE = re.compile(rb"[ \t\r\n\x1e]*+([^\n]++)")


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one item of a request, or with the request as a whole (index None).

    index: of the item, from 0; in NDJSON blank lines don't count. id: as the producer wrote it, where it can be read.
    code: stable, for machines; reason: for people.
    """

    index: int | None
    id: str | None
    field: str | None
    code: str
    reason: str


class BadBody(ValueError):
    """A request that can't be taken. status: 413 where it is too large, else 422."""

    def __init__(self, status: Literal[413, 422], errors: list[ItemError]) -> None:
        super().__init__(errors[0].reason)
        self.status = status
        self.errors = errors


@dataclass(slots=True)
class Body:
    """What a request holds: its events, in order, which item each of them is, and what is wrong with the others."""

    events: list[Event] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)

    def bad(self) -> BadBody:
        """As an error of the request."""
        # "large" can be mended by nobody but the sender's limits, so it names the status where it is the only fault.
        return BadBody(413 if all(error.code == "large" for error in self.errors) else 422, self.errors)

    def drop(self, wrong: Mapping[int, ItemError]) -> None:
        """Some of the events are wrong after all. wrong: by their place among the events."""
        self.errors += wrong.values()
        left = [at for at in range(len(self.events)) if at not in wrong]
        self.events, self.indexes = [self.events[at] for at in left], [self.indexes[at] for at in left]


def parse_events(
    body: bytes,
    content_type: str = "",
    *,
    arrived: datetime,
    default_source: str,
    idempotency_key: str | None = None,
    key_scope: str = "",
    unknown: Unknown = "refuse",
    times: Times = _TIMES,
) -> list[Event]:
    """The events of one request, in its order. Raises BadBody.

    arrived: aware UTC, for events without a time. default_source: for events without a source.
    idempotency_key: events without an id get one made from it and their index, so that a retry with the same key adds nothing.
    key_scope: whose key it is; the same key of another scope is another key.
    unknown: what becomes of keys that no event has. times: how producers write theirs.
    """
    found = read_events(
        body,
        content_type,
        arrived=arrived,
        default_source=default_source,
        idempotency_key=idempotency_key,
        key_scope=key_scope,
        unknown=unknown,
        times=times,
    )
    if found.errors:
        raise found.bad()
    return found.events


def read_events(
    body: bytes,
    content_type: str = "",
    *,
    arrived: datetime,
    default_source: str,
    idempotency_key: str | None = None,
    key_scope: str = "",
    unknown: Unknown = "refuse",
    times: Times = _TIMES,
) -> Body:
    """The same, with the errors of items beside the events of others. Raises BadBody where the request as a whole is wrong."""
    if len(body) > MAX_BODY_BYTES:
        raise _too_large(f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken")
    if idempotency_key is not None:
        _check_key(idempotency_key)
    items = split_body(body, content_type)
    if len(items) > MAX_EVENTS:
        raise _too_many()
    found = Body()
    for index, item in enumerate(items):
        try:
            event = decode_event(
                item,
                arrived=arrived,
                default_source=default_source,
                unknown=unknown,
                read_time=times.of_posted,
            )
        except BadEvent as error:
            found.errors.append(ItemError(index, _id_of(item), error.field or None, error.code, error.reason))
            continue
        if idempotency_key is not None and _has_no_id(item):
            event = replace(event, id=id_of_key(idempotency_key, index, key_scope))
        found.events.append(event)
        found.indexes.append(index)
    return found


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise _bad_request("key", f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters")
    try:
        key.encode()
    except UnicodeEncodeError:  # a header may hold any bytes
        raise _bad_request("key", "Idempotency-Key is not UTF-8") from None


def split_body(body: bytes, content_type: str = "") -> list[bytes]:
    """The items of a body, each as the text it had. Raises BadBody where the body as a whole is wrong."""
    text = body.strip(_WHITE)
    if text.startswith(b"\xef\xbb\xbf"):
        text = text[3:].lstrip(_WHITE)
    if not text:
        raise _bad_request("empty", "the body is empty")
    if content_type.partition(";")[0].strip().lower() in _NDJSON:
        return _some_lines(text)
    if text.startswith(b"["):
        try:
            return split_array(text, MAX_EVENTS)
        except TooMany:
            raise _too_many() from None
        except ValueError as error:
            raise _not_json(error) from None
    if not text.startswith(b"{"):
        raise _bad_request("json", _what_it_is(text))
    try:
        split_object(text)
    except ValueError as error:
        lines = _some_lines(text)
        if len(lines) > 1 and _is_object(lines[0]):
            return lines
        raise _not_json(error) from None
    return [text]


def _some_lines(text: bytes) -> list[bytes]:
    """The lines that are not blank, one more than are taken at the most: what is beyond is not even cut."""
    # Only LF parts lines: CR and the Unicode separators may stand where JSON allows them.
    found = _LINE.finditer(text.rstrip(_BLANK))
    return [line[1].rstrip(_BLANK) for line in islice(found, MAX_EVENTS + 1)]


def _is_object(text: bytes) -> bool:
    try:
        split_object(text)
    except ValueError:
        return False
    return True


def id_of_key(key: str, index: int, scope: str = "") -> str:
    """The id of an event that came without one in a request with this Idempotency-Key: the same for every retry."""
    of = f"\0{scope}" if scope else ""
    return str(uuid5(NAMESPACE, f"idempotency-key\0{key}\0{index}{of}"))


def _has_no_id(item: bytes) -> bool:
    return split_object(item).get("id", b"null") == b"null"


def _id_of(item: bytes) -> str | None:
    try:
        text = split_object(item)["id"]
        value = loads(text) if text[:1] == b'"' else None
    except (ValueError, KeyError):
        return None
    return value[:512] if isinstance(value, str) else None


def _what_it_is(text: bytes) -> str:
    try:
        value = loads(text)
    except ValueError:
        return "expected a JSON object, an array of objects, or NDJSON"
    return f"expected a JSON object, an array of objects, or NDJSON, got {type_word(value)}"


def _not_json(error: ValueError) -> BadBody:
    if isinstance(error, TooMany):
        return _too_large(f"an object has more than {error.most} members")
    if isinstance(error, TooDeep):
        return _bad_request("depth", f"the body {too_deep().reason}")
    return _bad_request("json", f"the body is not JSON: {error}")


def _bad_request(code: str, reason: str) -> BadBody:
    return BadBody(422, [ItemError(None, None, None, code, reason)])


def _too_many() -> BadBody:
    return _too_large(f"the request has more than {MAX_EVENTS} events, which are the most that are taken")


def _too_large(reason: str) -> BadBody:
    return BadBody(413, [ItemError(None, None, None, "large", reason)])
