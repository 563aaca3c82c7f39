"""Clients that go away in the middle, at each place of a request: a line in the log each, no trace, and nothing of it stored."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit.serve_process import ServeProcess, serving_process

BODY = json.dumps([{"event_type": "a", "data": {"text": "x" * 200_000}}]).encode()
HEAD = b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
COMPRESSED = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n"
GET = b"GET /events?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    b"GET /ws?v=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CUT = {
    "in the first line": b"POST /ev",
    "in the head": HEAD,
    "after the head": LENGTH,
    "in the body": LENGTH + BODY[:100_000],
    "before the last byte": LENGTH + BODY[:-1],
    "before the first chunk": CHUNKED,
    "in a chunk": CHUNKED + b"fffff\r\n" + BODY[:50_000],
    "in a chunk's length": CHUNKED + b"10\r\n" + b"x" * 16 + b"\r\nff",
    "no chunk": CHUNKED + b"nonsense\r\n",
    "in what is compressed": COMPRESSED + b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\x00" * 1000,
    "no gzip": COMPRESSED + b"nonsense" * 100,
    "with the answer unread": LENGTH.replace(b"%d" % len(BODY), b"2") + b"[]",
    "a page unread": GET,
    "a socket": UPGRADE,
    "in a frame": UPGRADE + b"\x81\xfe\x7f",
    "a frame that is none": UPGRADE + b"\xff\xff\xff\xff",
}


async def cut(serve: ServeProcess, sent: bytes, *, reset: bool) -> None:
    """reset: with RST, as a process that is killed does; else FIN."""
    where = urlsplit(serve.url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(sent)
    await writer.drain()
    async with httpx.AsyncClient(trust_env=False) as http:  # it has had its turn by then
        await http.get(f"{serve.url}/healthz")
    if reset:
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.slow
async def test_a_request_that_is_cut_off_is_a_line_and_no_trace(tmp_path: Path) -> None:
    with serving_process(tmp_path / "s", "--mode", "websocket") as serve:
        for sent in CUT.values():
            for reset in (False, True):
                await cut(serve, sent, reset=reset)
        await serve.post(1)
        async with httpx.AsyncClient(trust_env=False) as http:
            status = (await http.get(f"{serve.url}/api/status")).json()
        log = serve.stop()
    assert status["journal"]["head"] == 1
    assert status["http"]["answered_5xx"] == 0
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line for line in lines if "exception" in line] == []
    assert "Traceback" not in log
    bodies = [line for line in lines if line["event"] == "request cut off"]
    assert len(bodies) >= 6
    assert {line["level"] for line in bodies} == {"info"}
