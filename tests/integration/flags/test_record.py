from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest

from migctl.config import Target
from migctl.errors import Systemic, Transient
from migctl.flags.record import Changed, Record, Unshown
from migctl.flags.snapshot import Brake, Row
from migctl.stack.standin_process import StandinProcess
from tests.unit.flags.test_shares import document, shares

BRAKE = Brake(
    id="b1", flag="transport", max_percent=10, by="ada", reason="it shakes", at="2026-01-05T12:00:00Z"
)


async def write(record: Record, percent: float, expected_n: int, **more: Any) -> Row:
    said = {"kind": "up", "known_n": 0, "actor": "ada", "reason": "why not", "raises": ["transport"], **more}
    return await record.write(document(shares(percent)), expected_n=expected_n, **said)


async def rows(target: Target, query: str) -> list[tuple[Any, ...]]:
    assert target.database_url is not None
    async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
        return await (await connection.execute(query)).fetchall()  # type: ignore[call-overload,no-any-return]


async def test_a_version_is_written_at_the_one_its_author_saw_with_its_audit(
    record: Record, target: Target
) -> None:
    before = time.time() * 1000
    assert (await record.read()).n == 0
    first = await write(record, 25, 0)
    assert first.n >= before - 1000
    second = await write(record, 50, first.n)
    assert second.n > first.n
    with pytest.raises(Changed, match="changed meanwhile"):
        await write(record, 75, first.n)
    said = await record.read()
    assert (said.n, said.head, said.snapshot.rows) == (second.n, second, (second,))
    assert (await record.read(second.n)).head is None
    audit = [one async for one in record.history()]
    assert [(one.action, one.actor, one.reason) for one in audit] == [("flags.up", "ada", "why not")] * 2
    assert isinstance(audit[0].before, dict)
    assert audit[0].before["n"] == first.n
    assert await rows(target, "select count(*) from monitoring_flags") == [(2,)]


async def test_of_two_raises_at_once_one_wins_and_the_other_is_told(record: Record) -> None:
    first = await write(record, 25, 0)
    results = await asyncio.gather(
        *(write(record, 50 + n, first.n) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, Row) for result in results) == 1
    assert sum(isinstance(result, Changed) for result in results) == 7


async def test_a_number_is_never_given_twice_also_where_the_record_was_put_back(record: Record) -> None:
    far = int(time.time() * 1000) + 10_000_000
    row = await write(record, 25, 0, known_n=far)
    assert row.n == far + 1


async def test_a_live_brake_that_was_not_shown_refuses_a_raise_and_is_lifted_by_its_name(
    record: Record,
) -> None:
    first = await write(record, 50, 0)
    assert await record.brake(BRAKE)
    assert not await record.brake(BRAKE)
    with pytest.raises(Unshown, match="b1"):
        await write(record, 75, first.n)
    await write(record, 75, first.n, kind="edit", raises=[])  # what raises nothing need not know
    said = await record.read()
    assert said.snapshot.live_brakes() == [msgspec.structs.replace(BRAKE, at=said.snapshot.brakes["b1"].at)]
    lifted = await write(record, 75, said.n, lifts=["b1"])
    after = await record.read()
    assert (after.snapshot.live_brakes(), after.snapshot.lifts) == ([], {"b1": lifted.n})
    # Whoever hands it on later, having missed the lift, brings nothing back.
    assert not await record.brake(BRAKE)
    assert (await record.read()).snapshot.live_brakes() == []


async def test_a_brake_that_knows_the_newest_row_leaves_the_lower_share_in_it(record: Record) -> None:
    first = await write(record, 50, 0)
    await record.brake(BRAKE, document=document(shares(10)), based_on=first.n)
    said = await record.read()
    assert said.n > first.n
    assert said.head is not None
    assert said.head.document == document(shares(10))
    late = msgspec.structs.replace(BRAKE, id="b2", max_percent=5)
    await record.brake(late, document=document(shares(5)), based_on=first.n)
    assert (await record.read()).n == said.n  # the brake alone does its work


@pytest.mark.parametrize("percent", [-1, 101])
async def test_a_brake_is_a_percentage(record: Record, percent: float) -> None:
    with pytest.raises(Systemic, match="0 to 100 percent"):
        await record.brake(msgspec.structs.replace(BRAKE, max_percent=percent))


async def test_processes_register_and_leave(record: Record) -> None:
    assert [one.name for one in await record.register("p1", "serve on a", "http://127.0.0.1:1")] == [
        "serve on a"
    ]
    await record.register("p2", "serve on b", None)
    await record.register("p1", "serve on a", "http://127.0.0.1:2")
    assert [(one.id, one.url) for one in (await record.read()).processes] == [
        ("p1", "http://127.0.0.1:2"),
        ("p2", None),
    ]
    await record.deregister("p1")
    assert [one.id for one in (await record.read()).processes] == ["p2"]


async def test_one_walker_has_the_lease_and_a_later_one_a_higher_fence(record: Record) -> None:
    mine = await record.lease("transport", "a", 60)
    assert (mine.holder, mine.fence) == ("a", 1)
    assert (await record.lease("transport", "a", 0.2)).fence == 1
    theirs = await record.lease("transport", "b", 60)
    assert theirs.holder == "a"
    assert theirs.left_s is not None
    await asyncio.sleep(max(0.0, theirs.left_s) + 0.05)
    assert ((await record.lease("transport", "b", 60)).fence, (await record.rollout("transport")).holder) == (
        2,
        "b",
    )
    await record.write_rollout(
        "transport", b'{"a":1}', expected=0, fence=2, action="run", actor="b", reason=""
    )
    with pytest.raises(Unshown, match="another walker"):
        await record.write_rollout(
            "transport", b"{}", expected=1, fence=1, action="run", actor="a", reason=""
        )
    with pytest.raises(Changed):
        await record.write_rollout(
            "transport", b"{}", expected=0, fence=None, action="set", actor="ada", reason=""
        )
    where = await record.rollout("transport")
    assert (where.version, where.state) == (1, {"a": 1})


async def test_the_worst_minute_is_kept(record: Record) -> None:
    at = datetime(2026, 1, 5, 12, 0, tzinfo=UTC).isoformat()
    minute = {"started_at": at, "id": "m1", "step": "s", "verdict": "pass", "sha256": "00"}
    assert await record.write_minutes([minute]) == 1
    assert await record.write_minutes([minute]) == 0
    assert await record.write_minutes([{**minute, "id": "m2", "verdict": "inconclusive"}]) == 1
    assert await record.write_minutes([minute]) == 0
    assert [one["id"] async for one in record.minutes(dict, since=at)] == ["m2"]


async def test_anon_and_authenticated_see_nothing_of_it(target: Target, record: Record) -> None:
    await write(record, 25, 0)
    for role in ("anon", "authenticated"):
        assert target.database_url is not None
        async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
            await connection.execute(f"set role {role}")
            for query in ("select * from monitoring_flags", "select monitoring_flags_read()"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(query)
                await connection.rollback()
                await connection.execute(f"set role {role}")


async def test_history_is_appended_to_and_never_changed(target: Target, record: Record) -> None:
    await write(record, 25, 0)
    assert target.database_url is not None
    async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
        for query in (
            "delete from monitoring_flags",
            "update monitoring_audit set actor = 'x'",
            "delete from monitoring_brakes",
        ):
            await connection.execute("set role service_role")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(query)
            await connection.rollback()


async def test_a_target_that_is_away_is_transient(record: Record, process: StandinProcess) -> None:
    process.stop()
    with pytest.raises(Transient):
        await record.read()
