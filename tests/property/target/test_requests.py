"""Each request of relay, readers and retries, answered with anything: what comes of it is a value or an error of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import cycle
from typing import Any

import httpx
import respx
from hypothesis import given, settings
from hypothesis import strategies as st

from migctl.config import Target
from migctl.errors import MigctlError, Poison, Refused, Systemic, Transient
from migctl.events import Position
from migctl.flags.record import Record
from migctl.flags.snapshot import Brake
from migctl.journal import EpochInfo
from migctl.runtime.staged import completed_by, position_of, stage_of
from migctl.subscriber.realtime.tables import Tables
from migctl.subscriber.realtime.token import Token
from migctl.target import Heads, RetryTable, TableWriter, Tombstone
from tests.kit.entries import EPOCH, START, entry
from tests.property.target.test_readers import FULL, TIME, cut, documents, rows

TARGET = Target("http://127.0.0.1:9", service_role_key="key")
INFO = EpochInfo(EPOCH, None, None, None, START, head=5)
ENTRIES = [entry(3, id=FULL["id"]), entry(4)]
ID = ENTRIES[0].event.id


async def _writing(call: Callable[[TableWriter], Awaitable[object]]) -> None:
    writer = TableWriter(TARGET, "public")
    try:
        await call(writer)
    finally:
        await writer.aclose()


async def _with_heads(call: Callable[[Heads], Awaitable[object]]) -> None:
    heads = Heads(TARGET, "public")
    try:
        await call(heads)
    finally:
        await heads.aclose()


async def _retrying(call: Callable[[RetryTable], Awaitable[object]]) -> None:
    table = RetryTable(TARGET, "public")
    try:
        await call(table)
    finally:
        await table.aclose()


async def _reading(call: Callable[[Tables], Awaitable[object]]) -> None:
    async def token() -> str:
        return "token"

    tables = Tables(TARGET.supabase_url, "anon", "public", Token(token))
    try:
        await call(tables)
    finally:
        await tables.aclose()


async def _of_record(call: Callable[[Record], Awaitable[object]]) -> None:
    record = Record(TARGET, "public", "local/public")
    try:
        await call(record)
    finally:
        await record.aclose()


async def _rollout(record: Record) -> None:
    state = (await record.rollout("transport")).state
    stage_of(state)
    completed_by(state)
    position_of(state)


async def _all(rows: AsyncIterator[object]) -> None:
    """As many as anybody takes: whoever answers so for ever may be read for ever."""
    count = 0
    async for _ in rows:
        count += 1
        if count == 100:
            return


# By what may come of it beside Transient and Systemic.
REQUESTS: dict[str, tuple[Callable[[], Awaitable[None]], tuple[type[MigctlError], ...]]] = {
    "write": (lambda: _writing(lambda it: it.write(ENTRIES)), (Poison,)),
    "bury": (lambda: _writing(lambda it: it.bury([Tombstone(one, "poison") for one in ENTRIES])), ()),
    "reach": (lambda: _writing(lambda it: it.reach(EPOCH, 0)), ()),
    "id_at": (lambda: _writing(lambda it: it.id_at(EPOCH, 3)), ()),
    "probe": (lambda: _writing(lambda it: it.probe()), ()),
    "heads": (lambda: _with_heads(lambda it: it.read()), ()),
    "move": (lambda: _with_heads(lambda it: it.move(INFO, writer_id="we", table_head=3, journal_head=5)), (Refused,)),
    "begin_at": (lambda: _with_heads(lambda it: it.begin_at(INFO, writer_id="we", tail=3)), (Refused,)),
    "buried": (lambda: _retrying(lambda it: it.buried(Position(EPOCH, 3))), ()),
    "retry": (lambda: _retrying(lambda it: it.retry(Position(EPOCH, 3), ID)), (Poison,)),
    "record": (lambda: _of_record(lambda it: it.read()), ()),
    "register": (lambda: _of_record(lambda it: it.register("p", "n", None)), ()),
    "brake": (lambda: _of_record(lambda it: it.brake(Brake(id=ID, flag="transport", max_percent=0.0))), ()),
    "lease": (lambda: _of_record(lambda it: it.lease("transport", "p", 1.0)), ()),
    "rollout": (lambda: _of_record(_rollout), ()),
    "minutes": (lambda: _of_record(lambda it: _all(it.minutes(dict, since="2026-01-31T12:00:00Z"))), ()),
    "history": (lambda: _of_record(lambda it: _all(it.history())), ()),
    "reader's heads": (lambda: _reading(lambda it: it.heads()), ()),
    "reader's rows": (lambda: _reading(lambda it: it.rows(EPOCH, 0)), ()),
    "reader's tombstones": (lambda: _reading(lambda it: it.tombstones(EPOCH, 0)), ()),
}  # fmt: skip

statuses = st.sampled_from([200, 201, 204]) | st.integers(200, 599)
encodings = st.sampled_from([None, None, None, "gzip", "deflate", "identity", "no such", "gzip, gzip"])
places = st.none() | st.sampled_from(["http://[", "//", "\x7f", "/else", "http://127.0.0.1:99999999/"])
# What functions of the record answer with, and a page of it.
ROW: dict[str, Any] = {
    "n": 1, "id": ID, "target": "local/public", "document": {"flags": {}}, "lifts": [ID], "actor": "a", "reason": "r",
    "written_at": TIME,
}  # fmt: skip
BRAKE: dict[str, Any] = {
    "id": ID, "target": "local/public", "flag": "transport", "max_percent": 5.0, "split": "all", "actor": "a", "reason": "r",
    "pulled_at": TIME,
}  # fmt: skip
RECORD: dict[str, Any] = {
    "n": 1, "rows": [ROW], "brakes": [BRAKE], "lifts": {ID: 1}, "processes": [], "recorded": True, "lifted": False, "version": 1,
    "flag": "transport", "state": {"phase": "running", "stage": "2b-25", "completing": {"phase": "x"}, "since": TIME},
    "started_at": TIME, "document": {}, "at": TIME, "action": "a", "actor": "a", "reason": "r", "id": 3,
}  # fmt: skip


def _bent(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    wrong = st.dictionaries(st.sampled_from(sorted(good)), documents, max_size=2)
    return wrong.map(lambda wrong: {**good, **wrong})


bent = (
    _bent(RECORD)
    | _bent(ROW).map(lambda row: {**RECORD, "rows": [row, ROW]})
    | _bent(BRAKE).map(lambda brake: {**RECORD, "brakes": [brake, BRAKE]})
    | _bent(RECORD["state"]).map(lambda state: {**RECORD, "state": state})
)
of_record = (bent | bent.map(lambda value: [value])).map(lambda value: json.dumps(value).encode())
told = (
    cut()
    | rows.map(lambda value: json.dumps(value).encode())
    | st.just(json.dumps([FULL]).encode())
    | of_record
)
answers = st.builds(
    lambda status, body, encoding, place: httpx.Response(
        status,
        headers={
            **({"Content-Encoding": encoding} if encoding else {}),
            **({"Location": place} if place else {}),
        },
        stream=httpx.ByteStream(body),
    ),
    statuses, told, encodings, places,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(REQUESTS)), st.lists(answers, min_size=1, max_size=4))
def test_whatever_is_answered_only_errors_of_ours_come_of_it(
    name: str, told_in_turn: list[httpx.Response]
) -> None:
    request, more = REQUESTS[name]
    turns = cycle(told_in_turn)

    async def ask() -> None:
        with respx.mock() as mock:
            mock.route().mock(side_effect=lambda _: _anew(next(turns)))
            await asyncio.wait_for(request(), 10)

    try:
        asyncio.run(ask())
    except MigctlError as error:
        assert error.what.isprintable()
        assert len(error.what) < 1000
        assert isinstance(error, (Transient, Systemic, *more))


def _anew(answer: httpx.Response) -> httpx.Response:
    assert isinstance(answer.stream, httpx.ByteStream)
    return httpx.Response(answer.status_code, headers=answer.headers, stream=answer.stream)
