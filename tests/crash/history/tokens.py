"""Tokens of `serve`: one that everybody of ours has, those that are revoked, and a stranger who tries these at every door."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from pathlib import Path

import aiohttp

from tests.crash.history.records import History

_PURPOSES = ("ingest", "subscribe", "admin")
_WITHIN = aiohttp.ClientTimeout(total=5)


class Keys:
    """Kept in a file that `serve` reads when it starts: so a change counts from the next start on."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.path = path
        self.revoked: list[str] = []
        self._rng = rng
        self.current = self._new()
        self._write(self.current)

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.current}"}

    def offer(self) -> str:
        """A new one, beside the current."""
        new = self._new()
        self._write(self.current, new)
        return new

    def only(self, token: str) -> None:
        self._write(token)

    def made_up(self) -> str:
        """One that was revoked, or that nobody ever had."""
        return self._rng.choice(self.revoked) if self.revoked else self._new()

    def _new(self) -> str:
        return f"history-{self._rng.getrandbits(128):032x}"

    def _write(self, *tokens: str) -> None:
        lines = [
            f"{purpose}:ours@{token[-6:]}:{hashlib.sha256(token.encode()).hexdigest()}\n"
            for token in tokens
            for purpose in _PURPOSES
        ]
        half = self.path.with_suffix(".new")
        half.write_text("".join(lines))
        half.chmod(0o600)
        half.replace(self.path)


class Stranger:
    """Has no token that counts, and tries; it comes from where the others come from."""

    def __init__(self, rng: random.Random, address: str, keys: Keys, history: History) -> None:
        """address: http://HOST:PORT."""
        self._rng = rng
        self._address = address
        self._keys = keys
        self._history = history

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1))
            door = self._rng.choice(("post", "pages", "status", "stream", "legacy"))
            try:
                async with aiohttp.ClientSession(
                    headers={"Authorization": f"Bearer {self._keys.made_up()}"}, timeout=_WITHIN
                ) as http:
                    status = await self._try(http, door)
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
            self._history.write("stranger", door=door, status=status)

    async def _try(self, http: aiohttp.ClientSession, door: str) -> int:
        """The answer's status, or the code that the socket was closed with; 101 where something was to be heard on it."""
        if door in ("stream", "legacy"):
            query = "?v=2" if door == "stream" else ""
            try:
                async with http.ws_connect(f"{self._address}/ws{query}") as socket:
                    message = await asyncio.wait_for(socket.receive(), 5)
                    return 101 if message.type is aiohttp.WSMsgType.TEXT else int(socket.close_code or 0)
            except aiohttp.WSServerHandshakeError as error:
                return error.status
        if door == "post":
            event = {"event_type": "cpu", "data": {"m": "of a stranger"}}
            asking = http.post(f"{self._address}/events", data=json.dumps(event))
        else:
            asking = http.get(f"{self._address}/{'events' if door == 'pages' else 'api/status'}")
        async with asking as answer:
            await answer.read()
            return answer.status
