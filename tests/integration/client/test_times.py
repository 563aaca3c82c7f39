"""A time is spelled the same on every way, in a browser too, whatever the database's zone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import RealtimeSection
from migctl.events import format_time
from migctl.journal.sqlite import SqliteJournal
from tests.kit.conditions import until
from tests.kit.deployed import deployed
from tests.kit.entries import event
from tests.kit.following import following
from tests.kit.moments import MOMENTS

ELSEWHERE = True


@pytest.mark.parametrize("live", ["broadcast", "postgres_changes"])
async def test_times_are_spelled_the_same_by_the_table_and_live(
    target: Target, journal: SqliteJournal, live: LiveWay
) -> None:
    async def more() -> None:
        await journal.append([replace(event(), timestamp=moment) for moment in MOMENTS])
        await followed.count(journal.head)

    async def came_by_every_way() -> bool:
        await more()
        return {one["via"] for one in followed.releases if one["transport"] == "realtime"} == {
            "table",
            "live",
        }

    settings = Settings(realtime=RealtimeSection(live=live))
    async with (
        deployed(journal, target, assigned="websocket", live=live, settings=settings) as server,
        following(server.url) as followed,
    ):
        await more()
        # What comes until Realtime is joined is read from the tables.
        await server.stop_gateway()
        await more()
        await until(lambda: followed.attached == ["realtime"])
        await until(came_by_every_way)
        entries = await journal.read(0)
    assert [one["times"] for one in followed.releases] == [
        [format_time(entry.event.timestamp), format_time(entry.committed_at)] for entry in entries
    ]
