"""What comes over sockets: frames of the gateway, Phoenix frames with broadcasts and changes, and what a client asks for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from multidict import MultiDict

from migctl.errors import MigctlError
from migctl.events import Position
from migctl.server.access.tokens import digest_of, presented_in
from migctl.subscriber.core.assigned import Assigned
from migctl.subscriber.core.merge import Merge
from migctl.subscriber.core.release import Release, encode_release
from migctl.subscriber.gateway import resuming
from migctl.subscriber.gateway.frames import (
    read_assignment,
    read_frame,
    read_heartbeat,
    read_hello,
    read_redirect,
)
from migctl.subscriber.realtime import hints
from migctl.subscriber.realtime.official import _is_answer as is_answer
from migctl.target.errors import in_words
from migctl.transports.realtime import frames as phoenix
from migctl.transports.realtime.canary import moment_of, number_of
from migctl.transports.realtime.exchange import Broadcast, Change, Exchange
from migctl.transports.websocket.resume import BadRequest, begin, opts_in, subprotocols_in, wish_in
from migctl.validate.lines import BadLine
from migctl.validate.lines import decode as decode_line
from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target
from tests.fuzz.targets.events import ARRIVED, EPOCH, refused

TOPIC = "realtime:public.monitoring_events"
ROW: dict[str, Any] = {
    "id": "0190a000-0000-7000-8000-00000000000a",
    "seq": 7,
    "event_type": "cpu",
    "timestamp": "2026-01-31T12:00:00.000000Z",
    "source": "s",
    "data": {"used": 1.5},
    "committed_at": "2026-01-31T12:00:00.100000Z",
}
HINT = {
    "v": 1,
    "epoch": EPOCH,
    "first": 7,
    "last": 8,
    "table_head": 6,
    "events": [ROW, {"id": ROW["id"], "seq": 8}],
}


def _v2(type_: str, data: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"type": type_, "data": data, "timestamp": "2026-01-31T12:00:00Z", **more}).encode()


V2 = (
    _v2("cpu", {"a": 1}, id=ROW["id"], seq=7, source="s", committed_at="2026-01-31T12:00:00Z"),
    _v2("cpu", {"a": "\ud800"}, id=ROW["id"], seq=7, source="s", clock="arrival", source_id="x"),
    _v2(
        "sys.hello",
        {
            "v": 2,
            "epoch": EPOCH,
            "head": 9,
            "tail": 1,
            "resume": "recovered",
            "reason": None,
            "heartbeat_s": 5.0,
            "asks": True,
        },
    ),
    _v2(
        "sys.hello",
        {
            "v": 2,
            "epoch": "other",
            "head": 9,
            "tail": 5,
            "resume": "unrecoverable",
            "reason": "trimmed",
            "assigns": True,
        },
    ),
    _v2("sys.hb", {"epoch": EPOCH, "head": 9}),
    _v2("sys.fallback", {"from": "realtime", "to": "websocket", "reason": "x", "spread_s": 1.5}),
    _v2("sys.assignment", {"transport": "realtime", "version": 3, "reason": "SPLIT"}),
    _v2("sys.caught_up", {"seq": 9}),
)


def _phoenix(event: str, payload: Any, ref: Any = None, topic: str = TOPIC) -> bytes:
    return json.dumps(
        {"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": "1"}
    ).encode()


PHOENIX = (
    _phoenix("broadcast", {"type": "broadcast", "event": "events", "payload": HINT}),
    _phoenix(
        "broadcast",
        {
            "type": "broadcast",
            "event": "heartbeat",
            "payload": {"v": 1, "epoch": EPOCH, "journal_head": 9, "table_head": 8},
        },
    ),
    _phoenix("broadcast", {"type": "broadcast", "event": "canary", "payload": {"from": "me", "n": 3}}),
    _phoenix("phx_reply", {"status": "ok", "response": {}}, "1"),
    _phoenix(
        "phx_reply",
        {"status": "error", "response": {"reason": "ChannelRateLimitReached: Too many channels"}},
        "1",
    ),
    _phoenix("phx_reply", {"status": "ok", "response": {}}, "2"),
    _phoenix("system", {"status": "error", "message": "x", "extension": "system", "channel": "c"}),
    _phoenix(
        "system",
        {
            "status": "ok",
            "message": "Subscribed to PostgreSQL",
            "extension": "postgres_changes",
            "channel": "c",
        },
    ),
    _phoenix("phx_close", {}),
    _phoenix(
        "postgres_changes",
        {"ids": [1], "data": {"type": "INSERT", "record": {**ROW, "epoch": EPOCH}, "errors": None}},
    ),
    _phoenix(
        "postgres_changes",
        {"ids": [1], "data": {"type": "UPDATE", "record": {"updated_at": "2026-01-31T12:00:00+00:00"}}},
    ),
    _phoenix("phx_reply", {"status": "ok", "response": {}}, "9", "phoenix"),
)


def _merge() -> Merge:
    merge = Merge(max_buffer_bytes=1 << 20, max_gap=100)
    merge.start(Position(EPOCH, 6), 0.0)
    return merge


def _through(releases: list[Any]) -> None:
    """Into the merge and out of it, and written as a capture that is read again."""
    merge = _merge()
    for one in releases:
        merge.offer(one, 0.0)
    merge.missing()
    merge.repair_at()
    for taken in merge.take():
        if isinstance(taken, Release):
            line = encode_release(taken)
            assert b"\n" not in line
            try:
                decode_line(line)
            except BadLine as error:
                refused(str(error))


def a_gateway_frame(data: bytes) -> bool:
    hello = read_hello(data)
    if hello is not None:
        assert hello.resume in ("fresh", "recovered", "unrecoverable")
        for alone in (True, False):
            resuming.begin(hello, top=Position(EPOCH, 6), wanted=None, alone=alone)
            resuming.begin(hello, top=None, wanted=Position(EPOCH, 3), alone=alone)
    try:
        frame = read_frame(data)
    except ValueError as error:
        return refused(str(error))
    beat = read_heartbeat(frame)
    if beat is not None:
        _merge().hear(beat.epoch, beat.head, 0.0)
    redirect = read_redirect(frame)
    assert redirect is None or redirect.to in ("websocket", "realtime")
    answer = read_assignment(frame)
    if answer is not None:
        held = Assigned(answer)
        held.hear(answer)
    if frame.id is not None and frame.seq is not None:
        resuming.accept(frame.seq, top=Position(EPOCH, 6), alone=True)
        _through([frame.release(EPOCH, "live", ARRIVED)])
    return True


def a_phoenix_frame(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    is_answer(text)
    hint = hints.read_text(text, TOPIC, ARRIVED)
    if hint is not None:
        _through(hint.items)
    try:
        frame = phoenix.decode(text)
    except ValueError as error:
        return refused(str(error))
    exchange = Exchange([TOPIC, "phoenix"], changes=True)
    exchange.joins(TOPIC)
    exchange.pushes(TOPIC, 0.0)
    try:
        meaning = exchange.hears(frame)
    except MigctlError as error:
        refused(error.what)
        return True
    if isinstance(meaning, Broadcast):
        number_of(meaning.event, meaning.payload, "me")
        _payload(meaning.payload)
    if isinstance(meaning, Change):
        moment_of(meaning.data)
        _payload(meaning.data)
    in_words(frame.payload)
    return True


def _payload(payload: dict[str, Any]) -> None:
    for found in (
        hints.read_events(payload, ARRIVED),
        hints.read_heartbeat(payload),
        hints.read_insert(payload, ARRIVED),
    ):
        if found is not None:
            assert isinstance(found.epoch, str)
            assert isinstance(found.head, int)
            assert all(isinstance(seq, int) for seq in found.named)
            _through(found.items)
            _merge().hear(found.epoch, found.head, 0.0)


def a_parsed_payload(data: bytes) -> bool:
    """A payload as the official client hands it over: parsed by Python's own reader, which takes more than JSON has."""
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if isinstance(payload, dict):
        _payload(payload)
    return True


