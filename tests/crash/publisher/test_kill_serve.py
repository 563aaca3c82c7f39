"""kill -9 of `serve` while publishers publish: what was acknowledged is in the journal, once, where it was said to be."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from migctl import Published, Publisher
from migctl.journal.sqlite.files import read_file
from migctl.stack.launcher import any_free_port
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, serving_process

KILLS = 4
PUBLISHERS = 4


@pytest.mark.slow
async def test_kill_9_of_serve_loses_nothing_that_was_published_and_doubles_nothing(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    address = f"127.0.0.1:{any_free_port()}"
    published: list[Published] = []
    done = False

    async def produce() -> int:
        """Publish until done; how many were asked for."""
        count = 0
        async with Publisher(f"http://{address}", request_timeout_s=2.0) as publisher:
            while not done:
                asked = [publisher.publish("cpu", {"n": n}) for n in range(chance.randrange(1, 6))]
                count += len(asked)
                published.extend(await asyncio.gather(*asked))
        return count

    async def at_least(more: int) -> None:
        goal = len(published) + more
        await until(lambda: len(published) >= goal)

    with ExitStack() as processes:

        async def start() -> ServeProcess:
            # In a thread: the publishers' loop goes on meanwhile, and they find nobody there.
            process = serving_process(
                tmp_path, "--mode", "websocket", "--listen", address, "--log-level", "warning"
            )
            return await asyncio.to_thread(processes.enter_context, process)

        serve = await start()
        producing = [asyncio.create_task(produce()) for _ in range(PUBLISHERS)]
        for _ in range(KILLS):
            await at_least(chance.randrange(50, 500))
            serve.send(signal.SIGKILL)
            serve = await start()
        await at_least(200)
        done = True
        asked = sum(await asyncio.gather(*producing))

    stored = [(entry.epoch, entry.seq, entry.event.id) for entry in read_file(tmp_path / "journal.db")]
    assert len(published) == asked == len(stored)
    assert sorted((each.epoch, each.seq, each.id) for each in published) == stored
    assert [seq for _, seq, _ in stored] == list(range(1, len(stored) + 1))
    # Each was asked for once, so none was there before: a try whose answer was lost is no duplicate.
    assert not any(each.duplicate for each in published)
