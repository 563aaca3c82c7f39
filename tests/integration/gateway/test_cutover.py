"""The producer moves from the old service's broadcast to the journal, under dashboards that stay: each event once, none missing."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from migctl.config.settings import GatewaySection, LegacySection
from migctl.ingest.tapped import Tapped
from tests.kit.old_dashboard import Dashboard, dashboard
from tests.kit.old_service import front, old_service
from tests.kit.served import Served, event, serving, until
from tests.kit.tapping import tapping


def frame(n: int) -> str:
    return json.dumps({"type": "cpu", "data": {"n": n}})


async def publish(served: Served, n: int) -> None:
    await served.journal.append([event(b'{"n": %d}' % n, event_type="cpu")])


async def has(one: Dashboard, count: int) -> list[int]:
    await until(lambda: len(one.events) >= count)
    return sorted(one.events)


async def test_while_both_publish_each_event_is_sent_once_and_commands_are_answered(tmp_path: Path) -> None:
    tapped = Tapped()
    async with (
        old_service() as old,
        serving(tmp_path, front=front(old.url, serve="both", tapped=tapped)) as served,
        tapping(served.journal, old.url, tmp_path, tapped),
        dashboard(served.ws_url) as one,
    ):
        await until(lambda: len(old.clients) == 2)
        for n in range(0, 30, 3):
            await old.publish(frame(n))
            await publish(served, n + 1)
            await publish(served, n + 2)  # this one both say
            await old.publish(frame(n + 2))
        assert await has(one, 30) == list(range(30))
        await one.socket.send('{"command":"get_stats"}')
        await until(lambda: one.others == ["initial_stats", "stats"])
        # The journal has read all of it by now, tapped events too.
        await until(lambda: served.journal.head == 40 and served.gateway.status().behind_events == 0)
        assert len(one.events) == 30
        told = served.gateway.status().upstream
        assert told is not None
        assert (told.serve, told.fed_by, told.doubles) == ("both", {"both": 1}, 10)


@pytest.mark.parametrize("serve", ["both", "journal"])
async def test_old_service_that_is_killed_and_comes_back_leaves_its_dashboards_open_and_fed(
    tmp_path: Path, serve: str
) -> None:
    tapped = Tapped()
    async with contextlib.AsyncExitStack() as first:
        old = await first.enter_async_context(old_service())
        port = int(old.url.split(":")[2].split("/")[0])
        async with (
            serving(tmp_path, front=front(old.url, serve=serve, tapped=tapped)) as served,
            tapping(served.journal, old.url, tmp_path, tapped) as tap,
            dashboard(served.ws_url) as one,
        ):
            await until(lambda: len(old.clients) == 2 and one.others == ["initial_stats"])
            await old.publish(frame(0))
            assert await has(one, 1) == [0]
            old.cut()
            await first.aclose()
            await publish(served, 1)
            assert await has(one, 2) == [0, 1]
            await until(lambda: fed_by(served) == {"journal": 1})
            async with dashboard(served.ws_url) as late:
                await publish(served, 2)
                assert await has(late, 1) == [2]
                assert late.others == ["initial_stats"]  # as the old service last greeted such a client
            async with old_service(port) as again:
                await until(lambda: len(again.clients) == 2 and tap.status().state == "connected")
                await until(lambda: fed_by(served) == {serve: 1})
                await again.publish(frame(3))
                assert await has(one, 4) == [0, 1, 2, 3]
                await until(lambda: served.journal.head == 4)
                await one.socket.send("{}")
                await until(lambda: one.others == ["initial_stats", "initial_stats", "stats"])
            assert one.code is None


async def test_quiet_old_service_that_answers_is_found_out_and_its_dashboards_get_what_they_lack(
    tmp_path: Path,
) -> None:
    async with (
        old_service() as old,
        serving(tmp_path, front=front(old.url, quiet_s=0.3)) as served,
        dashboard(served.ws_url) as one,
    ):
        await until(lambda: one.others == ["initial_stats"])
        await old.publish(frame(0))
        assert await has(one, 1) == [0]
        for n in range(1, 4):
            await publish(served, n)
        assert await has(one, 4) == [0, 1, 2, 3]
        await one.socket.send("{}")
        await until(lambda: one.others == ["initial_stats", "stats"])
        assert fed_by(served) == {"both": 1}
        # And back again: nothing is sent twice.
        await old.publish(frame(4))
        await publish(served, 4)
        await publish(served, 5)
        assert await has(one, 6) == [0, 1, 2, 3, 4, 5]


async def test_fed_by_the_old_service_alone_dashboards_go_dark_and_the_status_says_so(tmp_path: Path) -> None:
    async with (
        old_service() as old,
        serving(tmp_path, front=front(old.url, serve="upstream", quiet_s=0.2)) as served,
        dashboard(served.ws_url) as one,
    ):
        await until(lambda: len(old.clients) == 1)
        await publish(served, 0)
        await publish(served, 1)
        await until(lambda: dark(served))
        told = served.gateway.status().upstream
        assert told is not None
        assert (told.fed_by, told.unsent) == ({"upstream": 1}, 2)
        assert told.quiet_since is not None
        await old.publish(frame(2))
        assert await has(one, 1) == [2]
        assert not dark(served)
        served.gateway.follow(GatewaySection(), joins_per_s=1.0, legacy=LegacySection(serve="both"))
        await publish(served, 3)
        assert await has(one, 2) == [2, 3]


async def test_service_without_its_old_route_is_away_and_one_that_refuses_a_client_is_obeyed(
    tmp_path: Path,
) -> None:
    async with old_service() as old, serving(tmp_path, front=front(old.url, serve="both")) as served:
        async with connect(served.ws_url + "?gone=1") as socket:
            await until(lambda: fed_by(served) == {"journal": 1})
            await publish(served, 0)
            assert json.loads(await socket.recv())["data"] == {"n": 0}
        with pytest.raises(Exception, match="403"):
            await connect(served.ws_url + "?stranger=1")


async def test_code_that_the_old_service_closes_one_client_with_is_kept(tmp_path: Path) -> None:
    async with (
        old_service() as old,
        serving(tmp_path, front=front(old.url, serve="both")) as served,
        dashboard(served.ws_url) as one,
    ):
        await until(lambda: len(old.clients) == 1)
        await old.close(4001, "elsewhere")
        await until(lambda: one.code == 4001)


def fed_by(served: Served) -> dict[str, int]:
    told = served.gateway.status().upstream
    assert told is not None
    return dict(told.fed_by)


def dark(served: Served) -> bool:
    told = served.gateway.status().upstream
    assert told is not None
    return told.dark_since is not None
