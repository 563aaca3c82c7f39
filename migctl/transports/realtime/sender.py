"""Sender: hands messages to Realtime, over our own joined channel, and by HTTP while that is lost.

A lost channel is opened anew for ever. What is in flight when it is lost is gone: a hint is never owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from migctl import clock
from migctl.config import Settings, Target
from migctl.errors import Poison, Systemic, Transient
from migctl.resilience import Backoff, BreakerState, Retry
from migctl.target.tokens import sender_token
from migctl.telemetry import get_logger
from migctl.transports.realtime.cadence import Pace
from migctl.transports.realtime.channel import Channel, joined, open_timeout
from migctl.transports.realtime.endpoint import Endpoint
from migctl.transports.realtime.exchange import ChannelLost, RateLimited
from migctl.transports.realtime.reach import Reach

Way = Literal["channel", "http"]

_log = get_logger("broadcast")


def way(
    *, joined: bool, answered: bool, http_away_s: float, breaker: BreakerState, trial: bool = False
) -> Way | None:
    """How a message goes now; None: not at all. Pure.

    joined: there is a channel. answered: the target has said why there is none; before that nothing is known to be wrong, and a
    channel is a matter of milliseconds. http_away_s: for how long HTTP is left alone after a failure. trial: it is a canary.

    | channel | answered | HTTP left alone | breaker            | a message  | a canary |
    |---------|----------|-----------------|--------------------|------------|----------|
    | joined  | (any)    | (any)           | (any)              | channel    | channel  |
    | none    | no       | (any)           | (any)              | none       | none     |
    | none    | yes      | yes             | (any)              | none       | none     |
    | none    | yes      | no              | closed             | http       | http     |
    | none    | yes      | no              | open, or half open | none       | http     |
    """
    if joined:
        return "channel"
    if not answered or http_away_s > 0:
        return None
    return "http" if trial or breaker == "closed" else None


def leaves_too_little(left: int | None, subscribers: int) -> bool:
    """Whether what is left of the rate is less than one more message to all of them takes. None: it was not said."""
    return left is not None and left < 1 + subscribers


def was_proven(acknowledged: int | None) -> bool:
    """Whether a channel that is lost had worked, so that the next one may be opened at once. Pure.

    Only an acknowledgement proves a channel: one that joins and then refuses is not reopened at once, for ever.

    | acknowledged        | worked |
    |---------------------|--------|
    | None: never joined  | no     |
    | 0: joined, no more  | no     |
    | 1 and more          | yes    |
    """
    return bool(acknowledged)


class Sender:
    """`run` keeps a channel until cancelled; `send` goes over it, or by HTTP.

    topics: those that are sent to; the first names the channel in logs. pace: hears where the server refuses for the rate.
    reach: hears of each new channel, and of what could not be handed over, but not while one of the two ways still takes messages;
    its breaker says whether HTTP may be used for more than a trial.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        topics: Sequence[str],
        reach: Reach,
        pace: Pace,
        *,
        random: Callable[[], float],
    ) -> None:
        backoff, slow = _backoffs(settings)
        self._retry = Retry(backoff, slow=slow, random=random)
        self._http_retry = Retry(backoff, slow=slow, random=random)
        self._http_not_before = 0.0
        self._opening = open_timeout()
        self._target = target
        target.need("service_role_key")
        self._rekeyed = asyncio.Event()
        self._topics = topics
        self._endpoint: Endpoint | None = None
        self.reach = reach
        self.pace = pace
        self.channel: Channel | None = None
        self.state: Literal["connecting", "connected", "degraded"] = "connecting"
        self.reason: str | None = None
        self.channels = self.by_http = self.http_failures = 0

    def follow(self, settings: Settings) -> None:
        """Come back by these, from the next failure on."""
        backoff, slow = _backoffs(settings)
        for retry in (self._retry, self._http_retry):
            retry.follow(backoff, slow=slow)

    async def run(self) -> None:
        """One channel after another."""
        self._endpoint = Endpoint(self._target)
        try:
            while True:
                channel = None
                self._rekeyed.clear()
                try:
                    async with joined(
                        self._target.supabase_url,
                        apikey=self._target.need("service_role_key"),
                        topics=self._topics,
                        token=self._token,
                        opening=self._opening,
                    ) as channel:
                        self._opened(channel)
                        await self._rekeyed.wait()  # or until it is lost
                    self.state, self.reason, self.channel = "connecting", "the target has other keys", None
                    continue
                except (Transient, Systemic) as error:
                    if was_proven(None if channel is None else channel.acknowledged):
                        self._retry.succeeded()
                    self._retry.failed(error)
                    self._lost(error)
                await self._retry.wait(least_s=self.pace.pause_s(clock.mono()))
        finally:
            self.channel = None
            await self._endpoint.aclose()

    def rekey(self) -> None:
        """The target has other keys: the next channel is opened with them, at once. Meanwhile messages go by HTTP."""
        self._rekeyed.set()

    async def _token(self) -> str:
        return sender_token(self._target)

    def way(self, now: float) -> Way | None:
        """How the next message would go; None: not at all."""
        return self._way(now)

    def _way(self, now: float, *, trial: bool = False) -> Way | None:
        return way(
            joined=self.channel is not None,
            answered=self.reason is not None,
            http_away_s=self._http_not_before - now,
            breaker=self.reach.health.state,
            trial=trial,
        )

    async def ready(self) -> Way:
        """Wait until there is a way."""
        while (found := self.way(clock.mono())) is None:
            left_s = self._http_not_before - clock.mono()
            await self.reach.news.wait(left_s if left_s > 0 else None)
        return found

    async def send(self, topic: str, event: str, payload: bytes) -> bool:
        """Hand one message over; False where it could not be. That it arrives is not known either way."""
        channel = self.channel
        if channel is not None:
            try:
                await channel.push(topic, event, payload)
            except ChannelLost:
                return False  # `run` hears of it too
            return True
        # Whoever sends has waited for a way; what comes without one is a trial.
        return self._way(clock.mono(), trial=True) == "http" and await self._post(topic, event, payload)

    async def _post(self, topic: str, event: str, payload: bytes) -> bool:
        assert self._endpoint is not None
        try:
            left = await self._endpoint.post(topic, event, payload)
        except RateLimited:
            self.pace.refused(clock.mono())
            return False
        except Poison as error:
            _log.warning("message refused", topic=topic, seq=self.reach.seq, reason=error.what, do=error.do)
            return False
        except (Transient, Systemic) as error:
            self._put_http_off(error)
            return False
        self.by_http += 1
        self._http_retry.succeeded()
        if leaves_too_little(left, self.pace.subscribers):
            self.pace.spend(clock.mono())
        return True

    def _put_http_off(self, error: Transient | Systemic) -> None:
        self.http_failures += 1
        failure = self._http_retry.failed(error)
        self._http_not_before = clock.mono() + failure.delay_s
        if failure.number == 1:
            _log.warning("no broadcast by HTTP", seq=self.reach.seq, reason=error.what, do=error.do)
        self.reach.failed(error.what)

    def _opened(self, channel: Channel) -> None:
        self.channel = channel
        self.channels += 1
        self.state, self.reason = "connected", None
        self._http_retry.succeeded()
        self._http_not_before = 0.0
        _log.info("channel joined", topic=self._topics[0], seq=self.reach.seq)
        self.reach.news.wake()
        self.reach.reached()

    def _lost(self, error: Transient | Systemic) -> None:
        state: Literal["connecting", "degraded"] = "degraded" if isinstance(error, Systemic) else "connecting"
        if (state, error.what) != (self.state, self.reason):  # once per change
            _log.warning(
                "no channel",
                topic=self._topics[0],
                seq=self.reach.seq,
                reason=error.what,
                do=error.do,
                state=state,
            )
        self.state, self.reason = state, error.what
        self.channel = None
        if isinstance(error, RateLimited):
            self.pace.refused(clock.mono())
        if self._http_retry.failures:
            self.reach.failed(error.what)
        self.reach.news.wake()


def _backoffs(settings: Settings) -> tuple[Backoff, Backoff]:
    retry, systemic = settings.resilience.retry, settings.resilience.systemic_retry
    return Backoff(retry.first_delay_s, retry.max_delay_s), Backoff(
        systemic.first_delay_s, systemic.max_delay_s
    )
