"""A throttled relay writes nothing, loses nothing, and goes on at once."""

from __future__ import annotations

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import Tables, publish, relayed, relaying


async def test_nothing_is_written_while_it_is_throttled_and_nothing_is_lost_by_it(
    journal: SqliteJournal, target: Target, tables: Tables
) -> None:
    events = [event(b'{"n":%d}' % number) for number in range(700)]
    async with relaying(journal, target) as relay:
        await publish(journal, events[:100])
        await relayed(journal, relay)
        first = await relay.throttle.hold("kim", "vacuum")
        assert (first.before, first.unkept) == (None, None)
        await publish(journal, events[100:])
        # Heads go on: they say how far the journal is.
        await until(lambda: _announced(tables, 700))
        status = relay.status()
        assert (status.backlog, status.table_head) == (600, 100)
        assert status.throttled is not None
        assert (status.throttled.by, status.throttled.reason) == ("kim", "vacuum")
        assert await tables.seqs() == list(range(1, 101))
        again = await relay.throttle.hold("lee", "still")
        assert again.after is not None and again.after.since == status.throttled.since
        await relay.throttle.lift("lee", "done")
        await relayed(journal, relay)
        assert relay.status().throttled is None
    assert await tables.ids() == [each.id for each in events]


async def _announced(tables: Tables, journal_head: int) -> bool:
    return [head for _, _, head in await tables.heads()] == [journal_head]