def a_socket_request(data: bytes) -> bool:
    """data: the query, and on a second line what `Sec-WebSocket-Protocol` offers, and `Authorization`."""
    query, _, rest = data.decode("utf-8", "surrogateescape").partition("\n")
    offered, _, authorization = rest.partition("\n")
    protocols = subprotocols_in([offered])
    token = presented_in(authorization or None, protocols)
    if token is not None:
        digest_of(token)
    try:
        found = MultiDict(parse_qsl(query, keep_blank_values=True))
    except ValueError:  # aiohttp's own reader stands before us
        return False
    opts_in(found, protocols)
    try:
        wish = wish_in(found)
    except BadRequest as error:
        return refused(error.reason)
    begin(wish.position, epoch=EPOCH, head=9, tail=2)
    return True


TARGETS = (
    Target(
        "gateway's frame",
        a_gateway_frame,
        V2,
        words=(b"id", b"seq", b"epoch", b"head", b"transport", b"realtime"),
        mutate=mutated_json,
    ),
    Target(
        "Phoenix frame",
        a_phoenix_frame,
        PHOENIX,
        words=(b"events", b"broadcast", b"record", b"errors", b"last", TOPIC.encode()),
        mutate=mutated_json,
    ),
    Target(
        "hint as parsed",
        a_parsed_payload,
        (
            json.dumps(HINT).encode(),
            json.dumps({"v": 1, "epoch": EPOCH, "journal_head": 9}).encode(),
            json.dumps({"record": {**ROW, "epoch": EPOCH}, "errors": None}).encode(),
            json.dumps(
                {"record": {**ROW, "epoch": EPOCH, "data": None}, "errors": ["Error 413: Payload Too Large"]}
            ).encode(),
        ),
        words=(b"events", b"record", b"seq", b"last", b"data", b"committed_at"),
        mutate=mutated_json,
    ),
    Target(
        "socket request",
        a_socket_request,
        (
            f"v=2&epoch={EPOCH}&after=7&role=standby&user=ann\nmigctl.v2, migctl.token.abc\nBearer x".encode(),
            b"v=2&assigned=realtime&fallback=1&client=witness\n\n",
            b"token=x\n\nbasic abc",
        ),
        words=(b"after", b"epoch", b"&", b"=", b"%", b"%ff", b"+", b"-1", b"\xd9\xa1", b"9" * 19, b"user"),
        most_bytes=8192,
    ),
)
