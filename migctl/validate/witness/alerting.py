"""Alerting: an alert as a POST to whoever is to be woken. A webhook that fails is tried a few times, and nothing waits for it."""

from __future__ import annotations

import asyncio

import httpx
import msgspec

from migctl.config.address import is_local
from migctl.errors import Transient
from migctl.resilience import Backoff, Retry
from migctl.telemetry import get_logger
from migctl.validate.witness.trouble import Alert

TRIES = 5
WITHIN_S = 5.0
MOST_WAITING = 100
RETRY = Backoff(0.5, 10.0)

log = get_logger("witness")


class Webhook:
    """url: None for none: then alerts are in the log alone."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._waiting: asyncio.Queue[Alert] = asyncio.Queue(MOST_WAITING)

    def send(self, alert: Alert) -> None:
        emit = log.warning if alert.status == "raised" else log.info
        emit(f"alert {alert.status}", reason=alert.reason, window=alert.window.id)
        if self._url is None:
            return
        if self._waiting.full():
            log.warning("an alert is not sent: too many wait", reason=alert.reason)
        else:
            self._waiting.put_nowait(alert)

    async def run(self) -> None:
        """Post what is sent, in order, until cancelled."""
        if self._url is None:
            return
        async with httpx.AsyncClient(timeout=WITHIN_S, trust_env=not is_local(self._url)) as client:
            while True:
                await self._post(client, self._url, await self._waiting.get())

    async def _post(self, client: httpx.AsyncClient, url: str, alert: Alert) -> None:
        retry = Retry(RETRY)
        for _ in range(TRIES):
            try:
                body = msgspec.json.encode(alert)
                answer = await client.post(url, content=body, headers={"Content-Type": "application/json"})
                if answer.is_success:
                    return
                why = f"HTTP {answer.status_code}"
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                why = type(error).__name__
            # The address is not quoted: for many services it is the secret.
            log.log(
                retry.failed(Transient(why, do="see whether alerts.webhook is right")).level,
                "the webhook failed",
                reason=why,
            )
            await retry.wait()
        log.error("an alert was not delivered", status=alert.status, reason=alert.reason, tries=TRIES)
