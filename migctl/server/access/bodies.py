"""Bodies: read once the guard has let a request pass, and no further than they may go: in bytes, in memory, in time.

The listener inflates nothing. What is packed is inflated here, off the event loop and in steps, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from migctl.server.access.memory import Memory, is_starved
from migctl.server.access.packing import PACKINGS, Unreadable, unpacked
from migctl.server.answers import refusal
from migctl.server.counts import Held

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SMALL_BYTES = 1 << 20
MOST_BYTES = 16 << 20
# A body has its time, and a second more for each so many bytes that have come: a slow line is no attack, a silent one is.
LEAST_BYTES_PER_S = 16 << 10
# JSON packs to a tenth or a fiftieth. What packs better than this is made to, unless it is little.
MOST_RATIO = 250


class BadBody(Exception):
    """A body that is not taken, and how that is answered."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason

    def answer(self) -> web.Response:
        headers = {"Retry-After": "1"} if self.status == 503 else None
        response = refusal(self.status, self.code, self.reason, headers=headers)
        if self.status in (408, 413, 503):
            response.force_close()  # what is still to come is not waited for
        return response


@dataclass(slots=True)
class Share:
    """What one request holds of them. memory: asked before more is taken; None: nobody knows."""

    held: Held
    memory: Memory | None = None
    bytes: int = 0

    def take(self, count: int) -> None:
        """Raises BadBody where there is no room."""
        held = self.held
        if held.bytes and held.bytes + count > held.most_bytes:
            held.crowded += 1
            raise BadBody(
                503, "unavailable", "too many large requests at once; nothing of this one was stored"
            )
        if self.memory is not None and not self.memory.has_for(count, held.bytes):
            held.crowded += 1
            self.memory.refused("a body")
            raise BadBody(
                503, "unavailable", "no memory for it at the moment; nothing of this request was stored"
            )
        held.bytes += count
        self.bytes += count

    def give_back(self) -> None:
        self.held.bytes -= self.bytes
        self.bytes = 0


SHARE = web.RequestKey("share", Share)


def bodies(held: Held, memory: Memory) -> Middleware:
    """Around the handlers: a body counts until its request is answered, and one that is not taken is answered.

    Where memory ends all the same, or a thread can't begin, the request is refused, and what it held is given back.
    """

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        share = request[SHARE] = Share(held, memory)
        try:
            return await handler(request)
        except BadBody as error:
            return error.answer()
        except (MemoryError, RuntimeError) as error:
            if not is_starved(error):
                raise
            held.crowded += 1
            memory.refused(f"{type(error).__name__} while it was answered")
            return BadBody(503, "unavailable", "no memory for it at the moment; send it again").answer()
        finally:
            share.give_back()

    return hold


async def body_of(request: web.Request, most_bytes: int = SMALL_BYTES) -> bytes:
    """The body, inflated. Raises BadBody."""
    share = request.get(SHARE) or Share(Held())
    packing = request.headers.get("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", *PACKINGS):
        raise BadBody(
            415, "encoding", f"Content-Encoding {packing[:40]!r} is not taken: gzip, deflate, br and zstd are"
        )
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    body = await _received(request, share, most_bytes)
    if packing not in PACKINGS or not body:
        return body
    room = min(most_bytes, max(SMALL_BYTES, MOST_RATIO * len(body)))
    share.take(room)
    return await asyncio.to_thread(inflated, body, packing, room, most_bytes)


async def _received(request: web.Request, share: Share, most_bytes: int) -> bytes:
    body = bytearray()
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(None) as limit:
            while True:
                limit.reschedule(began + share.held.body_within_s + len(body) / LEAST_BYTES_PER_S)
                piece = await request.content.readany()
                if not piece:
                    return bytes(body)
                share.take(len(piece))
                body += piece
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        share.held.late += 1
        raise BadBody(408, "timeout", f"the body did not come: {len(body)} bytes of it did") from None


def inflated(body: bytes, packing: str, room: int, most_bytes: int) -> bytes:
    """What was packed, in steps. room: no more than that. Raises BadBody."""
    found = bytearray()
    try:
        for piece in unpacked(body, packing):
            found += piece
            if len(found) > room:
                raise _too_large(most_bytes) if room == most_bytes else _too_packed()
    except Unreadable as error:
        raise BadBody(400, "encoding", f"the body can't be read: {error}") from None
    return bytes(found)


def _too_large(most_bytes: int) -> BadBody:
    return BadBody(413, "large", f"the body has more than {most_bytes} bytes")


def _too_packed() -> BadBody:
    return BadBody(
        413, "large", f"the body inflates to more than {MOST_RATIO} times what was sent; send it as it is"
    )
