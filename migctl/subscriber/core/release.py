"""What a subscriber hands out: releases, and discontinuities where the stream itself has a hole. Pure.

A release is the event as it reached us: times are the text that came, `data` is JSON text whose numbers are spelled as they came
wherever no other client stood between.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from migctl.events import Position, format_time
from migctl.events.jsontext import one_line, quote

Via = Literal["live", "resume", "table", "fetch"]


class Release(msgspec.Struct, frozen=True, gc=False):
    """One event, handed out once and in seq order.

    timestamp, committed_at: RFC 3339, as received. committed_at is None only where the sender did not know it.
    data: the JSON text of an object.
    via: live; resume (the gateway had kept it); table (catch-up or repair); fetch (the hint named it, the table had its text).
    received_at, received_mono_ns: its first arrival, as the frame or the answer left the socket.
    """

    id: str
    epoch: str
    seq: int
    event_type: str
    timestamp: str
    source: str
    data: bytes
    committed_at: str | None
    via: Via
    received_at: datetime
    received_mono_ns: int
    transport: Literal["websocket", "realtime"]
    clock: str | None = None
    source_id: str | None = None

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.seq)

    @property
    def is_control(self) -> bool:
        """True for events of ours (`sys.*`)."""
        return self.event_type.startswith("sys.")


class Discontinuity(msgspec.Struct, frozen=True):
    """The stream goes on at `resumed`, and what lies between is not coming.

    reason: lost (neither journal nor table has it), pruned, broken (the table should have it), or the gateway's own word: trimmed,
    epoch, ahead.
    lost_from, lost_to: seqs of `after.epoch`, inclusive; None where it is not known how far that epoch went.
    """

    after: Position
    resumed: Position
    reason: str
    lost_from: int | None
    lost_to: int | None


def encode_release(release: Release) -> bytes:
    """A capture line, without its newline."""
    more = b""
    if release.committed_at is not None:
        more += b',"committed_at":' + quote(release.committed_at)
    if release.clock is not None:
        more += b',"clock":' + quote(release.clock)
    if release.source_id is not None:
        more += b',"source_id":' + quote(release.source_id)
    return one_line(
        b'{"id":%b,"epoch":%b,"seq":%d,"event_type":%b,"timestamp":%b,"source":%b,"data":%b%b,'
        b'"transport":"%b","via":"%b","received_at":"%b","received_mono_ns":%d}'
        % (
            quote(release.id),
            quote(release.epoch),
            release.seq,
            quote(release.event_type),
            quote(release.timestamp),
            quote(release.source),
            release.data,
            more,
            release.transport.encode(),
            release.via.encode(),
            format_time(release.received_at).encode(),
            release.received_mono_ns,
        )
    )
