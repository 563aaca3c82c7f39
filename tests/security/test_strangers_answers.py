"""A stranger answers where a `serve` is asked for: with orders to the terminal, without end, in drops, compressed, in another type.

Each command ends by itself, with exit code 3 (or 2 where it is refused) and the address, in bounded time and memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.kit.serve_process import environment
from tests.unit.test_printable import assert_harmless

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]
# Cursor and line of rich's own, which are no orders of a stranger.
OURS = re.compile(r"\x1b\[(?:[0-9;]*[mKABCDGHJ]|\?25[lh]|\?1049[lh])|\r\n|\r")
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u2066\x7f\u200f\u061c[red][/]"
WITHIN_S = 60.0

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def stranger(speak: Speak) -> AsyncIterator[str]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            await speak(writer)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def answer(body: bytes, *, head: str = "200 OK", more: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if "Length" not in more and "chunked" not in more else ""
    return f"HTTP/1.1 {head}\r\nContent-Type: application/json\r\n{length}{more}\r\n".encode("latin-1") + body


def saying(content: bytes) -> Speak:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return speak


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", more="Transfer-Encoding: chunked\r\n"))
    while True:
        writer.write(b"100000\r\n" + b"[" * 0x100000 + b"\r\n")
        await writer.drain()


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", more="Content-Length: 1000000\r\n"))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.5)  # the attack itself


async def headers_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


def bomb() -> bytes:
    """A gibibyte of blanks. In pieces: the commands below begin as copies of this process."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(1 << 10)) + packer.flush()


EVIL_JSON = json.dumps(
    {"schema": EVIL, "mode": EVIL, EVIL: EVIL, "errors": [{"reason": EVIL, "code": EVIL}]}, ensure_ascii=False
)
STRANGERS: dict[str, Speak] = {
    "orders as JSON": saying(answer(EVIL_JSON.encode())),
    "orders as text": saying(answer(EVIL.encode("utf-8", "surrogatepass"))),
    "orders as a refusal": saying(answer(EVIL_JSON.encode(), head="403 Forbidden")),
    "orders as a failure": saying(answer(json.dumps({"what": EVIL, "do": EVIL, "exit_code": 0}).encode(), head="500 X")),
    "orders in the head": saying(answer(b"{}", head="200 \x1b[2J", more="X: \x1b[2J\r\n")),
    "no HTTP": saying(EVIL.encode() * 100),
    "nothing": saying(b""),
    "another type": saying(answer(b"[1, 2]")),
    "a text": saying(answer(b'"ok"')),
    "null": saying(answer(b"null")),
    "half": saying(answer(b'{"schema": "migctl.status/1", ')),
    "deep": saying(answer(b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}")),
    "long number": saying(answer(b'{"x":' + b"9" * 1_000_000 + b"}")),
    "a bomb": saying(answer(bomb(), more="Content-Encoding: gzip\r\n")),
    "another page": saying(answer(b"<html>hello</html>", more="Content-Encoding: br\r\n")),
    "elsewhere": saying(answer(b"", head="302 Found", more="Location: http://127.0.0.1:1/\r\n")),
    "without end": without_end,
    "drop by drop": drop_by_drop,
    "head without end": headers_without_end,
}  # fmt: skip


OF_EVERY_KIND = ("orders as JSON", "orders as text", "half", "without end", "a bomb")

# Each on a terminal of its own. `top`, which goes on, is left by a key once it shows the stranger's address.
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "status": lambda url: ["status", "--url", url],
    "status as JSON": lambda url: ["status", "--url", url, "-o", "json"],
    "capture": lambda url: ["capture", "--transport", "websocket", "--url", url, "--seconds", "1", "--wait", "5", "--out", "out"],
    "canary": lambda url: ["drill", "canary", "--url", url],
    "top": lambda url: ["top", "--url", url],
}  # fmt: skip

# What a child is said to have taken at most begins with what its parent had at the fork: so it is a child of a small one.
_SMALL = """
import os, pathlib, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
pathlib.Path(sys.argv[1]).write_text(str(usage.ru_maxrss >> 10))
sys.exit(os.waitstatus_to_exitcode(status))
"""


async def ended(folder: Path, arguments: list[str], leave_after: str | None = None) -> tuple[int, str, int]:
    """On a terminal: exit code, all that it was shown, the most memory in MiB. leave_after: what is shown before q is typed."""
    folder.mkdir()
    inside, outside = pty.openpty()
    fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _SMALL, str(folder / "mib"), sys.executable, "-m", "migctl", *arguments],
        stdin=outside, stdout=outside, stderr=outside, env=environment(folder, {"COLUMNS": "200", "TERM": "xterm"}), cwd=folder,
    )  # fmt: skip
    os.close(outside)

    def read() -> bytes:
        found = b""
        with contextlib.suppress(OSError):
            while part := os.read(inside, 1 << 16):
                found += part
                if leave_after is not None and leave_after.encode() in found:
                    os.write(inside, b"q")
        return found

    try:
        async with asyncio.timeout(WITHIN_S):
            text = await asyncio.to_thread(read)
            code = await asyncio.to_thread(process.wait)
    except TimeoutError:
        process.kill()
        raise AssertionError(f"no end after {WITHIN_S:.0f} s: {arguments}") from None
    finally:
        os.close(inside)
    return code, text.decode("utf-8"), int((folder / "mib").read_text())


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_strangers_answer_ends_a_command_with_its_address_and_orders_nothing(
    tmp_path: Path, who: str
) -> None:
    async def one(command: str, url: str) -> None:
        where = url.removeprefix("http://")
        is_top = command == "top"
        code, text, most_mib = await ended(
            tmp_path / command, COMMANDS[command](url), where if is_top else None
        )
        assert code in ((0,) if is_top else (2, 3)), (command, text)
        assert where in text, (command, text)
        assert "Traceback" not in text, command
        assert "an error of ours" not in text, command
        assert_harmless(OURS.sub("", text))
        assert most_mib < 600, command

    async with stranger(STRANGERS[who]) as url:
        # Most of them wait, so all at once. A capture waits for a gateway as long as it was told to, and one client reads the head.
        without = {"capture"} if who in ("drop by drop", "orders in the head") else set()
        if who not in OF_EVERY_KIND:
            without |= {"status as JSON", "top"}  # which ask as `status` does
        await asyncio.gather(*(one(command, url) for command in COMMANDS if command not in without))
