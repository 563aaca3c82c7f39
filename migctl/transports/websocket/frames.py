"""What goes over the WebSocket, as bytes: the text of each frame, and its RFC 6455 framing.

Pure. A frame is built once and written to every subscriber, so nothing in it depends on who gets it. The producer's text of `data`
is spliced in as it came. Legacy frames carry no key that the old service did not send, and no control frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from migctl.events import Entry, Event, format_time
from migctl.events.jsontext import dumps, quote
from migctl.redaction import redact

LegacyFrame = Literal["envelope", "data"]

SUBPROTOCOL = "migctl.v2"
# A browser can set no header on a socket, so there a token is offered as a subprotocol.
TOKEN_PREFIX = "migctl.token."

# Close codes, sent after accepting: a browser sees only 1006 otherwise.
NORMAL = 1000
GOING_AWAY = 1001
NO_STATUS = 1005  # never sent: stands for a close frame without a code
ABNORMAL = 1006  # never sent: the connection went without a goodbye
PROTOCOL_ERROR = 1002
INTERNAL = 1011
DRAINING = 1012
UNAUTHENTICATED = 4401
SLOW = 4408
SILENT = 4409
OVERTAKEN = 4410
ROTATED = 4411
SWITCHED_OFF = 4412
SWITCHED_OFF_REASON = "the WebSocket is switched off: GET /api/transport says where to go"

_HIGHEST = 4999
_TEXT = 0x81
_BINARY = 0x82
_CLOSE = 0x88
_PING = 0x89
_PONG = 0x8A


def framed(payload: bytes, first_byte: int = _TEXT) -> bytes:
    """One unfragmented frame from a server: header and payload, not masked, not compressed."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first_byte, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first_byte, 126, size) + payload
    return struct.pack("!BBQ", first_byte, 127, size) + payload


def binary(payload: bytes) -> bytes:
    """The same for a message that is no text."""
    return framed(payload, _BINARY)


PING = framed(b"", _PING)


def pong(payload: bytes) -> bytes:
    """The answer to a ping: the same payload, at most 125 bytes as the ping's."""
    return framed(payload[:125], _PONG)


def close(code: int, reason: str = "") -> bytes:
    """A close frame. The reason is cut to what a control frame may hold; ours are ASCII."""
    if code == NO_STATUS:
        return framed(b"", _CLOSE)
    return framed(struct.pack("!H", code) + reason.encode()[:123], _CLOSE)


def answer_to(code: int) -> int:
    """The code that answers a close frame: the same, where one may be sent at all."""
    return code if code <= _HIGHEST else PROTOCOL_ERROR


# Texts.


def event_text(entry: Entry) -> bytes:
    """An event for v=2: the three legacy keys, then id, seq, source and committed_at, then what we added, if anything."""
    event = entry.event
    more = b""
    if event.clock is not None:
        more += b',"clock":' + quote(event.clock)
    if event.source_id is not None:
        more += b',"source_id":' + quote(event.source_id)
    return b'{"type":%b,"data":%b,"timestamp":"%b","id":"%b","seq":%d,"source":%b,"committed_at":"%b"%b}' % (
        quote(event.event_type),
        event.data,
        format_time(event.timestamp).encode(),
        event.id.encode(),
        entry.seq,
        quote(event.source),
        format_time(entry.committed_at).encode(),
        more,
    )


def legacy_text(event: Event, frame: LegacyFrame) -> bytes:
    """An event for a socket that did not opt in: type, data and timestamp; or the data alone, byte for byte."""
    if frame == "data":
        return event.data
    return b'{"type":%b,"data":%b,"timestamp":"%b"}' % (
        quote(event.event_type),
        event.data,
        format_time(event.timestamp).encode(),
    )


def control_text(type_: str, data: dict[str, object], now: datetime) -> bytes:
    """A frame of ours that has no seq and is not in the journal."""
    return b'{"type":%b,"data":%b,"timestamp":"%b"}' % (quote(type_), dumps(data), format_time(now).encode())


