"""`./dev run python -m tests.fuzz.sockets --seconds N [--seed S]`: what clients say over sockets, to a real `serve`.

Clients of the gateway's protocol, of the old one, and of an old service behind us say any JSON, any text and any bytes in frames of
any kind: in fragments, with wrong masks, lengths and bits, cut anywhere, megabytes of them, or read nothing. What must be true
meanwhile and afterwards: `serve` lives and logs no error of its own, other subscribers get each event once and in order over
sockets that stay open, every stranger's socket is gone, and memory is bounded. Exit 1, with the example, where it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import broadcast

from tests.kit.conditions import until
from tests.kit.old_service import OldService, old_service
from tests.kit.serve_process import ServeProcess, serving_process

Door = Literal["own", "piped"]
MOST_MIB = 700
READ = 1 << 16
WITHIN_S = 20.0

# What sockets are asked for with. `{}` is the epoch.
QUERIES = (
    "",
    "?v=2",
    "?v=2&role=standby",
    "?v=2&epoch={}&after=0",
    "?v=2&user=ann&client=witness",
    "?v=2&epoch=x&after=7",
)


@dataclass(frozen=True)
class Frame:
    """As it goes over the line: the payload so many times. claims: the length that it says; None is the true one."""

    payload: bytes
    opcode: int = 1
    times: int = 1
    fin: bool = True
    bits: int = 0
    masked: bool = True
    claims: int | None = None
    long: bool = False

    def bytes(self) -> bytes:
        size = len(self.payload) * self.times if self.claims is None else self.claims
        mask_bit = 0x80 if self.masked else 0
        first = (0x80 if self.fin else 0) | self.bits << 4 | self.opcode
        if size < 126 and not self.long:
            head = struct.pack("!BB", first, mask_bit | size)
        elif size < 1 << 16 and not self.long:
            head = struct.pack("!BBH", first, mask_bit | 126, size)
        else:
            head = struct.pack("!BBQ", first, mask_bit | 127, size)
        # A mask of zeros is one.
        return head + (b"\0\0\0\0" if self.masked else b"") + self.payload * self.times


@dataclass(frozen=True)
class Parts:
    """A message in fragments, with a frame between them."""

    opcode: int
    parts: tuple[bytes, ...]
    between: Frame | None

    def bytes(self) -> bytes:
        last = len(self.parts) - 1
        frames = [
            Frame(part, 0 if number else self.opcode, fin=number == last).bytes()
            for number, part in enumerate(self.parts)
        ]
        return (self.between.bytes() if self.between is not None else b"").join(frames)


@dataclass(frozen=True)
class Flood:
    frame: Frame
    times: int

    def bytes(self) -> bytes:
        return self.frame.bytes() * self.times


@dataclass(frozen=True)
class Raw:
    data: bytes

    def bytes(self) -> bytes:
        return self.data


Piece = Frame | Parts | Flood | Raw


@dataclass(frozen=True)
class Client:
    """query: of QUERIES. says: what goes over the line after the handshake. end: how it leaves. reads: what it gets.

    cut: so many bytes of the last piece never come.
    """

    query: str
    says: tuple[Piece, ...]
    end: Literal["close", "abort", "half", "stay"]
    reads: bool = True
    cut: int = 0
    deflate: bool = False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
WORDS = [
    b'{"type":"sys.ask"}', b'{"type":"sys.hello"}', b'{"type":"ping"}', b"\xff\xfe", b"\0", b"", b'"\\ud800"', b"\xed\xa0\x80",
]  # fmt: skip
PAYLOADS = (
    JSON.map(lambda value: json.dumps(value).encode())
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=300)
    | st.sampled_from(WORDS)
)
KINDS = st.sampled_from([1, 2, 9, 10])
FRAMES = st.builds(
    Frame,
    payload=PAYLOADS,
    opcode=st.sampled_from([0, 1, 2, 8, 9, 10, 3, 7, 11, 15]),
    fin=st.sampled_from([True, True, True, False]),
    bits=st.sampled_from([0, 0, 0, 0, 1, 2, 4, 7]),
    masked=st.sampled_from([True, True, True, False]),
    claims=st.sampled_from([None, None, None, None, 0, 125, 126, 1 << 16, 1 << 20, 1 << 31, 1 << 62, (1 << 64) - 1]),
    long=st.sampled_from([False, False, True]),
)  # fmt: skip
GOOD = st.builds(Frame, payload=PAYLOADS, opcode=KINDS)
DEEP = st.builds(Frame, payload=st.sampled_from([b"[", b'{"a":', b"1"]), times=st.just(5000))
BIG = st.builds(
    Frame,
    payload=st.just(b"x"),
    opcode=st.sampled_from([1, 2, 9]),
    times=st.sampled_from([70_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]),
)
CLOSES = st.builds(
    lambda code, reason: Frame((struct.pack("!H", code) + reason)[:125], 8),
    st.sampled_from([0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1012, 1015, 2999, 3000, 4401, 4408, 4999, 5000, 65535]),
    st.sampled_from([b"", b"bye", b"\xff", "ü".encode() * 61, b"x" * 123]),
)  # fmt: skip
FRAGMENTS = st.builds(
    Parts, st.sampled_from([1, 2, 9]), st.lists(PAYLOADS, min_size=1, max_size=6).map(tuple), st.none() | GOOD
)
FLOODS = st.builds(
    Flood,
    st.sampled_from([Frame(b"", 9), Frame(b"x" * 125, 9), Frame(WORDS[0]), Frame(b"", 0, fin=False), Frame(b"x", 10)]),
    st.sampled_from([100, 5000]),
)  # fmt: skip
# A socket lives on after these, so that the last piece meets one that is open.
SANE = GOOD | GOOD | GOOD | DEEP | FRAGMENTS | FLOODS
LAST = FRAMES | CLOSES | BIG | st.binary(max_size=200).map(Raw) | SANE
CLIENTS = st.builds(
    Client,
    query=st.sampled_from(QUERIES),
    says=st.builds(lambda sane, last: (*sane, *last), st.lists(SANE, max_size=4), st.lists(LAST, max_size=3)),
    end=st.sampled_from(["close", "abort", "half", "stay", "stay"]),
    reads=st.sampled_from([True, True, False]),
    cut=st.sampled_from([0, 0, 0, 1, 3, 7, 100]),
    deflate=st.booleans(),
)


@dataclass
class Attacked:
    """A `serve` with a subscriber of each protocol. got: of each, the ids that it has, in order."""

    serve: ServeProcess
    http: httpx.AsyncClient
    epoch: str
    old: OldService | None
    observers: dict[str, ClientConnection]
    got: dict[str, list[str]] = field(default_factory=lambda: {"v2": [], "legacy": []})
    sent: list[str] = field(default_factory=list)
    _read: int = 0

    async def _publish(self) -> None:
        """An event; where the old service makes them, by it."""
        number = len(self.sent)
        self.sent.append(str(number))
        if self.old is not None:
            # Who does not read keeps it from nobody else.
            frame = {"type": "cpu", "data": {"n": str(number)}, "timestamp": "2026-01-31T12:00:00Z"}
            broadcast(self.old.clients, json.dumps(frame))
        else:
            answer = await self.http.post("/events", json={"event_type": "cpu", "data": {"n": str(number)}})
            assert answer.status_code == 201, answer.text

    async def observe(self, name: str) -> None:
        async for message in self.observers[name]:
            frame = json.loads(message)
            if frame["type"] == "cpu":
                self.got[name].append(frame["data"]["n"])

    async def attack(self, clients: Sequence[Client]) -> None:
        """All of them at once; then everything must be as it has to be."""
        async with asyncio.TaskGroup() as group:
            attacks = [group.create_task(self._attack(one)) for one in clients]
            await self._publish()
            await asyncio.wait(attacks) if attacks else None
            await self._publish()

        def everything_is_there() -> bool:
            assert self.serve.process.poll() is None, "serve has ended"
            for name, observer in self.observers.items():
                assert observer.close_code is None, f"{name}: closed with {observer.close_code}"
            return all(len(got) >= len(self.sent) for got in self.got.values())

        await until(everything_is_there, within_s=WITHIN_S)
        for name, got in self.got.items():
            assert got == self.sent, f"{name}: {got[-10:]}, and sent were {self.sent[-10:]}"
        await until(self._nobody_else_is_here, within_s=WITHIN_S)
        log = (self.serve.folder / "serve.log").read_bytes()[self._read :]
        self._read += len(log)
        assert b"Traceback" not in log and b"an error of ours" not in log, log[-4000:].decode(
            "utf-8", "replace"
        )
        mib = psutil.Process(self.serve.process.pid).memory_info().rss >> 20
        assert mib < MOST_MIB, f"{mib} MiB"

    async def _nobody_else_is_here(self) -> bool:
        of = (await self.http.get("/api/status")).json()["transports"]["websocket"]
        return bool(of["subscribers"] + of["standby"] == 2 and not of["closing_by_code"])

    async def _attack(self, client: Client) -> None:
        where = httpx.URL(self.serve.url)
        reader, writer = await asyncio.open_connection(where.host, where.port, limit=READ)
        reading: asyncio.Task[None] | None = None
        try:
            extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if client.deflate else ""
            writer.write(
                f"GET /ws{client.query.format(self.epoch)} HTTP/1.1\r\nHost: 127.0.0.1:{where.port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n{extension}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            if client.reads:
                reading = asyncio.create_task(_swallow(reader))
            for number, piece in enumerate(client.says):
                data, last = piece.bytes(), number == len(client.says) - 1
                writer.write(data[: len(data) - client.cut] if last and client.cut else data)
                if client.reads:
                    await writer.drain()
                await asyncio.sleep(0)
            if client.end == "half":
                writer.write_eof()
            elif client.end == "abort":
                line = writer.get_extra_info("socket")
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif client.end == "close":
                writer.write(Frame(struct.pack("!H", 1000), 8).bytes())
            if reading is not None and client.end != "stay":
                await asyncio.wait((reading,), timeout=0.2)
        except (OSError, asyncio.IncompleteReadError):
            pass  # it may cut us off
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait((reading,))
            writer.transport.abort()


async def _swallow(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(READ):
            pass


@contextlib.asynccontextmanager
async def attacked(folder: Path, door: Door) -> AsyncIterator[Attacked]:
    """door: `piped` where sockets of the old protocol are those of an old service behind us."""
    async with contextlib.AsyncExitStack() as stack:
        old = await stack.enter_async_context(old_service()) if door == "piped" else None
        folder.mkdir(parents=True, exist_ok=True)
        ignored = "source:\n  ignore: [initial_stats, stats]\n"
        (folder / "migctl.yaml").write_text(
            f"legacy:\n  upstream: {old.url}\n{ignored}" if old is not None else ""
        )
        serving = serving_process(folder, "--mode", "websocket")
        serve = await asyncio.to_thread(serving.__enter__)
        stack.push_async_callback(asyncio.to_thread, serving.__exit__, None, None, None)
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=serve.url, trust_env=False, timeout=60)
        )

        async def epoch() -> str:
            status: dict[str, Any] = (await http.get("/api/status")).json()
            return str(status["journal"]["epoch"])

        if old is not None:
            await until(lambda: len(old.clients) == 1)  # the tap
        observers = {
            name: await stack.enter_async_context(
                connect(serve.ws_url + query, proxy=None, max_size=None, compression=None)
            )
            for name, query in (("legacy", ""), ("v2", "?v=2"))
        }
        if old is not None:
            await until(lambda: len(old.clients) == 2)
        made = Attacked(serve, http, await epoch(), old, observers)
        tasks = [asyncio.create_task(made.observe(name)) for name in observers]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class Ground:
    """A `serve` to attack, another one after each time that something was wrong."""

    def __init__(self, runner: asyncio.Runner, folder: Path, door: Door) -> None:
        self._runner = runner
        self._folder = folder
        self._door: Door = door
        self._entered: contextlib.AbstractAsyncContextManager[Attacked] | None = None
        self.of: Attacked | None = None
        self._made = 0
        self.tried = 0

    def attack(self, clients: Sequence[Client]) -> None:
        if self.of is None:
            self._made += 1
            self._entered = attacked(self._folder / str(self._made), self._door)
            self.of = self._runner.run(self._entered.__aenter__())
        try:
            self._runner.run(self.of.attack(clients))
        except BaseException:
            self.close()
            raise
        self.tried += len(clients)

    def close(self) -> None:
        if self._entered is not None:
            entered, self._entered, self.of = self._entered, None, None
            self._runner.run(entered.__aexit__(None, None, None))


def run(
    door: Door, folder: Path, *, examples: int, number: int, seconds: float = 0.0, shrink: bool = False
) -> int:
    """Attack with so many examples, and again with others until the time is over; return how many clients there were.

    Raises what is wrong.
    """
    ends = time.monotonic() + seconds
    with asyncio.Runner() as runner:
        ground = Ground(runner, folder, door)
        try:
            while True:
                _round(ground, examples=examples, number=number, shrink=shrink)
                if time.monotonic() >= ends:
                    return ground.tried
                number += 1
        finally:
            ground.close()


def _round(ground: Ground, *, examples: int, number: int, shrink: bool) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(CLIENTS, min_size=1, max_size=4))
    def attack(clients: list[Client]) -> None:
        ground.attack(clients)

    attack()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sockets", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--shrink", action="store_true", help="look for a shorter example, for minutes")
    of = parser.parse_args(argv)
    number = secrets.randbelow(1 << 32) if of.seed is None else of.seed
    sys.stdout.write(f"seed {number}, {of.seconds:g} s\n")
    os.environ.setdefault("HYPOTHESIS_NO_NAG", "1")
    wrong = False
    doors: tuple[Door, ...] = ("own", "piped")
    for door in doors:
        with tempfile.TemporaryDirectory(prefix="migctl-fuzz-") as folder:
            try:
                tried = run(door, Path(folder), examples=50, number=number, seconds=of.seconds / len(doors))
                sys.stdout.write(f"{door}: {tried} clients, nothing found\n")
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                wrong = True
                sys.stdout.write(f"{door}:\n{''.join(traceback.format_exception(error))[-6000:]}\n")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
