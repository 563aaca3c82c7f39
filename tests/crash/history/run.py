"""One run: parts, producers, readers and the nemesis; then quiet, in which everybody gets everything; then the verdict."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.crash.history.captures import Capture
from tests.crash.history.changes import Changes
from tests.crash.history.checker import Report, check
from tests.crash.history.lines import Line
from tests.crash.history.nemesis import Clock, Nemesis
from tests.crash.history.parts import Broken, Serve, Stack, command, free_port
from tests.crash.history.producers import Producer
from tests.crash.history.readers import Legacy, Pages, Place, Reader, Stream
from tests.crash.history.records import History, read
from tests.crash.history.tables import Table, write_rows
from tests.crash.history.tokens import Keys, Stranger

PRODUCERS = 4
STREAMS = 3
DRAIN_S = 120.0
_BACKLOG = 100
_PROGRESS_S = 10.0
# The journal keeps all, so that a position of any age is resumed; or so little that who lags is overtaken.
_KEEPS = (1_000_000_000, 1000, 1000)
_SETTINGS = """\
journal:
  retain_hours: 0
  retain_min_events: {keeps}
realtime:
  live: {live}
  token_ttl_s: {token_ttl_s}
relay:
  batching: {batching}
"""


def settings(rng: random.Random, keeps: int) -> str:
    """Those of `serve`: what changes the way that events take is drawn."""
    return _SETTINGS.format(
        keeps=keeps,
        token_ttl_s=rng.choice((3600, 20)),
        live=rng.choice(("broadcast", "broadcast", "postgres_changes")),
        batching=rng.choice(("none", "none", "wait")),
    )


def report_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class World:
    """What one run is made of."""

    stack: Stack
    serve: Serve
    producers: list[Producer]
    readers: list[Reader]
    table: Table
    nemesis: Nemesis
    stop: asyncio.Event
    struck: asyncio.Event
    address: str
    keys: Keys
    stranger: Stranger


async def run(folder: Path, seed: int, minutes: float, *, quickness: float = 1.0) -> Report:
    """The verdict. folder: gets the history and what the parts wrote. Raises Broken where the parts can't be brought up."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Broken(f"{folder} is not empty: what another run has left would be taken for this one's")
    path = folder / "history.ndjson"
    with History(path) as history:
        keeps = random.Random(f"keeps {seed}").choice(_KEEPS)
        history.write("run", seed=seed, minutes=minutes, keeps=keeps)
        async with _world(folder, seed, history, quickness, keeps) as world, asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(one.run()) for one in (*world.readers, world.table, world.stranger)]
            watching.append(tasks.create_task(_progress(history)))
            try:
                late = await _trouble(world, minutes)
                await _quiet(world, history, late)
            finally:
                for task in watching:
                    task.cancel()
    return check(read(path))


@asynccontextmanager
async def _world(
    folder: Path, seed: int, history: History, quickness: float, keeps: int
) -> AsyncIterator[World]:
    async with AsyncExitStack() as ends:
        stack = Stack(_made(folder / "stack"))
        ends.push_async_callback(stack.down)
        await stack.up()
        known = stack.known
        port = free_port()
        lines = [
            Line("producers", lambda: port),
            Line("readers", lambda: port),
            Line("target", lambda: stack.standin_port),
            Line("changes", lambda: stack.standin_port),
        ]
        for line in lines:
            await line.open()
            ends.push_async_callback(line.close)
        ingest, stream, target, changing = lines
        clock = Clock(folder)
        environ = {
            "SUPABASE_URL": f"http://127.0.0.1:{target.port}",
            "SUPABASE_ANON_KEY": known["anon_key"],
            "SUPABASE_SERVICE_ROLE_KEY": known["service_role_key"],
            "SUPABASE_JWT_SECRET": known["jwt_secret"],
            "DATABASE_URL": known["database_url"],
            "MIGCTL_WITNESS": "off",
        }
        home = _made(folder / "serve")
        keys = Keys(home / "tokens", random.Random(f"tokens {seed}"))
        (home / "migctl.yaml").write_text(settings(random.Random(f"settings {seed}"), keeps))
        (home / "migctl.yaml").chmod(0o600)
        code, words = await command(home, "schema", "apply", "--yes", more=environ)
        if code != 0:
            raise Broken(f"`migctl schema apply` ends with {code}: {words}")
        serve = Serve(home, port, history, environ | clock.environ | {"MIGCTL_TOKENS_FILE": str(keys.path)})
        ends.push_async_callback(_end, serve)
        await serve.start()
        stop, struck = asyncio.Event(), asyncio.Event()

        def rng(name: str) -> random.Random:
            return random.Random(f"{name} {seed}")

        producers = [
            Producer(
                f"p{n}",
                rng(f"p{n}"),
                f"http://127.0.0.1:{ingest.port}",
                history,
                stop,
                pause_s=0.05 * 4**n,
                header=lambda: keys.header,
            )
            for n in range(PRODUCERS)
        ]
        base = f"127.0.0.1:{stream.port}"
        changes = Changes("changes", rng("changes"), f"127.0.0.1:{changing.port}", history)
        changes.keys = lambda: (known["anon_key"], known["jwt_secret"])
        readers: list[Reader] = [
            *(Stream(f"stream{n}", rng(f"stream{n}"), base, history) for n in range(STREAMS)),
            Legacy("legacy", rng("legacy"), base, history),
            Pages("pages", rng("pages"), base, history),
            changes,
            *(
                Capture(
                    f"capture-{transport}",
                    rng(transport),
                    f"http://{base}",
                    history,
                    transport=transport,
                    folder=_made(folder / "captures"),
                    environ=environ,
                )
                for transport in ("dual", "realtime")
            ),
        ]
        for reader in readers:
            reader.header = lambda: keys.header
            if isinstance(reader, Capture):
                reader.secret = lambda: {"MIGCTL_TOKEN": keys.current}
        table = Table("table", lambda: stack.database, history)
        nemesis = Nemesis(seed, stack, serve, lines, clock, history, struck, keys=keys, quickness=quickness)
        address = f"http://127.0.0.1:{port}"
        yield World(
            *(stack, serve, producers, readers, table, nemesis),
            *(stop, struck, address, keys),
            Stranger(rng("stranger"), f"http://{base}", keys, history),
        )


