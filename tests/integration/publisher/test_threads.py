"""Publishing from threads, and what would wait for ever if it were let."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from migctl import Published, Publisher
from migctl.errors import Transient, Usage
from migctl.journal import Conflict
from migctl.journal.sqlite.files import read_file
from migctl.publisher.waiting import Full
from tests.kit.conditions import until
from tests.kit.served import serving

THREADS, EACH = 4, 500


async def test_threads_publish_side_by_side_each_in_its_own_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        async with Publisher(served.url, max_waiting_events=64) as publisher:

            def work(thread: int) -> list[Future[Published]]:
                return [publisher.publish_threadsafe("cpu", {"thread": thread, "n": n}) for n in range(EACH)]

            with ThreadPoolExecutor(THREADS) as pool:
                loop = asyncio.get_running_loop()
                futures = await asyncio.gather(*(loop.run_in_executor(pool, work, n) for n in range(THREADS)))
            assert publisher.most_waiting_events == 64
        # Left, so acknowledged.
        published = [future.result(0) for each in futures for future in each]
    by_thread: dict[int, list[int]] = defaultdict(list)
    for entry in read_file(tmp_path / "journal.db"):
        data = json.loads(entry.event.data)
        by_thread[data["thread"]].append(data["n"])
    assert by_thread == {thread: list(range(EACH)) for thread in range(THREADS)}
    assert sorted(each.seq for each in published) == list(range(1, THREADS * EACH + 1))


async def test_a_thread_may_wait_for_its_acknowledgement_and_gets_its_error(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:

        def work(n: int) -> Published:
            return publisher.publish_threadsafe("cpu", {"n": n}, id="one").result(10)

        assert (await asyncio.to_thread(work, 1)).seq == 1
        with pytest.raises(Conflict):
            await asyncio.to_thread(work, 2)
        assert (await asyncio.to_thread(work, 1)).duplicate


async def test_a_thread_waits_for_room_as_long_as_it_said_and_is_told_what_to_do(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url, max_waiting_events=2) as publisher:
        served.refusing[0] = "draining"
        accepted = [publisher.publish_threadsafe("cpu", {"n": n}) for n in range(2)]
        await until(lambda: publisher.waiting_for)
        with pytest.raises(
            Full, match=r"no room within 0\.1 s; 2 events, \d+ bytes wait \(.*draining"
        ) as told:
            await asyncio.to_thread(publisher.publish_threadsafe, "cpu", {"n": 2}, timeout_s=0.1)
        assert "later" in told.value.do
        patient = asyncio.create_task(
            asyncio.to_thread(publisher.publish_threadsafe, "cpu", {"n": 3}, timeout_s=None)
        )
        served.refusing[0] = None
        assert (await asyncio.wrap_future(await patient)).seq == 3
        assert [future.result(0).seq for future in accepted] == [1, 2]


async def test_the_loops_own_thread_is_never_made_to_wait_for_itself(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url, max_waiting_events=1) as publisher:
        future = publisher.publish_threadsafe("cpu", {"n": 1})
        with pytest.raises(Usage, match="would never end"):
            future.result()
        with pytest.raises(Usage, match="would never end"):
            future.exception(5)
        with pytest.raises(Full, match="no room now") as told:
            publisher.publish_threadsafe("cpu", {"n": 2})
        assert "await publish(...)" in told.value.do
        assert (await asyncio.wrap_future(future)).seq == 1
        assert future.result().seq == 1


async def test_what_a_thread_handed_over_can_not_be_taken_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:
        future = publisher.publish_threadsafe("cpu", {})
        assert not future.cancel()
        assert (await asyncio.wrap_future(future)).seq == 1


async def test_after_the_block_and_before_it_a_thread_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        publisher = Publisher(served.url)
        with pytest.raises(Usage, match="is not open"):
            await asyncio.to_thread(publisher.publish_threadsafe, "cpu", {})
        async with publisher:
            pass
        with pytest.raises(Usage, match="was left"):
            await asyncio.to_thread(publisher.publish_threadsafe, "cpu", {})
        with pytest.raises(Usage, match="was used before"):
            await publisher.__aenter__()


async def test_a_thread_that_waits_for_room_while_the_block_is_left_is_not_left_waiting(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        served.refusing[0] = "draining"
        with pytest.raises(Transient, match=r"^2 events were not acknowledged"):
            async with Publisher(served.url, max_waiting_events=1, flush_s=0.2) as publisher:
                first = publisher.publish_threadsafe("cpu", {"n": 1})
                second = asyncio.create_task(
                    asyncio.to_thread(publisher.publish_threadsafe, "cpu", {"n": 2}, timeout_s=None)
                )
                await until(lambda: publisher.in_line == 1)
        for future in (first, await second):
            assert isinstance(future.exception(0), Transient)


def test_a_loop_that_was_closed_is_told_and_not_waited_for(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()

    async def enter() -> Publisher:
        return await Publisher("http://127.0.0.1:9").__aenter__()

    publisher = loop.run_until_complete(enter())
    loop.run_until_complete(asyncio.sleep(0))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with pytest.raises(Usage, match="was left"):
        publisher.publish_threadsafe("cpu", {})


async def test_another_loop_is_sent_to_the_call_for_threads(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Publisher(served.url) as publisher:

        def elsewhere() -> Published:
            async def work() -> Published:
                with pytest.raises(Usage, match="another event loop"):
                    await publisher.publish("cpu", {})
                return await asyncio.wrap_future(publisher.publish_threadsafe("cpu", {}))

            return asyncio.run(work())

        assert (await asyncio.to_thread(elsewhere)).seq == 1
