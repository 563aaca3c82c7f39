"""A nursery of `migctl` processes, each with one place in it at which it kills itself: `python -m tests.kit.failpoint`.

A line on stdin, {"point", "passes", "arguments"}, begins a child: it runs the real command line; only, the function that the
point names is wrapped before, so that SIGKILL comes the `passes`-th time that it is passed. The product knows nothing of this.
Where a point is never passed, nobody is killed: a test must see that. Forked, because each start costs a second of imports.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any, NoReturn

import httpx

# What `serve` imports when it is run, so that no child has to.
import migctl.cli.serve
import migctl.ingest
import migctl.runtime.service
import migctl.runtime.target
import migctl.server  # noqa: F401
from migctl.cli.main import main as run
from migctl.delivery import Relay
from migctl.delivery.relay import CURSOR
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.highwater import HighWater
from migctl.journal.sqlite.writer import Group, Writer
from migctl.target import Heads, TableWriter, errors
from migctl.target.rest import Rest
from migctl.transports.realtime import Broadcast
from migctl.transports.realtime.channel import Channel
from migctl.transports.websocket import Gateway
from migctl.transports.websocket.catching_up import CatchingUp

# How long a step is held back so that the other one, which runs beside it, gets there first.
HELD_S = 0.2

Die = Callable[[], None]
POINTS: dict[str, Callable[[Die], None]] = {}


class Fuse:
    """Kills this process the `passes`-th time that it is called."""

    def __init__(self, passes: int) -> None:
        self._left = passes

    def __call__(self) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Reached:
    """The highest seq that a step has reached, for another step to wait for."""

    def __init__(self) -> None:
        self.seq = 0
        self._changed = asyncio.Event()

    def set(self, seq: int) -> None:
        self.seq = max(self.seq, seq)
        self._changed.set()
        self._changed = asyncio.Event()

    async def held_until(self, seq: int) -> bool:
        """Whether it got there in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELD_S):
                while self.seq < seq:
                    await self._changed.wait()
        return self.seq >= seq


def point(arm: Callable[[Die], None]) -> Callable[[Die], None]:
    POINTS[arm.__name__] = arm
    return arm


def always(*_: Any, **__: Any) -> bool:
    return True


def before(die: Die, owner: type, name: str, counts: Callable[..., bool] = always) -> None:
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if counts(*arguments, **named):
            die()
        return real(*arguments, **named)

    setattr(owner, name, wrapped)


def after(die: Die, owner: type, name: str, counts: Callable[..., bool] = always) -> None:
    real = getattr(owner, name)

    @wraps(real)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        if inspect.isawaitable(result):
            result = await result
        if counts(*arguments, **named):
            die()
        return result

    setattr(owner, name, wrapped)


def _of_rows(_: Rest, __: str, path: str, *___: Any, **____: Any) -> bool:
    return path.startswith("monitoring_events?")


def _of_relay(_: SqliteJournal, name: str, *__: Any) -> bool:
    return name == CURSOR


# The journal.


@point
def before_commit(die: Die) -> None:
    fill = Writer._fill

    def filled(self: Writer, group: Group) -> None:
        fill(self, group)
        if group.events:
            die()

    Writer._fill = filled  # type: ignore[method-assign]


@point
def after_commit_before_the_answer(die: Die) -> None:
    begin = Writer.__init__

    def begun(self: Writer, *arguments: Any, on_commit: Callable[[Group], None], **named: Any) -> None:
        def committed(group: Group) -> None:
            if group.events:
                die()
            on_commit(group)

        begin(self, *arguments, on_commit=committed, **named)

    Writer.__init__ = begun  # type: ignore[method-assign]


@point
def before_the_high_water_mark(die: Die) -> None:
    before(die, HighWater, "_write")


# The relay.


@point
def between_broadcast_and_write(die: Die) -> None:
    sent, push, write = Reached(), Channel.push, TableWriter.write

    async def pushed(self: Channel, topic: str, event: str, payload: bytes) -> None:
        await push(self, topic, event, payload)
        if event == "events":
            sent.set(json.loads(payload)["last"])

    async def written(self: TableWriter, entries: Any) -> Any:
        if await sent.held_until(entries[-1].seq):
            die()
        return await write(self, entries)

    Channel.push, TableWriter.write = pushed, written  # type: ignore[method-assign]


