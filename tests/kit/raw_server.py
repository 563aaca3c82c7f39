"""A server that answers with bytes as they stand: what no HTTP library could be made to say."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from websockets.utils import accept_key

_KEY = re.compile(rb"(?i)\r\nsec-websocket-key: ([^\r]+)")
OK = b"HTTP/1.1 200 OK\r\n"


def packed(body: bytes, coding: bytes = b"gzip", *, status: bytes = b"200 OK") -> bytes:
    """An answer that says it is packed so."""
    return b"HTTP/1.1 %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        coding,
        len(body),
        body,
    )


def redirect(to: bytes) -> bytes:
    return b"HTTP/1.1 301 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % to


def bomb(inflated: int, times: int = 1) -> bytes:
    """So many zeros, packed so many times. A piece of them is packed once, and stands in the stream as often as is needed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    data = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + piece * (inflated >> 20)
    for _ in range(times - 1):
        data = gzip.compress(data)
    return data


# Whole answers, none of which says what was asked for.
ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "half a status": b"HTTP/1.1 2",
    "a status in words": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of 999": b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "a reason that is no ASCII": b"HTTP/1.1 400 \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    "a name of a header that is no ASCII": OK + b"X\xff: a\r\nContent-Length: 2\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n{}",
    "a length of 5000 digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length above what comes": OK + b"Content-Length: 100\r\n\r\n{}",
    "chunks that are none": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk without end": OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n{}",
    "an unknown transfer": OK + b"Transfer-Encoding: gzip, foo\r\n\r\n{}",
    "a charset that is none": OK + b"Content-Type: text/plain; charset=rot13\r\nContent-Length: 2\r\n\r\n{}",
    "a place that is no address": redirect(b"http://["),
    "a port that is none": redirect(b"http://a:99999999/"),
    "a place with half a character": redirect(b"http://xn--\xe2\x82/"),
    "a name too long for a host": redirect(b"http://" + b"a" * 300 + b".xn--a/"),
    "itself as the place": redirect(b"/"),
    "a file as the place": redirect(b"file:///etc/passwd"),
    "a cookie that is none": OK + b"Set-Cookie: \x7f=\xff; Max-Age=" + b"9" * 5000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "a hundred thousand headers": OK + b"X: a\r\n" * 100_000 + b"\r\n",
    "a header without end": OK + b"X: " + b"a" * 2_000_000,
    "first a hundred times 100": b"HTTP/1.1 100 C\r\n\r\n" * 100 + OK + b"Content-Length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/0.9": b"{}",
    "gzip that is none": packed(b"{}"),
    "half a gzip": packed(gzip.compress(b'[{"seq":1}]')[:14]),
    "a gzip that goes on": packed(gzip.compress(b"[]") + b"more"),
    "an unknown packing": packed(b"[]", b"br"),
    "packings that are none": packed(b"[]", b"gzip, \xff"),
    "a bomb": packed(bomb(1 << 30)),
    "a bomb in a bomb": packed(bomb(16 << 30, 2), b"gzip, gzip"),
    "a refusal that is a bomb": packed(bomb(1 << 30), status=b"400 Bad"),
}  # fmt: skip


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A whole frame of a server."""
    if len(payload) < 126:
        size = bytes([len(payload)])
    elif len(payload) < 1 << 16:
        size = b"\x7e" + len(payload).to_bytes(2, "big")
    else:
        size = b"\x7f" + len(payload).to_bytes(8, "big")
    return bytes([0x80 | opcode]) + size + payload


@dataclass(slots=True)
class RawServer:
    """answer: what whoever asks gets, and then the connection is closed. sockets: it is sent after the socket was opened."""

    url: str = ""
    answer: bytes = b""
    sockets: bool = False
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            key = _KEY.search(head)
            if self.sockets and key is not None:
                writer.write(
                    b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
                    % accept_key(key[1].decode()).encode()
                )
                await reader.read(1)  # until it has said something
            writer.write(self.answer)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(raw.serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield raw
        finally:
            await asyncio.wait_for(asyncio.gather(*serving), 10)
