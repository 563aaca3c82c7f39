"""Endpoint: broadcasts by HTTP, one a request, for the time in which there is no channel.

Best effort: 202 means taken, not delivered, and is also the answer to a private message that is denied. Whether anything arrives
is the canary's to say.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from migctl.config import Target
from migctl.config.address import is_local
from migctl.events.jsontext import quote
from migctl.target import errors
from migctl.target.bodies import PACKED, read
from migctl.target.rest import SMALL_BYTES, as_server
from migctl.transports.realtime.exchange import TOO_FAST, RateLimited

# A hint that takes longer is no news any more: its readers have asked the table.
TIMEOUT_S = 2.0
# Of a rate. What has more is none.
MOST_DIGITS = 10
_PATH = "/realtime/v1/api/broadcast"


class Endpoint:
    """`POST /realtime/v1/api/broadcast`, as service_role."""

    def __init__(self, target: Target) -> None:
        target.need("service_role_key")
        self._target = target
        self._url = target.supabase_url + _PATH
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            trust_env=not is_local(target.supabase_url),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "migctl",
                "Accept-Encoding": PACKED,
            },
        )

    async def post(self, topic: str, event: str, payload: bytes) -> int | None:
        """Broadcast one private message; what the server says is left of the rate (messages a second), None where it does not.

        payload: JSON. Raises RateLimited, Transient, Systemic, and Rejected for a message that is too large or malformed.
        """
        action = f"broadcast {event} to {topic} by HTTP"
        body = b'{"messages":[{"topic":%b,"event":%b,"payload":%b,"private":true}]}'
        try:
            async with self._client.stream(
                "POST",
                self._url,
                content=body % (quote(topic), quote(event), payload),
                headers=as_server(self._target),
            ) as answer:
                body, _ = await read(answer, SMALL_BYTES)
        except errors.FAILED_REQUEST as error:
            raise errors.of_exception(action, error) from error
        return left_of(action, answer.status_code, body, answer.headers)

    async def aclose(self) -> None:
        await self._client.aclose()


def left_of(action: str, status: int, body: bytes, headers: Mapping[str, str]) -> int | None:
    """What an answer says is left of the rate; None where it does not. Pure. Raises what else it means.

    | status  | means                                                                        |
    |---------|------------------------------------------------------------------------------|
    | 2xx     | taken; `x-rate-limit-remaining` is the rate, where it is a number            |
    | 429     | RateLimited                                                                  |
    | 422     | Rejected: this message                                                       |
    | another | as any answer of the target                                                  |
    """
    if status == 429:
        raise RateLimited(f"{action}: HTTP 429, {errors.error_body(body).message}", do=TOO_FAST)
    if status == 422:
        raise errors.Rejected(
            f"{action}: HTTP 422, {errors.short(body)}",
            do="lower realtime.max_hint_bytes to what the plan allows",
            code="422",
            reason=errors.short(body),
        )
    if not 200 <= status < 300:
        raise errors.of_answer(action, status, body, blames=True)
    left = headers.get("x-rate-limit-remaining", "")
    return int(left) if left.isdecimal() and len(left) < MOST_DIGITS else None
