"""Sample: the first messages of a source, to look at. Nothing is stored, and nothing is read on from there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

from websockets.exceptions import WebSocketException

from migctl.config.address import socket_host
from migctl.errors import Transient, Usage
from migctl.events import BadEvent
from migctl.ingest.files import File, check, unreadable
from migctl.ingest.frames import events_of
from migctl.ingest.lines import Lines
from migctl.ingest.reading import Unpackable, of_file, of_stream
from migctl.redaction import redact
from migctl.transports.dialing import Followed

MAX_FRAME_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"


async def sample(spec: str, count: int, *, within_s: float) -> list[bytes]:
    """At most `count` messages of a file, of stdin (`-`) or of a WebSocket; fewer where no more come in time.

    Raises Usage where the spec can't be read, and Transient where nothing came.
    """
    is_socket = "://" in spec
    if is_socket and socket_host(spec) is None:
        raise Usage("this is no WebSocket address", do="write ws://HOST:PORT/PATH, a file, or - for stdin")
    found: list[bytes] = []
    messages = _of_socket(spec, within_s) if is_socket else _of_lines(spec)
    try:
        async with asyncio.timeout(within_s), contextlib.aclosing(messages):
            async for message in messages:
                found.append(message)
                if len(found) >= count:
                    break
    except TimeoutError:
        pass
    except (OSError, WebSocketException) as error:
        if not found:
            raise Transient(
                f"the WebSocket can't be heard: {redact(str(error) or type(error).__name__)}",
                do="see whether it answers",
            ) from None
    if not found:
        raise Transient(
            f"no message came within {within_s:g} s", do="wait longer: --within S, or see what it sends"
        )
    return found


async def _of_socket(url: str, within_s: float) -> AsyncGenerator[bytes, None]:
    async with Followed(
        url,
        max_size=MAX_FRAME_BYTES,
        open_timeout=within_s,
        close_timeout=1.0,
    ) as socket:
        async for frame in socket:
            text = frame.encode() if isinstance(frame, str) else frame
            try:
                texts = events_of(text)
            except BadEvent:
                texts = [text]
            for each in texts:
                yield each


async def _of_lines(spec: str) -> AsyncGenerator[bytes, None]:
    lines = Lines()
    async with contextlib.aclosing(_chunks(spec)) as chunks:
        with contextlib.suppress(Unpackable):  # what came before the break is enough
            async for chunk in chunks:
                for line in lines.feed(chunk):
                    if text := line.text.removeprefix(_BOM).strip(b"\0").strip():
                        yield text
    last = lines.end()
    if last is not None and (text := last.text.removeprefix(_BOM).strip()):
        yield text


async def _chunks(spec: str) -> AsyncGenerator[bytes, None]:
    if spec == "-":
        async for chunk in of_stream(0, regular=stat.S_ISREG(os.fstat(0).st_mode)):
            yield chunk
        return
    check(spec, follows=False)
    try:
        file = File.open(Path(spec))
    except OSError as error:
        raise unreadable(spec, error) from None
    try:
        async for chunk in of_file(file):
            yield chunk
    finally:
        file.close()
