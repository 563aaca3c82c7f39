"""Sender: hands messages to Realtime, over our own joined channel, and by HTTP while that is lost.

A lost channel is opened anew for ever. What is in flight when it is lost is gone: a hint is never owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import MigctlError, Poison, Systemic, Transient
from migctl.resilience import Backoff
from migctl.target.tokens import sender_token
from migctl.telemetry import get_logger
from migctl.transports.realtime.cadence import Pace
from migctl.transports.realtime.channel import Channel, ChannelLost, RateLimited, joined
from migctl.transports.realtime.endpoint import Endpoint

Way = Literal["channel", "http"]

_log = get_logger("broadcast")


class Sender:
    """`run` keeps a channel until cancelled; `send` goes over it, or by HTTP.

    topics: those that are sent to; the first names the channel in logs. pace: is told when the server refuses for the rate.
    opened: is told of each new channel. failed: is told why nothing could be handed over; not told while one of the two ways still
    takes messages. allowed: whether HTTP may be used for more than a trial. position: the seq that log lines speak of.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        topics: Sequence[str],
        *,
        pace: Pace,
        opened: Callable[[], None],
        failed: Callable[[str], None],
        allowed: Callable[[], bool],
        position: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        retry, systemic = settings.resilience.retry, settings.resilience.systemic_retry
        self._backoff = Backoff(retry.first_delay_s, retry.max_delay_s)
        self._slow_backoff = Backoff(systemic.first_delay_s, systemic.max_delay_s)
        self._target = target
        self._apikey = target.need("service_role_key")
        self._topics = topics
        self._pace = pace
        self._told_opened = opened
        self._failed = failed
        self._allowed = allowed
        self._position = position
        self._random = random
        self._endpoint: Endpoint | None = None
        self._http_not_before = 0.0
        self._http_failures = 0
        self._changed = asyncio.Event()
        self.channel: Channel | None = None
        self.state: Literal["connecting", "connected", "degraded"] = "connecting"
        self.reason: str | None = None
        self.channels = self.by_http = self.http_failures = 0

    async def run(self) -> None:
        """One channel after another."""
        failures = 0
        self._endpoint = Endpoint(self._target)
        try:
            while True:
                channel = None
                try:
                    async with joined(
                        self._target.supabase_url,
                        apikey=self._apikey,
                        topics=self._topics,
                        token=lambda: sender_token(self._target),
                    ) as channel:
                        self._opened(channel)
                        await asyncio.Event().wait()  # until it is lost
                except (Transient, Systemic) as error:
                    # Only an acknowledgement proves a channel: one that joins and then refuses is not reopened at once, for ever.
                    failures = 1 if channel is not None and channel.acknowledged else failures + 1
                    self._lost(error)
                    backoff = self._slow_backoff if isinstance(error, Systemic) else self._backoff
                    pause = self._pace.pause_s(clock.mono())
                    await asyncio.sleep(max(pause, backoff.delay_s(failures, self._random)))
        finally:
            self.channel = None
            await self._endpoint.aclose()

    def way(self, now: float) -> Way | None:
        """How the next message would go; None: not at all."""
        if self.channel is not None:
            return "channel"
        return "http" if self._http_is_there(now) and self._allowed() else None

    async def ready(self) -> Way:
        """Wait until there is a way."""
        while (way := self.way(clock.mono())) is None:
            left = self._http_not_before - clock.mono()
            try:
                async with asyncio.timeout(left if left > 0 else None):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return way

    async def send(self, topic: str, event: str, payload: bytes) -> bool:
        """Hand one message over; False where it could not be. That it arrives is not known either way."""
        channel = self.channel
        if channel is not None:
            try:
                await channel.push(topic, event, payload)
            except ChannelLost:
                return False  # `run` hears of it too
            return True
        return self._http_is_there(clock.mono()) and await self._post(topic, event, payload)

    def wake(self) -> None:
        """What is allowed has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _http_is_there(self, now: float) -> bool:
        # Before the first answer of the target nothing is known to be wrong, and a channel is a matter of milliseconds.
        return self.reason is not None and now >= self._http_not_before

    async def _post(self, topic: str, event: str, payload: bytes) -> bool:
        assert self._endpoint is not None
        try:
            left = await self._endpoint.post(topic, event, payload)
        except RateLimited:
            self._pace.refused(clock.mono())
            return False
        except Poison as error:
            _log.warning("message refused", topic=topic, seq=self._position(), reason=error.what, do=error.do)
            return False
        except (Transient, Systemic) as error:
            self._put_http_off(error)
            return False
        self.by_http += 1
        self._http_failures = 0
        if left is not None and left < 1 + self._pace.subscribers:
            self._pace.spend(clock.mono())
        return True

    def _put_http_off(self, error: MigctlError) -> None:
        self.http_failures += 1
        self._http_failures += 1
        backoff = self._slow_backoff if isinstance(error, Systemic) else self._backoff
        self._http_not_before = clock.mono() + backoff.delay_s(self._http_failures, self._random)
        if self._http_failures == 1:
            _log.warning("no broadcast by HTTP", seq=self._position(), reason=error.what, do=error.do)
        self._failed(error.what)

    def _opened(self, channel: Channel) -> None:
        self.channel = channel
        self.channels += 1
        self.state, self.reason = "connected", None
        self._http_failures, self._http_not_before = 0, 0.0
        _log.info("channel joined", topic=self._topics[0], seq=self._position())
        self.wake()
        self._told_opened()

    def _lost(self, error: Transient | Systemic) -> None:
        state: Literal["connecting", "degraded"] = "degraded" if isinstance(error, Systemic) else "connecting"
        if (state, error.what) != (self.state, self.reason):  # once per change
            _log.warning(
                "no channel",
                topic=self._topics[0],
                seq=self._position(),
                reason=error.what,
                do=error.do,
                state=state,
            )
        self.state, self.reason = state, error.what
        self.channel = None
        if isinstance(error, RateLimited):
            self._pace.refused(clock.mono())
        if self._http_failures:
            self._failed(error.what)
        self.wake()
