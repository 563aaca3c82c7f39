"""Broadcast over HTTP: `{"messages": [...]}`, accepted by 202 even where denied, and one message to `/{topic}/events/{event}`."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from migctl.stack.standin.auth import BadToken, Identity, Tokens
from migctl.stack.standin.gateway import admitted
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.realtime import frames
from migctl.stack.standin.realtime.authorize import Authorizer, Unavailable
from migctl.stack.standin.realtime.frames import BadFrame, UserBroadcast
from migctl.stack.standin.realtime.hub import Hub


class BroadcastApi:
    """The routes below /realtime/v1/api/broadcast."""

    def __init__(self, tokens: Tokens, hub: Hub, authorizer: Authorizer, limits: Limits) -> None:
        self._tokens = tokens
        self._hub = hub
        self._authorizer = authorizer
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/realtime/v1/api/broadcast", self._batch),
            web.post("/realtime/v1/api/broadcast/{topic}/events/{event}", self._one),
        ]

    async def _batch(self, request: web.Request) -> web.Response:
        try:
            identity = self._identity(request)
            body = frames.loads(await request.read())
        except BadToken:
            return _error(401, "Unauthorized")
        except BadFrame as error:
            return _error(400, str(error))
        messages = body.get("messages") if isinstance(body, dict) else None
        if not isinstance(messages, list) or not messages or not all(map(self._acceptable, messages)):
            return web.json_response({"errors": {"messages": ["can't be blank or are invalid"]}}, status=422)
        if self._over_rate(len(messages)):
            return _error(429, "You have exceeded your rate limit")
        allowed: dict[str, bool] = {}
        for item in messages:
            private = item.get("private") is True
            topic = item["topic"]
            if private and topic not in allowed:
                allowed[topic] = await self._may_write(identity, topic, request)
            if not private or allowed[topic]:
                payload = frames.broadcast(item["event"], frames.dumps(item["payload"]))
                self._hub.send(topic, private, payload)
        return self._accepted()

    async def _one(self, request: web.Request) -> web.Response:
        try:
            identity = self._identity(request)
        except BadToken:
            return _error(401, "Unauthorized")
        kind = request.content_type
        if kind not in ("application/json", "application/octet-stream"):
            return _error(415, "Unsupported media type")
        content = await request.read()
        try:
            payload = frames.respelled(content) if kind == "application/json" else content
        except BadFrame as error:
            return _error(400, str(error))
        if len(content) > self._limits.plan.broadcast_bytes:
            return web.json_response(
                {"errors": {"payload": ["Payload size exceeds tenant limit"]}}, status=422
            )
        if self._over_rate(1):
            return _error(429, "You have exceeded your rate limit")
        topic, event = request.match_info["topic"], request.match_info["event"]
        private = request.query.get("private") == "true"
        if private and not await self._may_write(identity, topic, request):
            return _error(403, "Unauthorized")
        if kind == "application/json":
            self._hub.send(topic, private, frames.broadcast(event, payload))
        else:
            self._hub.send(topic, private, b"", user=UserBroadcast(event, payload, is_json=False))
        return self._accepted()

    def _identity(self, request: web.Request) -> Identity:
        return self._tokens.for_realtime(admitted(request).token, time.time())

    def _acceptable(self, item: Any) -> bool:
        return (
            isinstance(item, dict)
            and isinstance(item.get("topic"), str)
            and isinstance(item.get("event"), str)
            and isinstance(item.get("payload"), dict)
            and len(frames.dumps(item["payload"])) <= self._limits.plan.broadcast_bytes
        )

    def _over_rate(self, count: int) -> bool:
        return self._hub.rate.average(time.monotonic()) + count > self._limits.plan.messages_per_s

    async def _may_write(self, identity: Identity, topic: str, request: web.Request) -> bool:
        headers = frames.dumps({name.lower(): value for name, value in request.headers.items()}).decode()
        try:
            return await self._authorizer.write(identity, topic, "broadcast", headers)
        except Unavailable:
            return False

    def _accepted(self) -> web.Response:
        rolling = self._hub.rate.average(time.monotonic())
        remaining = max(0, int(self._limits.plan.messages_per_s - rolling))
        return web.Response(
            status=202,
            headers={"x-rate-rolling": str(rolling), "x-rate-limit-remaining": str(remaining)},
        )


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