@point
def before_the_post(die: Die) -> None:
    before(die, Rest, "post", _of_rows)


@point
def after_the_post(die: Die) -> None:
    after(die, Rest, "post", _of_rows)


@point
def reading_back_after_a_lost_response(die: Die) -> None:
    """Some POSTs are answered, and nobody hears it; the repeat finds its own rows, and looks at them."""
    post, posts = Rest.post, count()

    async def posted(self: Rest, action: str, path: str, *arguments: Any, **named: Any) -> bytes:
        answer = await post(self, action, path, *arguments, **named)
        if _of_rows(self, action, path) and next(posts) % 4 == 0:
            raise errors.of_exception(action, httpx.ReadError("the response was lost"))
        return answer

    Rest.post = posted  # type: ignore[method-assign]
    before(die, Rest, "get", lambda _, __, path, **___: "&id=in." in path)


@point
def before_the_cursor(die: Die) -> None:
    before(die, SqliteJournal, "move_cursor", _of_relay)


@point
def after_the_cursor_before_heads(die: Die) -> None:
    told = _told_heads()
    after(
        die, SqliteJournal, "move_cursor",
        lambda journal, name, position: _of_relay(journal, name) and told.seq < position.seq,
    )  # fmt: skip


@point
def heads_before_the_cursor(die: Die) -> None:
    told, move = _told_heads(), SqliteJournal.move_cursor

    async def moved(self: SqliteJournal, name: str, position: Any) -> None:
        if _of_relay(self, name) and await told.held_until(position.seq):
            die()
        await move(self, name, position)

    SqliteJournal.move_cursor = moved  # type: ignore[method-assign]


def _told_heads() -> Reached:
    """How far the heads are, as this process moved them."""
    told, move = Reached(), Heads.move

    async def moved(self: Heads, *arguments: Any, table_head: int, **named: Any) -> Any:
        head = await move(self, *arguments, table_head=table_head, **named)
        told.set(table_head)
        return head

    Heads.move = moved  # type: ignore[method-assign]
    return told


@point
def before_heads(die: Die) -> None:
    before(die, Heads, "move")


@point
def after_heads(die: Die) -> None:
    after(die, Heads, "move")


@point
def before_the_tombstone(die: Die) -> None:
    before(die, TableWriter, "bury")


@point
def after_the_tombstone_before_the_dead_letter(die: Die) -> None:
    before(die, SqliteJournal, "add_dead_letter")


@point
def after_the_dead_letter_before_the_cursor(die: Die) -> None:
    after(die, SqliteJournal, "add_dead_letter")


# The rest of `serve`.


@point
def comparing_heads_at_the_start(die: Die) -> None:
    before(die, TableWriter, "reach")
    after(die, TableWriter, "reach")
    after(die, Relay, "claim")


@point
def catching_a_subscriber_up(die: Die) -> None:
    """When a page of what was missed is on its way."""
    read_up = CatchingUp._read_up

    class Draining:
        def __init__(self, writer: Any) -> None:
            self._writer = writer

        async def drain(self) -> None:
            die()
            await self._writer.drain()

    async def reading_up(self: CatchingUp, session: Any, after_: int, writer: Any) -> None:
        await read_up(self, session, after_, Draining(writer))

    CatchingUp._read_up = reading_up  # type: ignore[method-assign]


@point
def draining(die: Die) -> None:
    """Which of its steps, the passes say."""
    for owner, name in (
        (Relay, "drain"),
        (Gateway, "drain"),
        (Broadcast, "drain"),
        (SqliteJournal, "aclose"),
    ):
        before(die, owner, name)
        after(die, owner, name)


def live(point: str | None, passes: int, arguments: list[str]) -> NoReturn:
    """The whole life of a child."""
    os.dup2(2, 1)
    random.seed()
    if point is not None:
        POINTS[point](Fuse(passes))
    sys.argv = ["migctl", *arguments]
    sys.exit(run())


def main() -> None:
    """Start a child for each line of stdin, and tell of each its pid and then how it ended; at the end of stdin, end with it."""
    for line in iter(sys.stdin.buffer.raw.readline, b""):
        pid = os.fork()
        if pid == 0:
            live(**json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        child = os.pidfd_open(pid)
        if child not in select.select([child, sys.stdin], [], [])[0]:
            os.kill(pid, signal.SIGKILL)
        os.close(child)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
