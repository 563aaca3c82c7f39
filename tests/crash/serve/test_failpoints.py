"""kill -9 of a real `serve` at each step of an event's way, ten times each, while producers send and three subscribers listen.

Which passing of the step is fatal is drawn from a seed, which is printed; MIGCTL_TEST_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import migctl
from migctl.config import Target
from migctl.events import Position
from migctl.subscriber.gateway.subscriber import WebsocketSubscriber
from tests.kit import ledger
from tests.kit.conditions import until
from tests.kit.lives import lives
from tests.kit.producing import producing
from tests.kit.receiving import Received, reader, receiving

KILLS = 10

# How often a step is passed at most before it kills; it must be passed so often in every life.
STEPS = {
    "before_commit": 20,
    "after_commit_before_the_answer": 20,
    "before_the_high_water_mark": 3,
    "between_broadcast_and_write": 10,
    "before_the_post": 15,
    "after_the_post": 15,
    "reading_back_after_a_lost_response": 2,
    "before_the_cursor": 15,
    "after_the_cursor_before_heads": 10,
    "heads_before_the_cursor": 5,
    "before_heads": 5,
    "after_heads": 5,
    "before_the_tombstone": 1,
    "after_the_tombstone_before_the_dead_letter": 1,
    "after_the_dead_letter_before_the_cursor": 1,
    "comparing_heads_at_the_start": 3,
    "catching_a_subscriber_up": 1,
    "draining": 8,
}
POISON = {step for step in STEPS if "tombstone" in step or "dead_letter" in step}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.slow
async def test_ten_kills_lose_nothing_double_nothing_and_leave_each_subscriber_one_run(
    standin: Target, tmp_path: Path, step: str
) -> None:
    seed = os.environ.get("MIGCTL_TEST_SEED") or str(random.randrange(1 << 30))
    sys.stdout.write(f"MIGCTL_TEST_SEED={seed}\n")
    chance = random.Random(f"{seed} {step}")
    database = standin.need("database_url")
    async with lives(tmp_path / "serve", environment(standin)) as serve:
        await serve.begin()
        async with AsyncExitStack() as stack:
            listening = {
                "websocket": WebsocketSubscriber(serve.ws_url, wait_s=20),
                "realtime": reader(standin, wait_s=20),
                "both": migctl.Subscriber(serve.url, wait_s=20, gone_s=0.3, hold_s=0.5, spread_s=0.1),
            }
            readers = {name: await listen(stack, subscriber) for name, subscriber in listening.items()}
            await stack.enter_async_context(ledger.sampling_heads(database))
            async with producing(serve.url, chance) as producers:
                await until(lambda: len(producers.acknowledged) > 50)
                epoch = readers["websocket"].releases[0].epoch
                late_ones: list[WebsocketSubscriber] = []
                await serve.kill()
                for kill in range(KILLS):
                    await serve.begin(step, chance.randint(1, STEPS[step]))
                    if kill % 3 == 0 or step in POISON:
                        producers.begin_poison()
                    if step == "catching_a_subscriber_up":
                        late = WebsocketSubscriber(serve.ws_url, position=Position(epoch, 0), wait_s=150)
                        late_ones.append(await stack.enter_async_context(late))
                    if step == "draining":
                        await serve.drain_once_it_serves()
                    await serve.killed()
                    found = ledger.journal(serve.journal, tmp_path / "copy")
                    assert set(found.ids.values()) >= set(producers.acknowledged), "acknowledged, and gone"
                    ledger.assert_cursor_is_behind_the_tables(found, ledger.tables(database))
                await serve.begin()
                enough = len(producers.acknowledged) + 50
                await until(lambda: len(producers.acknowledged) >= enough)
                for number, late in enumerate(late_ones):
                    readers[f"late {number}"] = await stack.enter_async_context(receiving(late))
            for received in readers.values():
                await received.count(len(producers.acknowledged))
        await serve.end()

    found, target = ledger.journal(serve.journal, tmp_path / "copy"), ledger.tables(database)
    # What was killed before its answer was sent again under its id: so nothing but what was acknowledged.
    assert sorted(found.ids.values()) == sorted(producers.acknowledged)
    assert found.heads() == {epoch: len(producers.acknowledged)}
    assert target.ids == found.ids
    assert {target.ids[place]: why for place, why in target.tombstones.items()} == dict.fromkeys(
        producers.poison, "poison"
    )
    for received in readers.values():
        ledger.assert_one_run(received.items, (epoch, 1))
        assert {(item.epoch, item.seq): item.id for item in received.releases} == found.ids


def environment(target: Target) -> dict[str, str]:
    return {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
    }


async def listen(stack: AsyncExitStack, subscriber: Any) -> Received:
    """Ready to receive, for the length of the stack."""
    return await stack.enter_async_context(receiving(await stack.enter_async_context(subscriber)))
