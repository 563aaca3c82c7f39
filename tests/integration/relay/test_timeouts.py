"""Requests that hear nothing: given up, repeated with more time, and known again where they had been carried out."""

from __future__ import annotations

from migctl.config import Settings, Target
from migctl.faults import tcp_proxy
from migctl.journal.sqlite import SqliteJournal
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.entries import event
from tests.kit.relaying import Tables, publish, relayed, relaying


def impatient(first_s: float) -> Settings:
    return Settings.model_validate(
        {"resilience": {"request_timeout": {"initial_s": first_s, "min_s": first_s, "max_s": 15}}}
    )


async def test_rows_whose_answer_came_too_late_are_known_as_our_own_and_the_timeout_grows_to_what_it_takes(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    async with (
        tcp_proxy(process.port) as proxy,
        relaying(journal, target, through=proxy.url, settings=impatient(0.1)) as relay,
    ):
        await publish(journal, [event()])
        await relayed(journal, relay)
        proxy.delay_s = 0.2  # of each way: the rows are committed long before their answer is there
        await publish(journal, [event(b'{"a":"%b"}' % (b"x" * 2000)) for _ in range(300)])
        await relayed(journal, relay)
        status = relay.status()
        assert relay.connections().table.request_timeout_s > 0.4
    assert status.retries >= 2
    assert status.repeats > 0
    assert await tables.seqs() == list(range(1, 302))
    assert await tables.tombstones() == {}
    assert await journal.dead_letters() == []


async def test_a_kept_connection_that_leads_nowhere_costs_one_timeout_and_not_the_stream(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    """As behind a router that forgot the connection, or a server that was switched off: no reset ever comes."""
    async with (
        tcp_proxy(process.port) as proxy,
        relaying(journal, target, through=proxy.url, settings=impatient(1.0)) as relay,
    ):
        await publish(journal, [event()])
        await relayed(journal, relay)
        proxy.swallow()
        await publish(journal, [event()])
        # That of the heads may be the first to vanish: it is not the one whose retry is counted.
        await until(
            lambda: any(b"/monitoring_events" in link.began for link in proxy.traffic.links if link.vanished)
        )
        proxy.heal()
        await relayed(journal, relay, within_s=10)
        assert await relay.drain(10) == 0
        assert relay.breaker().opened == 0
        assert relay.connections().table.retries == 1
    assert await tables.seqs() == [1, 2]


async def test_a_black_hole_opens_the_breaker_and_says_for_how_long_nothing_came(
    journal: SqliteJournal, target: Target, tables: Tables, process: StandinProcess
) -> None:
    settings = Settings.model_validate(
        {
            "resilience": {
                "request_timeout": {"initial_s": 0.2, "min_s": 0.1, "max_s": 1},
                "breaker": {"open_s": 0.2, "max_open_s": 0.4},
            }
        }
    )
    async with (
        tcp_proxy(process.port) as proxy,
        relaying(journal, target, through=proxy.url, settings=settings) as relay,
    ):
        await publish(journal, [event()])
        await relayed(journal, relay)
        proxy.swallow()
        await publish(journal, [event()])
        await until(lambda: relay.breaker().state == "open")
        assert "no answer within" in relay.breaker().reason
        assert relay.status().state == "retrying"
        assert relay.status().oldest_waits_s > 0, "what is under way waits too"
        proxy.heal()
        await relayed(journal, relay)
        assert relay.breaker().state == "closed"
    assert await tables.seqs() == [1, 2]
