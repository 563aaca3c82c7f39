"""What is read of the record page by page: all of it, in order, each once, whatever is written meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from migctl.config import Target
from migctl.flags.definitions import read
from migctl.flags.editing import with_flags
from migctl.flags.record import PAGE_MINUTES, Record
from migctl.flags.segments import with_segments
from migctl.flags.snapshot import Brake
from tests.unit.flags.test_shares import document, shares

BEGIN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def minute(number: int) -> dict[str, Any]:
    at = (BEGIN + timedelta(minutes=number)).isoformat()
    return {"started_at": at, "id": f"m{number}", "step": "s", "verdict": "pass", "sha256": "00"}


async def write(record: Record, to: object, *, expected_n: int, **more: Any) -> int:
    said = {"kind": "edit", "known_n": 0, "actor": "ada", "reason": "why not", **more}
    return (await record.write(to, expected_n=expected_n, **said)).n


async def test_evidence_of_months_is_read_whole_and_from_the_moment_that_is_asked_for(record: Record) -> None:
    count = 2 * PAGE_MINUTES + 1
    for first in range(0, count, 500):
        await record.write_minutes([minute(n) for n in range(first, min(first + 500, count))])
    found = [one["id"] async for one in record.minutes(dict, since=BEGIN.isoformat())]
    assert found == [f"m{n}" for n in range(count)]
    since, before = (BEGIN + timedelta(minutes=n) for n in (3, 6))
    some = record.minutes(dict, since=since.isoformat(), before=before.isoformat())
    assert [one["id"] async for one in some] == ["m3", "m4", "m5"]


async def test_a_minute_that_arrives_while_one_pages_comes_at_its_end_and_none_comes_twice(
    record: Record,
) -> None:
    await record.write_minutes([minute(n) for n in range(0, 10, 2)])
    found: list[str] = []
    async for one in record.minutes(dict, since=BEGIN.isoformat(), page=2):
        found.append(one["id"])
        if one["id"] == "m2":
            await record.write_minutes([minute(1), minute(3), minute(10)])
    # One that is written late, behind what was read, is there for who reads next.
    assert found == ["m0", "m2", "m3", "m4", "m6", "m8", "m10"]


async def test_history_goes_back_to_the_very_first_and_has_nothing_of_what_is_done_meanwhile(
    record: Record,
) -> None:
    for version in range(7):
        await record.write_rollout(
            "transport", b"{}", expected=version, fence=None, action=f"a{version}", actor="ada", reason=""
        )
    found: list[str] = []
    async for one in record.history(actions=("rollout.*",), page=3):
        found.append(one.action)
        if len(found) == 2:
            await record.write_rollout(
                "transport", b"{}", expected=7, fence=None, action="late", actor="ada", reason=""
            )
    assert found == [f"rollout.a{n}" for n in reversed(range(7))]
    newest = [one.action async for one in record.history(limit=4, page=3)]
    assert newest == ["rollout.late", "rollout.a6", "rollout.a5", "rollout.a4"]


async def test_an_entry_names_what_it_is_about_and_is_found_by_it(record: Record) -> None:
    menu = read({"flags": {"menu": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}})
    first = read(document(shares(25)))
    n = await write(record, first.document(), expected_n=0)
    both = with_segments(with_flags(first, menu), {"staff": {"in": [{"var": "targetingKey"}, ["u1"]]}})
    n = await write(record, both.document(), expected_n=n)
    await record.brake(Brake(id="b1", flag="transport", max_percent=10, by="ada", reason="it shakes"))
    # It changes nothing, and ends a brake: that is about the brake's flag.
    n = await write(record, both.document(), expected_n=n, lifts=["b1"])
    await write(record, with_flags(both, read({"flags": {}})).document(), expected_n=n)

    entries = [one async for one in record.history()]
    assert [(one.action, one.flag, one.parts) for one in entries] == [
        ("flags.edit", None, ()),
        ("flags.edit", "transport", ("transport",)),
        ("flags.brake", "transport", ("transport",)),
        ("flags.edit", "menu", ("$segment.staff", "menu")),
        ("flags.edit", "transport", ("transport",)),
    ]
    for part, count in (("transport", 3), ("menu", 1), ("$segment.staff", 1), ('a"b\\c,{}', 0)):
        assert len([one async for one in record.history(part=part)]) == count, part


async def test_a_lower_row_has_an_entry_beside_that_of_its_brake(record: Record) -> None:
    n = await write(record, document(shares(50)), expected_n=0)
    brake = Brake(id="b1", flag="transport", max_percent=10, by="ada", reason="it shakes")
    await record.brake(brake, document=document(shares(10)), based_on=n)
    down, pulled, _ = [one async for one in record.history()]
    assert (pulled.action, down.action, down.actor, down.reason, down.parts) == (
        "flags.brake", "flags.down", "ada", "it shakes", ("transport",),
    )  # fmt: skip
    assert isinstance(down.before, dict)
    assert isinstance(down.after, dict)
    assert (down.before["n"], down.after["n"]) == (n, (await record.read()).n)
    assert down.after["document"] == document(shares(10))
    await record.brake(brake)
    assert len([one async for one in record.history()]) == 3


async def test_entries_that_are_too_large_for_one_answer_come_in_smaller_pages(
    record: Record, target: Target
) -> None:
    assert target.database_url is not None
    async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
        await connection.execute(
            "insert into monitoring_audit (action, actor, reason, after)"
            " select 'flags.edit', 'ada', n::text, to_jsonb(repeat('x', 4000000)) from generate_series(1, 6) n"
        )
    assert [one.reason async for one in record.history()] == ["6", "5", "4", "3", "2", "1"]


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_no_more_is_read_than_is_asked_for(record: Record, limit: int) -> None:
    n = 0
    for percent in (1, 2, 3, 4):
        n = await write(record, document(shares(percent)), expected_n=n)
    assert len([one async for one in record.history(limit=limit, page=2)]) == min(limit, 4)
