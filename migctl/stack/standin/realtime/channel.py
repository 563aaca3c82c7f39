"""One channel of one socket: its join, its token, what it may do, and its end.

Every reason and every silence is the real server's, by `rules`: a denied join is answered, a denied send is not; an expired token
ends the channel with a `system` message and `phx_close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from typing import Any

from migctl.stack.standin.auth import BadToken, Identity
from migctl.stack.standin.faults import CLOSED_BECAUSE, EARLY_S
from migctl.stack.standin.realtime import frames, rules, stored
from migctl.stack.standin.realtime.authorize import NoPartition, Unavailable
from migctl.stack.standin.realtime.bindings import BadBinding
from migctl.stack.standin.realtime.client import Client
from migctl.stack.standin.realtime.config import Join
from migctl.stack.standin.realtime.frames import Message, Version
from migctl.stack.standin.realtime.presence import Calls
from migctl.stack.standin.realtime.rules import Denied, Extension, Policies
from migctl.stack.standin.realtime.stored import Again
from migctl.stack.standin.realtime.subscriptions import Feed
from migctl.telemetry import get_logger

_log = get_logger("standin.realtime")


class Channel:
    """A joined channel, or one that is being joined."""

    def __init__(self, socket: Client, topic: str, join_ref: str | None, asked: Join) -> None:
        self.topic = topic
        self.name = topic.removeprefix(rules.PREFIX)
        self.join_ref = join_ref
        self.asked = asked
        self._socket = socket
        self._parts = socket.parts
        self._token = rules.token_of(asked, socket.token)
        self._identity: Identity | None = None
        self._policies: Policies | None = None
        self._confirm: asyncio.TimerHandle | None = None
        self._feed: Feed | None = None
        self._subscribing: asyncio.Task[None] | None = None
        self._presence_key = asked.presence_key or str(uuid.uuid1())
        self._presence_enabled = asked.presence
        self._calls = Calls(self._parts.limits.presence_calls, self._parts.limits.presence_window_s)
        self._closed = False
        self._again: list[Again] = []
        self.replayed: frozenset[str] = frozenset()

    # What the hub needs

    @property
    def version(self) -> Version:
        return self._socket.version

    @property
    def hears(self) -> bool:
        return self._policies is None or self._policies.broadcast_read is True

    @property
    def follows(self) -> bool:
        return self._policies is None or self._policies.presence_read is True

    def push(self, frame: bytes) -> None:
        self._socket.write(frame)

    def shut_down(self, reason: str) -> None:
        if self._closed:
            return
        _log.info("channel shut down", topic=self.topic, reason=reason)
        self._system("system", "error", reason)
        self._socket.drop(self)

    # The life of the channel

    async def join(self) -> bytes:
        """Returns the response of the join. Raises Denied."""
        self._identity = self._checked_token()
        self._policies = await self._read_policies(self._identity)
        self._again = await self._replayed()
        self.replayed = frozenset(row.id for row in self._again)
        self._parts.hub.join(self.name, self.asked.private, self)
        self._parts.messages.want()
        self._arm()
        asked = [{**binding.asked, "id": binding.id} for binding in self.asked.bindings]
        return frames.dumps({"postgres_changes": asked})

    def joined(self) -> None:
        """After the reply: the replay, presence, then the subscription to changes, which reports for itself."""
        for row in self._again:
            frame = stored.frame_of(row, self.version, self.topic, self.join_ref)
            if frame is not None:
                self.push(frame)
        self._again = []
        if self.asked.replication_ready:
            self._socket.spawn(self._announce_ready())
        if self._presence_enabled and self.follows:
            state = self._parts.presence.state(self.name, self.asked.private)
            self._message("presence_state", frames.dumps(state))
        now = time.monotonic()
        if self.asked.bindings:
            self._subscribe_after(EARLY_S if self._parts.faults.on("early-reply", now) else 0)
        if self._parts.faults.on("channel-closed", now):
            self.strike()

    def strike(self) -> None:
        """The fault `channel-closed`. Who holds the service key is spared."""
        if self._identity is None or self._identity.role != "service_role":
            self.shut_down(CLOSED_BECAUSE)

    def close(self) -> None:
        """Leave everything. The socket lets the client know."""
        self._closed = True
        if self._confirm is not None:
            self._confirm.cancel()
        if self._subscribing is not None:
            self._subscribing.cancel()
        if self._feed is not None:
            self._feed.close()
        self._parts.hub.leave(self.name, self.asked.private, self)
        diff = self._parts.presence.untrack(self.name, self.asked.private, self)
        if diff is not None:
            self._send_presence(diff)

    async def handle(self, message: Message) -> None:
        """A message other than join and leave."""
        match message.event:
            case "broadcast":
                await self._broadcast(message)
            case "access_token":
                await self._renew(frames.loads(message.payload))
            case "presence":
                await self._presence(message, frames.loads(message.payload))
            case _:
                _log.info("unexpected message", topic=self.topic, name=message.event)

    # Token and permissions

    def _checked_token(self) -> Identity:
        try:
            return self._parts.tokens.for_realtime(self._token, time.time())
        except BadToken as error:
            raise rules.refused_token(error) from None

    def _arm(self) -> None:
        """Check the token again when it expires. A renewed one has a new time."""
        if self._confirm is not None:
            self._confirm.cancel()
        assert self._identity is not None and self._identity.exp is not None
        wait = rules.confirm_after_s(self._identity.exp, time.time())
        self._confirm = asyncio.get_running_loop().call_later(wait, self._check_token)

    def _check_token(self) -> None:
        try:
            self._identity = self._checked_token()
        except Denied as denial:
            self.shut_down(denial.message)
        else:
            self._arm()

    async def _read_policies(self, identity: Identity) -> Policies | None:
        """None for a public channel. Raises Denied."""
        authorizer = self._parts.authorizer
        try:
            if not self.asked.private:
                await authorizer.alive()
                return None
            wanted = rules.to_read(self._presence_enabled)
            allowed = await authorizer.read(identity, self.name, wanted, self._socket.headers)
        except NoPartition:
            raise rules.no_partition() from None
        except Unavailable:
            raise rules.no_database() from None
        policies = Policies(broadcast_read=allowed["broadcast"], presence_read=allowed.get("presence"))
        refusal = rules.refused_reading(self.name, policies)
        if refusal is not None:
            raise refusal
        return policies

    async def _replayed(self) -> list[Again]:
        """What the join wants of before. Raises Denied."""
        may_read = None if self._policies is None else self._policies.broadcast_read
        wanted = stored.window(self.asked.replay, self.name, private=self.asked.private, may_read=may_read)
        if wanted is None:
            return []
        try:
            return await self._parts.messages.replay(self.name, wanted)
        except Unavailable:
            raise stored.failed() from None

    async def _announce_ready(self) -> None:
        if await self._parts.messages.ready():
            self._system("system", "ok", "Replication connection established")
        else:
            self.shut_down(rules.NOT_READY)

    async def _renew(self, payload: Any) -> None:
        token = rules.renewal(payload, self._token)
        if token is None:
            return
        before, self._token = self._policies, token
        try:
            self._identity = self._checked_token()
            self._policies = await self._read_policies(self._identity)
        except Denied as denial:
            self.shut_down(denial.message)
            return
        refusal = rules.refused_renewal(self.name, before, self._policies)
        if refusal is not None:
            self.shut_down(refusal.message)
            return
        if self._closed:
            return
        self._arm()
        if self.asked.bindings:
            self._subscribe_after(random.uniform(1, 3))

    # Broadcast and presence

    async def _broadcast(self, message: Message) -> None:
        payload = message.payload if message.user is not None else frames.respelled(message.payload)
        may_write = await self._may_write("broadcast")
        size = len(message.user.payload if message.user is not None else payload)
        fate = rules.sent(may_write, size, ack=self.asked.ack, limits=self._parts.limits)
        if fate == "refuse":
            self._reply(message, "error", b'"payload_size_exceeded"')
        if fate != "deliver":
            return
        self._parts.hub.send(
            self.name,
            self.asked.private,
            payload,
            user=message.user,
            but=None if self.asked.to_self else self,
        )
        if self.asked.ack and not self._closed:
            self._reply(message, "ok", b"{}")

    async def _may_write(self, extension: Extension) -> bool:
        if self._policies is None:
            return True
        known = getattr(self._policies, f"{extension}_write")
        if known is None:
            assert self._identity is not None
            try:
                known = await self._parts.authorizer.write(
                    self._identity, self.name, extension, self._socket.headers
                )
            except Unavailable:
                return False
            setattr(self._policies, f"{extension}_write", known)
        return bool(known)

    async def _presence(self, message: Message, payload: Any) -> None:
        if not self._calls.allows(time.monotonic()):
            self.shut_down(rules.TOO_MANY_CALLS)
            return
        match rules.presence_call(payload):
            case "track":
                if not await self._may_write("presence"):
                    self._reply(message, "error", b"{}")
                    return
                if rules.is_too_large(len(frames.dumps(payload["payload"])), self._parts.limits):
                    self.shut_down(rules.TRACK_TOO_LARGE)
                    return
                await self._learn_presence()
                self._track(payload["payload"])
            case "untrack":
                diff = self._parts.presence.untrack(self.name, self.asked.private, self)
                if diff is not None:
                    self._send_presence(diff)
            case "not-a-map":
                self._reply(message, "error", b'{"reason":"Presence track payload must be a map"}')
                return
            case "unknown":
                self._reply(message, "error", b"{}")
                return
        self._reply(message, "ok", b"{}")

    async def _learn_presence(self) -> None:
        """Whether presence may be read is found out with the first track, where the join had no need to."""
        if self._policies is None or self._policies.presence_read is not None:
            return
        assert self._identity is not None
        with contextlib.suppress(Unavailable):
            allowed = await self._parts.authorizer.read(
                self._identity, self.name, ("presence",), self._socket.headers
            )
            self._policies.presence_read = allowed["presence"]

    def _track(self, meta: dict[str, Any]) -> None:
        self._presence_enabled = True
        presence, topic, private = self._parts.presence, self.name, self.asked.private
        if not presence.tracks(topic, private, self, meta):
            self._send_presence(presence.track(topic, private, self, self._presence_key, meta))

    def _send_presence(self, diff: dict[str, Any]) -> None:
        self._parts.hub.send(
            self.name, self.asked.private, frames.dumps(diff), event="presence_diff", counted=False
        )

    # Changes of the database

    def _subscribe_after(self, delay_s: float) -> None:
        if self._subscribing is not None:
            self._subscribing.cancel()
        self._subscribing = self._socket.spawn(self._subscribe(delay_s))

    async def _subscribe(self, delay_s: float) -> None:
        """Until it holds, with the real server's pauses; then only when the feed goes down."""
        while not self._closed:
            await asyncio.sleep(delay_s)
            assert self._identity is not None
            try:
                feed = await self._parts.changes.subscribe(
                    self.topic,
                    self.asked.bindings,
                    self._identity,
                    self,
                    lambda: self._subscribe_after(random.uniform(1, 3)),
                )
            except BadBinding as error:
                self._system("postgres_changes", "error", str(error))
                return  # asking again would not help
            except Unavailable as error:
                self._system("postgres_changes", "error", str(error))
                delay_s = random.uniform(5, 10)
                continue
            if self._feed is not None:
                self._feed.close()
            self._feed = feed
            self._system("postgres_changes", "ok", "Subscribed to PostgreSQL")
            return

    # To the client

    def _message(self, event: str, payload: bytes) -> None:
        text = frames.message(self.version, self.topic, event, payload)
        self._socket.write(frames.text_frame(text))

    def _system(self, extension: str, status: str, message: str) -> None:
        body = {"extension": extension, "status": status, "message": message, "channel": self.name}
        self._message("system", frames.dumps(body))

    def _reply(self, message: Message, status: str, response: bytes) -> None:
        self._socket.reply(message, "ok" if status == "ok" else "error", response)
