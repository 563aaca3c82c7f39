"""A producer: posts events over HTTP, and sends the same request again until it is answered, or gives it up."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.crash.history.content import Made, draw
from tests.crash.history.records import History

_PATIENCE_S = (0.3, 1.0, 3.0, 10.0)
_REMEMBERED = 30
# Younger than this the journal holds it, however little it keeps.
_RECENT_EVENTS = 300


@dataclass(frozen=True, slots=True)
class Request:
    number: int
    events: tuple[Made, ...]
    key: str | None


class Producer:
    """`run` until `stop` is set; what was sent by then, and not given up, is acknowledged when it returns.

    pause_s: the mean time between two requests.
    """

    def __init__(
        self,
        name: str,
        rng: random.Random,
        url: str,
        history: History,
        stop: asyncio.Event,
        *,
        pause_s: float,
        header: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.name = name
        self._rng = rng
        self._url = url
        self._history = history
        self._stop = stop
        self._pause_s = pause_s
        self._header = header
        self._number = 0
        self._before: deque[tuple[Request, int]] = deque(maxlen=_REMEMBERED)

    async def run(self) -> None:
        rng = self._rng
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4)) as http:
            while not self._stop.is_set():
                drawn = rng.random()
                since = self._history.acknowledged - _RECENT_EVENTS
                before = [request for request, at in self._before if at > since]
                if drawn < 0.08 and before:
                    await self._once_more(http, rng.choice(before))
                elif drawn < 0.10 and before:
                    await self._contradict(http, rng.choice(before))
                else:
                    await self._produce(http)
                await asyncio.sleep(rng.expovariate(1 / self._pause_s))

    async def last(self, http: aiohttp.ClientSession) -> str:
        """One event more, until it is acknowledged; its marker."""
        request = self._make(1, with_ids=True)
        while not await self._post(http, request, None, 10.0):
            await asyncio.sleep(0.2)
        return request.events[0].marker

    def _make(self, size: int, *, with_ids: bool) -> Request:
        self._number += 1
        name, number = self.name, self._number
        events = tuple(
            draw(self._rng, f"{name}-{number}-{index}", f"source of {name}", with_id=with_ids)
            for index in range(size)
        )
        self._history.write(
            "made",
            p=name,
            b=number,
            events=[
                {"m": one.marker, "d": one.digest, "s": one.source, "id": one.id, "h": one.holdable}
                for one in events
            ],
        )
        return Request(number, events, None if with_ids else f"key of {name} {number}")

    async def _produce(self, http: aiohttp.ClientSession) -> None:
        rng = self._rng
        size = rng.choice((1, 1, 1, 1, rng.randint(2, 10), rng.randint(2, 60), rng.randint(1, 250)))
        request = self._make(size, with_ids=rng.random() < 0.8)
        tries = rng.choice((1, 2, 3)) if rng.random() < 0.15 else None
        done = 0
        while tries is None or done < tries:
            done += 1
            if await self._at_once(http, request):
                self._before.append((request, self._history.acknowledged))
                return
            await asyncio.sleep(rng.uniform(0, 0.5))

    async def _at_once(self, http: aiohttp.ClientSession, request: Request) -> bool:
        """Send it once; or, of an impatient one, on two connections at once. True where it was acknowledged."""
        patience_s = self._rng.choice(_PATIENCE_S)
        if self._rng.random() < 0.05:
            both = (
                self._post(http, request, None, patience_s),
                self._post(http, request, None, patience_s),
            )
            return any(await asyncio.gather(*both))
        return await self._post(http, request, None, patience_s)

    async def _once_more(self, http: aiohttp.ClientSession, request: Request) -> None:
        """What was acknowledged long ago, or some of it: a duplicate, wherever it stands."""
        some = [index for index in range(len(request.events)) if self._rng.random() < 0.5]
        whole = request.key is not None or not some or self._rng.random() < 0.3
        await self._post(http, request, None if whole else some, 3.0)

    async def _contradict(self, http: aiohttp.ClientSession, request: Request) -> None:
        """An id of before with another body."""
        one = request.events[0]
        if one.id is None:
            return
        event = {
            "id": one.id,
            "event_type": "cpu",
            "timestamp": "2026-01-01T00:00:00Z",
            "data": {"m": "none"},
        }
        try:
            async with http.post(
                f"{self._url}/events", json=event, headers=self._header(), timeout=_within(3.0)
            ) as answer:
                await answer.read()
                self._history.write("conflict", status=answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return

    async def _post(
        self, http: aiohttp.ClientSession, request: Request, some: list[int] | None, patience_s: float
    ) -> bool:
        rng, known = self._rng, {"p": self.name, "b": request.number}
        events = request.events if some is None else tuple(request.events[index] for index in some)
        body, headers = self._spelled(events)
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        in_detail = some is not None or request.key is not None or rng.random() < 0.7
        self._history.write("send", **known, of=None if some is None else [one.marker for one in events])
        try:
            async with http.post(
                f"{self._url}/events{'?detail=1' if in_detail else ''}",
                data=body,
                headers=headers | self._header(),
                timeout=_within(patience_s),
            ) as answer:
                text = await answer.text()
                status = answer.status
            at = _places(events, json.loads(text)) if status == 201 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._history.write("lost", **known, why=f"{type(error).__name__} {error}"[:100])
            return False
        if status != 201:
            self._history.write("no", **known, status=status, body=text[:300])
            return False
        if at is None:  # duplicates, without saying which: asked again
            return await self._post(http, request, list(range(len(events))), patience_s)
        self._history.write("ack", **known, at=at)
        self._history.acknowledged += len(at)
        return True

    def _spelled(self, events: tuple[Made, ...]) -> tuple[bytes, dict[str, str]]:
        rng, headers = self._rng, {"Content-Type": "application/json"}
        texts = [one.text for one in events]
        if rng.random() < 0.4:
            headers["Content-Type"] = "application/x-ndjson"
            body = "\n".join(texts)
        elif len(texts) == 1 and rng.random() < 0.5:
            body = texts[0]
        else:
            body = f"[{','.join(texts)}]"
        packed = body.encode("utf-8")
        if rng.random() < 0.2:
            headers["Content-Encoding"] = "gzip"
            packed = gzip.compress(packed)
        return packed, headers


def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


def _places(events: tuple[Made, ...], answer: dict[str, Any]) -> list[list[Any]] | None:
    """Of each event `[m, epoch, seq, duplicate, id]`; None where the answer does not say."""
    epoch, items = answer["epoch"], answer.get("items")
    if items is not None:
        return [
            [one.marker, item.get("epoch", epoch), item["seq"], item["duplicate"], item["id"]]
            for one, item in zip(events, items, strict=True)
        ]
    if answer["duplicates"]:
        return None
    first = answer["first_seq"]
    assert answer["last_seq"] - first + 1 == len(events) == answer["accepted"], answer
    return [[one.marker, epoch, first + index, False, None] for index, one in enumerate(events)]
