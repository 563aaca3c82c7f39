"""Who has work without end leaves others their turn."""

from __future__ import annotations

import asyncio

from migctl import clock
from migctl.ingest.turns import IDLE_S, WORK_S, Turns


def work() -> None:
    """A quarter of a spell of it."""
    until = clock.mono() + WORK_S / 4
    while clock.mono() < until:
        pass


async def test_after_a_spell_of_work_there_is_a_rest_for_all_who_share_it() -> None:
    turns, done, others = Turns(), [0, 0], 0

    async def worker(index: int) -> None:
        while True:
            work()
            done[index] += 1
            await turns.give()

    tasks = [asyncio.create_task(worker(index)) for index in (0, 1)]
    # Neither of the two ever waits for anything else: without a rest nobody would come to this again.
    while turns.rests < 5:
        others += 1
        await asyncio.sleep(0)
    assert min(done) > 0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert others >= 5


async def test_who_has_little_to_do_never_rests() -> None:
    turns = Turns()
    for _ in range(5):
        await turns.give()
        await asyncio.sleep(2 * IDLE_S)
    assert turns.rests == 0