async def _trouble(world: World, minutes: float) -> list[str]:
    """Everybody at work while everything breaks; afterwards all is well, and all that was sent is answered or given up.

    Returns what is not, in bounded time.
    """
    async with asyncio.TaskGroup() as tasks:
        producing = [tasks.create_task(one.run(), name=one.name) for one in world.producers]
        striking = tasks.create_task(world.nemesis.run())
        await asyncio.sleep(60 * minutes)
        world.struck.set()
        await striking
        await world.nemesis.calm()
        world.stop.set()
        _, unanswered = await asyncio.wait(producing, timeout=DRAIN_S)
        for task in unanswered:
            task.cancel()
        return [f"an acknowledgement for {task.get_name()}" for task in unanswered]


async def _quiet(world: World, history: History, unanswered: list[str]) -> None:
    """Readers stay, and one event more goes round, until all have it or nobody comes nearer."""
    for reader in world.readers:
        reader.stays = True
    late = ["nobody asked"]
    head, carried = ("", 0), 0
    deadline = time.monotonic() + DRAIN_S
    async with aiohttp.ClientSession(headers=world.keys.header) as http:
        while late and time.monotonic() < deadline:
            marker = ""
            if all(one.connected for one in world.readers if not one.is_run):
                marker = await world.producers[0].last(http)
            for _ in range(20):
                await asyncio.sleep(0.25)
                page = await _asked(http, f"{world.address}/events?limit=1")
                head = (page["epoch"], page["head"])
                late = _late(world, marker, head)
                if not late:
                    break
            if head[1] - world.table.head > _BACKLOG and world.table.head > carried:
                # What is carried, however slowly, is not lost.
                carried, deadline = world.table.head, time.monotonic() + DRAIN_S
        health = (await _asked(http, f"{world.address}/api/status"))["health"]
    late += unanswered
    await world.serve.tool(0, "journal", "verify")
    world.serve.record_errors()
    await write_rows(world.stack.database, history)
    history.write("end", epoch=head[0], head=head[1], late=late, problems=health if late else None)


def _late(world: World, marker: str, head: Place) -> list[str]:
    """Who does not have it all. marker: of the last event. head: where it is."""
    late = [one.name for one in world.readers if one.is_run and one.place != head]
    late += [one.name for one in world.readers if not one.is_run and one.newest != marker]
    if world.table.place != head:
        late.append("table")
    return late


async def _asked(http: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    """Of a serve that is well, and may be slow."""
    for tries in range(10):
        try:
            async with http.get(address, timeout=aiohttp.ClientTimeout(total=10)) as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise Broken(f"{address} is answered {answer.status}: {text[:300]}")
                found: dict[str, Any] = json.loads(text)
                return found
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if tries == 9:
                raise Broken(f"{address} is not answered: {type(error).__name__} {error}") from error
            await asyncio.sleep(1)
    raise AssertionError


async def _end(serve: Serve) -> None:
    import signal

    serve.signal(signal.SIGCONT)
    serve.signal(signal.SIGTERM)
    try:
        await serve.gone()
    finally:
        serve.signal(signal.SIGKILL)


async def _progress(history: History) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(_PROGRESS_S)
        counts = history.counts
        words = ", ".join(
            f"{counts.get(kind, 0)} {text}"
            for kind, text in (
                ("send", "requests"),
                ("ack", "acknowledged"),
                ("event", "received"),
                ("open", "runs"),
                ("fault", "faults"),
            )
        )
        report_line(f"{time.monotonic() - began:6.0f} s: {words}")


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def table_of(report: Report) -> Sequence[str]:
    """The counts and what is wrong, a line each."""
    killed = sum(count for name, count in report.faults.items() if name.startswith("kill"))
    lines = [
        f"{report.counts['acknowledged']} acknowledged, {report.counts['lost']} lost, {report.found['doubled']} doubled,"
        f" {report.counts['reader runs']} reader runs, {report.counts['faults']} faults, {killed} kills",
        "",
    ]
    lines += [f"{count:9} {name}" for name, count in sorted(report.counts.items())]
    lines += ["", *(f"{count:9} {name}" for name, count in sorted(report.faults.items()))]
    lines += ["", *(f"{count:9} {name}" for name, count in sorted(report.found.items()))]
    lines += [f"          {one.name}, line {one.line}: {one.what[:300]}" for one in report.violations]
    return lines
