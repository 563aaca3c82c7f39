"""What servers answer: the target (rows, heads, refusals, tokens), and a `serve`, or who answers in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt

from migctl.errors import MigctlError, Poison, Systemic
from migctl.flags.redis_store import _snapshot as snapshot_of
from migctl.serve_client.answers import Answer
from migctl.status import reading
from migctl.status.summary import summary
from migctl.subscriber.core.pages import merged, read_rows, read_tombstones
from migctl.subscriber.gateway.serve_client import Assignment
from migctl.target import answers, chain, errors
from migctl.target.places import Place
from migctl.target.tokens import claims_of
from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target
from tests.fuzz.targets.events import ARRIVED, EPOCH, NOW, refused
from tests.fuzz.targets.frames import _through as through

ID = "0190a000-0000-7000-8000-00000000000a"
TIME = "2026-01-31T12:00:00+00:00"
EVENT = json.dumps({"id": ID, "event_type": "cpu", "timestamp": TIME, "source": "s", "data": {"a": 1.5}})
ROW: dict[str, Any] = {
    "id": ID,
    "seq": 7,
    "event_type": "cpu",
    "timestamp": TIME,
    "data": {"a": [1, "é"]},
    "source": "s",
    "epoch": EPOCH,
    "committed_at": TIME,
    "event": EVENT,
    "created_at": TIME,
    "reason": "poison",
}
HEAD: dict[str, Any] = {
    "epoch": EPOCH,
    "prev_epoch": None,
    "lost_from": None,
    "lost_to": 3,
    "writer_id": "we",
    "fence": 0,
    "started_at": TIME,
    "table_tail": 1,
    "table_head": 5,
    "journal_head": 7,
    "updated_at": TIME,
}
READERS: tuple[Callable[[bytes], object], ...] = (
    lambda body: answers.seqs("write", body, 1, 9), lambda body: answers.some("probe", body),
    lambda body: answers.id_of("id at", body), lambda body: answers.position_of("look", body),
    lambda body: answers.stored("read back", body), lambda body: answers.buried("read", body),
    lambda body: answers.found("retry", body), lambda body: answers.last("look", body, 0),
    lambda body: answers.typed("read", body, list[Place]),
)  # fmt: skip


def a_target_answer(data: bytes) -> bool:
    taken = False
    for read in READERS:
        taken = _or_systemic(read, data) is not None or taken
    heads = _or_systemic(lambda body: answers.heads("read", body), data)
    if heads is not None:
        _chained(heads)
    head = _or_systemic(lambda body: answers.head("move", body, EPOCH, table_head=0, journal_head=0), data)
    rows = _or_systemic(lambda body: read_rows("page", body, EPOCH, 6, ARRIVED), data)
    stones = _or_systemic(lambda body: read_tombstones("page", body, EPOCH, 6, ARRIVED), data)
    for items in (rows, stones):
        if items is not None:
            through(items)
    if rows is not None and stones is not None:
        merged(rows, stones)
    return taken or bool(heads or head or rows or stones)


def _or_systemic(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except Systemic as error:
        refused(error.what)
        assert error.what.isprintable()
        return None


def _chained(heads: list[chain.Head]) -> None:
    end, begin = chain.newest(heads), chain.oldest(heads)
    assert (end is None) == (not heads)
    assert (begin is None) == (not heads)
    for head in heads:
        chain.following(head.epoch, heads)
        chain.elsewhere(head.epoch, heads)
        chain.fate(3, head)


STATUSES = (400, 401, 403, 404, 408, 409, 413, 425, 429, 500, 502, 503, 540, 300, 204, 101, 999)


def a_refusal(data: bytes) -> bool:
    """data: a byte that picks the status, one for what was asked, and the body."""
    status = STATUSES[data[0] % len(STATUSES)] if data else 400
    how = data[1] if len(data) > 1 else 0
    error = errors.of_answer(
        "try", status, data[2:], retry_401=bool(how & 1), blames=bool(how & 2), fenced=bool(how & 4)
    )
    refused(error.what)
    assert error.what.isprintable()
    assert how & 2 or not isinstance(error, Poison)
    return True


def a_token(data: bytes) -> bool:
    text = data.decode("ascii", "replace").strip()
    claims = claims_of(text)
    assert claims is None or claims.role is None or isinstance(claims.role, str)
    return claims is not None


def a_token_of(data: bytes) -> bool:
    """data: what a token says, as JSON; it is wrapped as a token is."""
    part = jwt.utils.base64url_encode(data)
    return a_token(jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + part + b".AAAA")


ASSIGNMENT = {
    "transport": "realtime",
    "assigned": "realtime",
    "version": 3,
    "reason": "SPLIT",
    "epoch": EPOCH,
    "supabase_url": "https://x.supabase.co",
    "anon_key": "k",
    "channel": "public.monitoring_events",
    "live": "broadcast",
    "access_token": None,
    "expires_at": TIME,
    "fallback": {"hold_seconds": 30.0, "to_realtime": True, "max_spread_s": 10.0},
}


def a_serve_answer(data: bytes) -> bool:
    """data: a byte that picks the status, and the body."""
    answer = Answer(
        "http://x/y",
        STATUSES[data[0] % len(STATUSES)] if data else 200,
        data[1:],
        {"retry-after": data[1:40].decode("latin-1")},
    )
    answer.words()
    answer.wrong()
    assert 0 <= answer.retry_after_s <= 60
    failure = answer.failure()
    assert failure is None or isinstance(failure, MigctlError)
    taken = False
    try:
        found = answer.decode(Assignment)
        taken = True
        _ = found.lasting, found.away, found.project, found.answer
    except ValueError as error:
        assert str(error)
    return taken or failure is not None or bool(answer.wrong())


def a_status(data: bytes) -> bool:
    try:
        found = reading.read(data)
    except ValueError as error:
        assert str(error)
        return False
    summary(found, NOW).line()
    return True


def redis_fields(data: bytes) -> bool:
    """data: lines of `name value`."""
    fields = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(" ")
        fields[name] = value
    found = snapshot_of("t", fields)
    found.live_brakes()
    assert found.n >= 0
    return bool(found.rows or found.brakes)


FLAG_SET = {
    "flags": {
        "transport": {
            "state": "ENABLED",
            "variants": {"websocket": "websocket", "realtime": "realtime"},
            "defaultVariant": "websocket",
        }
    }
}
FIELDS = (
    b'row:r1 {"n":3,"id":"r1","document":%b}\nbrake:b1 {"id":"b1","flag":"transport","max_percent":0}\nlift:b1 2'
    % json.dumps(FLAG_SET).encode(),
    b'target t\nrow:r1 {"n":1,"id":"r1","document":%b,"lifts":["b1"]}' % json.dumps(FLAG_SET).encode(),
)
REFUSALS = (
    b'\0\2{"code":"22P02","message":"invalid input syntax","details":null,"hint":null}',
    b"\4\0<html>413</html>",
    b'\5\0{"code":"23505","message":"x","details":"Key (epoch, seq)=(e, 5) already exists."}',
    b'\1\1{"message":"no"}',
    b'\5\4{"code":"PT409","message":"fence","hint":"stop"}',
    b"\7\2",
)


STATUSES_KEPT = tuple(
    path.read_bytes() for path in sorted((Path(__file__).parents[2] / "kit" / "statuses").glob("*.json"))
)
TARGETS = (
    Target(
        "status",
        a_status,
        STATUSES_KEPT,
        words=(b"seq", b"since", b"problems", b"relay", b"backlog"),
        mutate=mutated_json,
    ),
    Target(
        "target's answer",
        a_target_answer,
        (
            json.dumps([ROW]).encode(),
            json.dumps([{**ROW, "seq": 7}, {**ROW, "seq": 8, "event": None}]).encode(),
            json.dumps(
                [HEAD, {**HEAD, "epoch": "b", "prev_epoch": EPOCH}, {**HEAD, "epoch": "c", "prev_epoch": "b"}]
            ).encode(),
            json.dumps(HEAD).encode(),
            b'"written"',
            b"[]",
        ),
        words=(*(key.encode() for key in (*ROW, *HEAD)), EVENT[:-1].encode(), b"written"),
        mutate=mutated_json,
    ),
    Target(
        "target's refusal",
        a_refusal,
        REFUSALS,
        words=(
            b"code",
            b"message",
            b"details",
            b"hint",
            b"error",
            b"msg",
            b"22P02",
            b"PGRST000",
            b"\xe2\x80\xae",
        ),
    ),
    Target(
        "token",
        a_token,
        (jwt.encode({"role": "authenticated", "exp": 1769860800}, "k" * 32).encode(),),
        words=(b".", b"eyJ", b"=", b"-"),
    ),
    Target(
        "token's claims",
        a_token_of,
        (b'{"role":"authenticated","exp":1769860800}', b'{"exp":1.5,"role":null}'),
        words=(b"exp", b"role", b"nbf", b"aud"),
        mutate=mutated_json,
    ),
    Target(
        "serve's answer",
        a_serve_answer,
        (
            b"\0" + json.dumps(ASSIGNMENT).encode(),
            b'\1{"errors":[{"index":0,"id":"a","field":"b","code":"c","reason":"d"}]}',
            b'\2{"what":"a","do":"b","exit_code":3}',
        ),
        words=(b"transport", b"websocket", b"errors", b"exit_code", b"fallback"),
    ),
    Target(
        "assignment",
        lambda data: a_serve_answer(b"\0" + data),
        (json.dumps(ASSIGNMENT).encode(),),
        words=(b"transport", b"live", b"channel"),
        mutate=mutated_json,
    ),
    Target(
        "flags in Redis",
        redis_fields,
        FIELDS,
        words=(b"row:", b"brake:", b"lift:", b"document", b"n", b"\n", b"fractional", b"targeting"),
    ),
)