def hello(
    *,
    epoch: str,
    head: int,
    tail: int,
    resume: str,
    reason: str | None,
    heartbeat_s: float,
    now: datetime,
    assigns: bool = False,
) -> bytes:
    """The first frame of every v2 socket, framed.

    heartbeat_s: how often `sys.hb` follows, so that silence is known. assigns: `sys.assignment` comes over this socket. All of them
    `asks`: `wire.ASK` is answered.
    """
    data: dict[str, object] = {
        "v": 2,
        "epoch": epoch,
        "head": head,
        "tail": tail,
        "resume": resume,
        "reason": reason,
        "heartbeat_s": heartbeat_s,
        "asks": True,
    }
    if assigns:
        data["assigns"] = True
    return framed(control_text("sys.hello", data, now))


def caught_up(*, seq: int, now: datetime) -> bytes:
    """What was missed is through, up to `seq`; live from here."""
    return framed(control_text("sys.caught_up", {"seq": seq}, now))


def heartbeat(*, epoch: str, head: int, now: datetime) -> bytes:
    """Says that the gateway lives and how far the journal is."""
    return framed(control_text("sys.hb", {"epoch": epoch, "head": head}, now))


def fallback(*, from_: str, to: str, reason: str, now: datetime, spread_s: float | None = None) -> bytes:
    """Tells subscribers to change transports. spread_s: within which time, each at random; None leaves that to them.

    No secret is in the reason: it is a library's word at times, and goes to every dashboard.
    """
    data: dict[str, object] = {"from": from_, "to": to, "reason": redact(reason)}
    if spread_s is not None:
        data["spread_s"] = spread_s
    return framed(control_text("sys.fallback", data, now))


def assignment(*, transport: str, version: int, reason: str, now: datetime) -> bytes:
    """Tells one subscriber which transport its user has from now on. version: of the flag set, 0 where none said it."""
    data: dict[str, object] = {"transport": transport, "version": version, "reason": reason}
    return framed(control_text("sys.assignment", data, now))


class Run:
    """Contiguous entries, framed once a form, however many subscribers get them."""

    def __init__(self, entries: Sequence[Entry], legacy_frame: LegacyFrame) -> None:
        self._entries = entries
        self._legacy_frame: LegacyFrame = legacy_frame
        self.first = entries[0].seq
        self.last = entries[-1].seq
        self._v2: list[bytes] | None = None
        self._legacy: list[bytes] | None = None
        self._v2_whole: bytes | None = None
        self._legacy_whole: bytes | None = None

    def v2(self, after: int = 0) -> bytes:
        """The frames with seq > after, one after the other."""
        if self._v2 is None:
            self._v2 = [framed(event_text(entry)) for entry in self._entries]
        if after >= self.first:
            return b"".join(self._v2[after - self.first + 1 :])
        if self._v2_whole is None:
            self._v2_whole = b"".join(self._v2)
        return self._v2_whole

    def legacy(self, after: int = 0) -> bytes:
        """The same for sockets that did not opt in: without control events, so it may be empty."""
        each = self._each_legacy()
        if after >= self.first:
            return b"".join(each[after - self.first + 1 :])
        if self._legacy_whole is None:
            self._legacy_whole = b"".join(each)
        return self._legacy_whole

    def each_legacy(self) -> Iterator[tuple[Entry, bytes]]:
        """Each entry with its frame for such sockets, which is empty for a control event."""
        return zip(self._entries, self._each_legacy(), strict=True)

    def _each_legacy(self) -> list[bytes]:
        if self._legacy is None:
            self._legacy = [
                b"" if entry.event.is_control else framed(legacy_text(entry.event, self._legacy_frame))
                for entry in self._entries
            ]
        return self._legacy


def runs(entries: Iterable[Entry], legacy_frame: LegacyFrame, *, max_bytes: int) -> Iterator[Run]:
    """Cut contiguous entries into runs of at most max_bytes of data, at least one entry each."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        bytes_ = len(entry.event.data)
        if part and size + bytes_ > max_bytes:
            yield Run(part, legacy_frame)
            part, size = [], 0
        part.append(entry)
        size += bytes_
    if part:
        yield Run(part, legacy_frame)
