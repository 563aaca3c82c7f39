"""Times that PostgreSQL holds and Python does not, and offsets with seconds: in the database's zone, whatever that is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.settings import RealtimeSection
from migctl.delivery.relay import CURSOR
from migctl.events import Event, Position, format_time
from migctl.journal.sqlite import SqliteJournal
from migctl.subscriber.core.release import Release
from migctl.target.places import Places
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.moments import MOMENTS
from tests.kit.receiving import publishing, reader, receiving
from tests.kit.relaying import Tables, publish, relayed, relaying

ELSEWHERE = True


def events() -> list[Event]:
    return [replace(event(), timestamp=moment) for moment in MOMENTS]


async def test_our_own_rows_are_known_again_after_a_lost_answer_whatever_their_times_look_like_there(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, events())
        await relayed(journal, relay)
    await journal.set_cursor_back(CURSOR, Position(journal.epoch, 0))
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
        assert relay.status().repeats == len(MOMENTS)
    assert await tables.tombstones() == {}


@pytest.mark.parametrize("live", ["broadcast", "postgres_changes"])
async def test_a_time_is_spelled_the_same_on_every_way(
    journal: SqliteJournal, target: Target, tables: Tables, live: LiveWay
) -> None:
    settings = Settings(realtime=RealtimeSection(live=live))
    async with publishing(journal, target, settings=settings) as (relay, _):
        async with (
            reader(target, position=Position(journal.epoch, 0), live=live) as subscriber,
            receiving(subscriber) as by_change,
        ):

            async def has_come_live() -> bool:
                """Whichever is quicker, a page or a change, brings an event: until a change was."""
                await publish(journal, [*events(), event(rb'{"a":"\u0000"}')])
                await by_change.count(journal.head)
                return {(r.via, r.timestamp) for r in by_change.releases} >= {
                    ("live", format_time(moment)) for moment in MOMENTS
                }

            await until(has_come_live)
        await relayed(journal, relay)

        async def by_page_alone() -> list[Release]:
            """What a reader has who came when no change was on its way any more."""
            async with (
                reader(target, position=Position(journal.epoch, 0), live=live) as late,
                receiving(late) as by_page,
            ):
                await by_page.count(journal.head)
            found = by_page.releases
            return found if {release.via for release in found} == {"table"} else []

        read: list[Release] = await until(by_page_alone)
    spelled = [
        (format_time(entry.event.timestamp), format_time(entry.committed_at))
        for entry in await journal.read(0, epoch=journal.epoch, limit=5000)
    ]
    for releases in (by_change.releases, read):
        assert [(release.timestamp, release.committed_at) for release in releases] == spelled


async def test_a_row_whose_time_somebody_made_infinite_is_passed_over_alone(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, [event() for _ in range(4)])
        await relayed(journal, relay)
        await relay.drain(30)
    await tables.run("update monitoring_events set timestamp = 'infinity' where seq = 2")
    await tables.run("update monitoring_events set committed_at = '0044-03-15 BC' where seq = 3")
    await tables.run("update monitoring_heads set started_at = '-infinity', updated_at = 'infinity'")
    async with (
        reader(target, position=Position(journal.epoch, 0)) as subscriber,
        receiving(subscriber) as received,
    ):
        await received.count(2)
    assert received.seqs == [1, 4]
    # And serve starts, also where it has to compare such a row with its own.
    await journal.set_cursor_back(CURSOR, Position(journal.epoch, 0))
    async with relaying(journal, target) as relay:
        await relayed(journal, relay)
        await until(lambda: relay.status().backlog == 0)


async def test_places_of_an_event_are_found_whatever_the_zone(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    async with relaying(journal, target) as relay:
        await publish(journal, events())
        await relayed(journal, relay)
    await tables.run("update monitoring_events set created_at = '1890-01-01' where seq = 1")
    await tables.run("update monitoring_events set created_at = 'infinity' where seq = 2")
    places = Places(target, "public")
    for seq in (1, 2, 3):
        (found,) = await places.at(Position(journal.epoch, seq))
        assert found.seq == seq
    await places.aclose()
