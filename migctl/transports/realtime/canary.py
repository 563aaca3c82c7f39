"""Canary: a message of our own that goes through Realtime the way hints go, and must reach a subscriber of ours.

With `realtime.live: postgres_changes` events come another way than heartbeats, and one may be dead while the other is well. Then a
canary goes both ways, as a message and as a touch of the row of heads, and is seen once it came by both. Nobody else gets the
change of that row: subscribers ask for inserted events and tombstones.

Sends, listens and probes; what that means for the breaker of broadcast is for `health` to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from migctl import clock
from migctl.config import Settings, Target
from migctl.config.modes import LiveWay
from migctl.config.roles import AUTHENTICATED, ListensAs
from migctl.errors import Systemic, Transient
from migctl.events import format_time
from migctl.events.jsontext import dumps
from migctl.resilience import Backoff, BreakerStatus, News, Retry
from migctl.status import CanaryStatus, CanaryWayStatus
from migctl.target.authenticated import Authenticated
from migctl.target.schema import HEADS
from migctl.target.tokens import SENDER_TTL_S, sender_token
from migctl.telemetry import get_logger
from migctl.transports.protocol import Table
from migctl.transports.realtime.channel import Changes, joined, open_timeout
from migctl.transports.realtime.exchange import RateLimited
from migctl.transports.realtime.health import CHANGES_TAKE_S, PROBE_S
from migctl.transports.realtime.pairing import Pairing, silent_ways
from migctl.transports.realtime.sender import Sender

EVENT = "canary"
_DO = "nothing: a canary is tried again; if it stays so, see the project's Realtime logs, and `migctl schema verify --delivery`"
_UNTOUCHED = "the row of heads could not be touched, which says nothing of postgres_changes; see the breaker of the table"

_log = get_logger("broadcast")


def number_of(event: str, payload: Mapping[str, object], own_id: str) -> int | None:
    """Which canary this message is. Pure; None for anything else: other serves have theirs on this topic too."""
    number = payload.get("n")
    ours = event == EVENT and payload.get("from") == own_id
    return number if ours and isinstance(number, int) and not isinstance(number, bool) else None


def moment_of(data: Mapping[str, object]) -> datetime | None:
    """`updated_at` of the changed row. Pure; None where the change says none, such as one that was refused to this role."""
    record = data.get("record")
    text = record.get("updated_at") if isinstance(record, dict) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


class Canary:
    """`run` until cancelled. topic: the canary's own, one of the sender's. table: touched where changes are the way of events."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        topic: str,
        sender: Sender,
        table: Table,
        *,
        authenticated: Authenticated | None,
        random: Callable[[], float],
    ) -> None:
        of = settings.resilience
        self._target = target
        self._authenticated = authenticated
        self._topic = topic
        self._sender = sender
        self._pace = sender.pace
        self._reach = sender.reach
        self._health = sender.reach.health
        self._every_s = of.canary.every_s
        self._silent_s = of.canary.silent_s + CHANGES_TAKE_S
        self._table = table
        self._changes: Changes | None = None
        self._came_at: dict[LiveWay, float | None] = {"broadcast": None}
        if settings.realtime.live == "postgres_changes":
            self._changes = Changes((settings.supabase.schema_, HEADS), self._changed)
            self._came_at["postgres_changes"] = None
        self._pairing = Pairing()
        self._gone = 0  # the last that went
        self._goes = News()
        self._untouched = False  # the last touch had no answer
        backoff = Backoff(of.retry.first_delay_s, of.retry.max_delay_s)
        self._retry = Retry(backoff, slow=backoff, random=random)
        self._opening = open_timeout()
        self._id = str(uuid4())  # another serve on the same target has a canary of its own on this topic
        self._role: ListensAs = "service_role" if authenticated is None else AUTHENTICATED
        self._renew = asyncio.Event()
        self._refusals = 0
        self._listening = False
        self._trouble: str | None = None
        self._do: str | None = None
        self._sent = self._arrived = 0
        self._last_ms: float | None = None

    def rekey(self) -> None:
        """The target has other keys: listen with them."""
        self._renew.set()

    def follow(self, settings: Settings) -> None:
        """By these from the next canary on, and from the next failure on."""
        of = settings.resilience
        self._every_s, self._silent_s = of.canary.every_s, of.canary.silent_s + CHANGES_TAKE_S
        backoff = Backoff(of.retry.first_delay_s, of.retry.max_delay_s)
        self._retry.follow(backoff, slow=backoff)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="canary listener")
            group.create_task(self._fly(), name="canary sender")
            group.create_task(self._probe(), name="canary probe")
            if self._changes is not None:
                group.create_task(self._touch(), name="canary touch")

    def status(self) -> CanaryStatus:
        """For `/api/status`."""
        return CanaryStatus(
            state="listening" if self._listening else "connecting",
            reason=self._trouble,
            role=self._role,
            sent=self._sent,
            observed=self._arrived,
            last_ms=self._last_ms,
            ways=[
                CanaryWayStatus(name=way, silent_for_s=None if at is None else round(clock.mono() - at, 1))
                for way, at in self._came_at.items()
            ],
        )

    def breaker_status(self) -> BreakerStatus:
        """For `/api/status`."""
        return self._health.status(self._do or _DO, now=clock.mono(), wall=clock.now())

    async def _fly(self) -> None:
        while True:
            started = clock.mono()
            if self._pace.pause_s(started) == 0 and (number := self._health.due(started)) is not None:
                self._gone = number
                self._goes.wake()
                self._pace.book(started, receivers=1)
                payload = dumps({"from": self._id, "n": number, "at": format_time(clock.now())})
                self._sent += await self._sender.send(self._topic, EVENT, payload)
            await asyncio.sleep(max(0.0, started + self._every_s - clock.mono()))

    async def _touch(self) -> None:
        """The other way of each canary. While an answer is awaited, those that go meanwhile do with the next touch."""
        touched = 0
        while True:
            while touched == self._gone:
                await self._goes.wait()
            touched = self._gone
            self._pairing.goes(touched)
            at = await self._table.touch()
            self._untouched = at is None
            self._arrived_both(self._pairing.touched(touched, at))

    async def _probe(self) -> None:
        while True:
            now = clock.mono()
            silent = self._silent_ways(now)
            trouble = self._trouble
            if trouble is None and self._untouched and "postgres_changes" in silent:
                trouble = _UNTOUCHED
            if self._health.probe(now, by=silent, trouble=trouble) and self._listening:
                self._renew.set()
            if self._pace.limited != self._refusals:
                self._refusals = self._pace.limited
                self._health.refused(now, self._pace.halvings(now))
            await asyncio.sleep(PROBE_S)

    def _silent_ways(self, now: float) -> Sequence[LiveWay]:
        """None by name where there is but one."""
        if self._changes is None:
            return ()
        return silent_ways(list(self._came_at.items()), now, silent_s=self._silent_s)

    # Listening.

    async def _listen(self) -> None:
        while True:
            arrived = self._arrived
            least_s = 0.0
            self._renew.clear()
            try:
                async with joined(
                    self._target.supabase_url,
                    apikey=self._apikey(),
                    topics=[self._topic],
                    token=self._token,
                    heard=self._heard,
                    changes=self._changes,
                    opening=self._opening,
                ):
                    self._listening, self._trouble, self._do = True, None, None
                    self._reach.reached()  # a trial that ended before we could listen has made the next one late
                    await self._renew.wait()
            except (Transient, Systemic) as error:
                if self._arrived > arrived:  # only a canary proves a subscriber's socket
                    self._retry.succeeded()
                self._retry.failed(error)
                self._lost(error)
                least_s = self._every_s if isinstance(error, RateLimited) else 0.0
            finally:
                self._listening = False
            await self._retry.wait(least_s=least_s)

    def _heard(self, event: str, payload: dict[str, object]) -> None:
        number = number_of(event, payload, self._id)
        if number is not None:
            self._came_at["broadcast"] = clock.mono()
            self._arrived_both(self._pairing.heard(number) if self._changes is not None else number)

    def _changed(self, data: dict[str, object]) -> None:
        at = moment_of(data)
        if at is not None:
            self._came_at["postgres_changes"] = clock.mono()
            self._arrived_both(self._pairing.changed(at))

    def _arrived_both(self, number: int | None) -> None:
        """Each way that is needed has brought this one; None: not yet."""
        took_s = None if number is None else self._health.arrived(number, clock.mono())
        if took_s is not None:
            self._arrived += 1
            self._last_ms = round(took_s * 1000, 1)

    async def _token(self) -> str:
        if self._authenticated is None:
            return sender_token(self._target)
        return (await self._authenticated.token(SENDER_TTL_S)).text

    def _apikey(self) -> str:
        # A channel without a token of somebody's is taken for whom the socket's key is.
        if self._authenticated is None or not self._target.anon_key:
            return self._target.need("service_role_key")
        return self._target.anon_key

    def _lost(self, error: Transient | Systemic) -> None:
        if error.what != self._trouble:  # once per change
            _log.warning(
                "canary not listening",
                topic=self._topic,
                seq=self._reach.seq,
                reason=error.what,
                do=error.do,
            )
        self._trouble, self._do = error.what, error.do
        if isinstance(error, RateLimited):
            self._pace.refused(clock.mono())
        self._reach.failed(error.what)
