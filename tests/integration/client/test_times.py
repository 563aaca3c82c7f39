"""A time is spelled the same on every way, in a browser too, whatever the database's zone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import RealtimeSection
from migctl.events import Event, format_time
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
    def moments() -> list[Event]:
        return [replace(event(), timestamp=moment) for moment in MOMENTS]

    settings = Settings(realtime=RealtimeSection(live=live))
    async with (
        deployed(journal, target, assigned="websocket", live=live, settings=settings) as server,
        following(server.url) as followed,
    ):
        await journal.append(moments())
        await followed.count(4)
        # What comes until Realtime is joined is read from the tables.
        await server.stop_gateway()
        await journal.append(moments())
        await until(lambda: followed.attached == ["realtime"])
        await followed.count(8)
        await journal.append(moments())
        await followed.count(12)
        entries = await journal.read(0)
    assert {"table", "live"} <= {one["via"] for one in followed.releases if one["transport"] == "realtime"}
    assert [one["times"] for one in followed.releases] == [
        [format_time(entry.event.timestamp), format_time(entry.committed_at)] for entry in entries
    ]
