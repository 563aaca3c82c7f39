"""What Realtime brings, over raw Phoenix frames: hints (broadcast) and rows (changes). It may miss some, and invent none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.crash.history.content import digest, loads, marker_of
from tests.crash.history.readers import Returning

_TOPIC = "realtime:public.monitoring_events"
_BEAT_S = 2.0
_SILENCE_S = 10.0


def token(secret: str, lives_s: float) -> str:
    """A JWT of the role that subscribers have."""
    now = int(time.time())
    claims = {
        "role": "authenticated",
        "aud": "authenticated",
        "sub": "history",
        "iat": now,
        "exp": now + int(lives_s),
    }

    def part(text: bytes) -> bytes:
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    head = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (head + b"." + part(hmac.new(secret.encode(), head, hashlib.sha256).digest())).decode()


class Changes(Returning):
    """keys: `anon_key` and `jwt_secret`, asked for at each connection."""

    kind = "changes"
    is_run = False
    keys: Callable[[], tuple[str, str]]

    async def _once(self) -> None:
        anon_key, secret = self.keys()
        self._opened(None)
        address = f"ws://{self._base}/realtime/v1/websocket?apikey={anon_key}&vsn=1.0.0"
        async with connect(
            address, max_size=None, open_timeout=10, close_timeout=1, ping_interval=None, proxy=None
        ) as socket:
            lives_s = 36_000 if self.stays else self._rng.choice((6, 20, 36_000))
            ends = int(time.time()) + lives_s
            await socket.send(_message("phx_join", _join(token(secret, lives_s)), "1"))
            beating = asyncio.create_task(_beat(socket))
            try:
                async with asyncio.timeout(None if self.stays else self._rng.expovariate(1 / 30)) as leaving:
                    await self._listen(socket, leaving, ends)
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)

    async def _listen(self, socket: ClientConnection, leaving: asyncio.Timeout, ends: int) -> None:
        while True:
            if self.stays:
                leaving.reschedule(None)
            frame = loads(await asyncio.wait_for(socket.recv(), _SILENCE_S))
            event, payload = frame["event"], frame["payload"]
            if event == "phx_reply" and payload.get("status") == "error":
                raise OSError(f"refused: {payload}")
            if event == "phx_close":
                raise OSError("the channel was closed")
            if event == "phx_reply" and frame.get("ref") == "1":
                self.connected = True
            over_s = time.time() - ends
            if event in ("postgres_changes", "broadcast") and over_s > 0:
                self._history.write("expired", r=self.name, over_s=round(over_s, 1))
            if event == "postgres_changes":
                self._row(payload["data"])
            elif event == "broadcast" and payload["event"] == "events":
                hint = payload["payload"]
                for item in hint["events"]:
                    if "data" in item:  # else only where to find it
                        self._event(hint["epoch"], {**item, "type": item["event_type"]})

    def _row(self, change: dict[str, Any]) -> None:
        record = change["record"]
        # One that is too large comes without its long columns; a canary has no position.
        if change.get("errors") or record.get("seq") is None or "data" not in record:
            return
        self._history.write(
            "event",
            r=self.name,
            epoch=record["epoch"],
            seq=int(record["seq"]),
            m=marker_of(record["data"]),
            d=digest(record["event_type"], record["timestamp"], record["data"]),
            s=record["source"],
            id=record["id"],
        )
        self.newest = marker_of(record["data"])


def _message(event: str, payload: dict[str, Any], ref: str, topic: str = _TOPIC) -> str:
    return json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": "1"})


def _join(access_token: str) -> dict[str, Any]:
    rows = [{"event": "INSERT", "schema": "public", "table": "monitoring_events"}]
    return {
        "config": {
            "broadcast": {"ack": False, "self": False},
            "presence": {"key": "", "enabled": False},
            "postgres_changes": rows,
            "private": True,
        },
        "access_token": access_token,
    }


async def _beat(socket: ClientConnection) -> None:
    number = 1
    while True:
        await asyncio.sleep(_BEAT_S)
        number += 1
        await socket.send(_message("heartbeat", {}, str(number), "phoenix"))
