"""Journal, relay, tables and their readers, whatever happens to them, in any order: nothing acknowledged is lost in silence."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from migctl.config import Target
from migctl.events import Event
from migctl.faults import tcp_proxy
from tests.kit.entries import event
from tests.kit.set_back import TargetCopies
from tests.kit.world import World

# 80 take about a minute; a night may take more.
EXAMPLES = int(os.environ.get("DELIVERY_EXAMPLES", "80"))
STEPS = 30
MOST_POISON = 5
REQUESTS = (
    b"POST /rest/v1/monitoring_events",
    b"POST /rest/v1/monitoring_tombstones",
    b"POST /rest/v1/rpc/monitoring_move_head",
)


class Delivery(RuleBasedStateMachine):
    """Time passes only inside a rule: between two, everything stands still where it was.

    What may be done next depends on what was done, never on how far it has got: so an example can be run again.
    """

    def __init__(self, folder: Path, target: Target) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder, self.target = folder, target
        self.poison = 0
        self.journal_was_put_back = self.target_was_set_back = False
        self.made: list[Event] = []

    def run(self, awaitable: Any) -> Any:
        async def within_a_deadline() -> Any:
            async with asyncio.timeout(60):
                return await awaitable

        return self.runner.run(within_a_deadline())

    @initialize()
    def begin(self) -> None:
        port = int(self.target.supabase_url.rpartition(":")[2])
        self.proxy = tcp_proxy(port)
        self.world = World(self.folder, self.target, self.run(self.proxy.__aenter__()))
        self.run(self.world.begin())

    def events(self, count: int) -> list[Event]:
        made = [event(b'{"number": %d}' % (len(self.made) + number)) for number in range(count)]
        self.made += made
        return made

    def some(self, number: int) -> Event:
        return self.made[number % len(self.made)]

    @rule(count=st.integers(1, 8), wait=st.booleans())
    def publish(self, count: int, wait: bool) -> None:
        self.run(self.world.send(self.events(count), wait=wait))

    @precondition(lambda self: self.poison < MOST_POISON)
    @rule(others=st.integers(0, 3))
    def publish_poison(self, others: int) -> None:
        self.poison += 1
        self.run(self.world.send([*self.events(others), event(b'{"text": "\\u0000"}'), *self.events(others)]))

    @precondition(lambda self: self.made)
    @rule(number=st.integers(0, 1000), others=st.integers(0, 2))
    def duplicate(self, number: int, others: int) -> None:
        self.run(self.world.send([*self.events(others), self.some(number)]))

    @precondition(lambda self: self.made)
    @rule(number=st.integers(0, 1000))
    def conflict(self, number: int) -> None:
        self.run(self.world.send_changed(event(b'{"changed": true}', id=self.some(number).id)))

    @rule()
    def send_again(self) -> None:
        self.run(self.world.send_again())

    @rule(turns=st.integers(1, 200))
    def let_time_pass(self, turns: int) -> None:
        async def pass_() -> None:
            for _ in range(turns):
                await asyncio.sleep(0.0002)

        self.run(pass_())

    @rule()
    def crash(self) -> None:
        self.run(self.world.crash())

    @rule()
    def fail(self) -> None:
        self.world.proxy.refuse()
        self.world.proxy.cut_all()

    @rule(request=st.sampled_from(REQUESTS), then_refuse=st.booleans())
    def lose_an_answer(self, request: bytes, then_refuse: bool) -> None:
        self.world.proxy.lose_next_answer_to(request, then_refuse=then_refuse)

    @rule()
    def heal(self) -> None:
        self.world.proxy.heal()

    @rule()
    def heal_and_relay(self) -> None:
        self.world.proxy.heal()
        self.run(self.world.relay_all())

    @rule(reader=st.integers(0, 1))
    def poll(self, reader: int) -> None:
        self.run(self.world.readers[reader].poll())

    @rule(reader=st.integers(0, 1))
    def acknowledge(self, reader: int) -> None:
        self.world.readers[reader].take()

    @rule(reader=st.integers(0, 1))
    def resume(self, reader: int) -> None:
        self.world.readers[reader].come_again()

    @rule()
    def back_up(self) -> None:
        self.world.back_up()

    @precondition(lambda self: self.world.copies and not self.target_was_set_back)
    @rule(number=st.integers(0, 10), mark_too=st.booleans())
    def put_back(self, number: int, mark_too: bool) -> None:
        copies = self.world.copies
        self.journal_was_put_back = True
        self.run(self.world.put_back(copies[number % len(copies)], mark_too=mark_too))

    # What both lack, the journal by a copy that was put back and the target by another, nobody knows any more.

    @rule()
    def keep_the_target(self) -> None:
        self.world.target_copies.take()

    @precondition(lambda self: self.world.target_copies.count and not self.journal_was_put_back)
    @rule(number=st.integers(0, 10))
    def put_the_target_back(self, number: int) -> None:
        copies = self.world.target_copies.count
        self.set_back(lambda target: target.put_back(number % copies))

    @precondition(lambda self: not self.journal_was_put_back)
    @rule(first=st.integers(1, 30), count=st.integers(1, 10))
    def delete_rows(self, first: int, count: int) -> None:
        self.set_back(lambda target: target.delete(first, count))

    @precondition(lambda self: not self.journal_was_put_back)
    @rule(what=st.sampled_from(["rows", "heads", "all"]))
    def empty_the_target(self, what: str) -> None:
        if what == "heads":
            self.set_back(lambda target: target.forget_heads())
        else:
            self.set_back(lambda target: target.empty(heads_too=what == "all"))

    def set_back(self, how: Callable[[TargetCopies], None]) -> None:
        self.target_was_set_back = True
        self.world.set_back(how)

    @rule()
    def rotate(self) -> None:
        self.run(self.world.rotate())

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                try:
                    self.run(self.world.come_to_rest())
                finally:
                    self.run(self.world.end())
                    self.run(self.proxy.__aexit__(None, None, None))
        finally:
            self.runner.close()


@pytest.mark.timeout(300 + 5 * EXAMPLES)
@pytest.mark.slow
def test_whatever_happens_each_acknowledged_event_is_a_row_a_tombstone_or_said_to_be_lost_and_readers_get_one_run(
    standin: Target, tmp_path: Path
) -> None:
    numbers = itertools.count()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Delivery(tmp_path / f"example_{next(numbers)}", standin),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
