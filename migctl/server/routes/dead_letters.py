"""Routes below /admin/ for what an operator does about dead letters: try one again, dismiss one, accept a storm for a time.

An error is answered with its way out and the exit code of the command that asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from migctl.delivery.burying import MOST_MINUTES, Burying
from migctl.delivery.dead_letters import Tried
from migctl.errors import MigctlError, Usage, Wanting
from migctl.events import Position, format_time
from migctl.events.jsontext import read_as
from migctl.journal import DeadLetter
from migctl.server.access.bodies import body_of
from migctl.server.answers import answer, refusal
from migctl.server.routes.answering import failed
from migctl.target import RetryTable

RETRY = "/admin/dead-letters/retry"
DISMISS = "/admin/dead-letters/dismiss"
ACCEPT = "/admin/dead-letters/accept"

T = TypeVar("T")


class Retry(msgspec.Struct):
    """Asks to try one dead letter again, by the position that it has. Answered with Tried."""

    epoch: str
    seq: int
    as_new: bool = False


class Dismiss(msgspec.Struct):
    """Says of one dead letter that it will never be a row. by, why: for the record. Answered with Tried."""

    epoch: str
    seq: int
    by: str
    why: str


class Accept(msgspec.Struct):
    """Asks to take whatever the table refuses, for so long. who: for the record."""

    minutes: float
    who: str


class Accepted(msgspec.Struct):
    """was_held_since: the relay was held at a storm until now; None where it was not."""

    accepted_until: str
    was_held_since: str | None


def dead_letter_routes(burying: Burying, table: RetryTable) -> list[web.RouteDef]:
    """For the relay of this serve, and for the target that it writes to."""
    letters = burying.dead_letters

    async def find(asked: Retry | Dismiss) -> DeadLetter:
        letter = await letters.find(Position(asked.epoch, asked.seq))
        if letter is None:
            raise Wanting(
                f"seq {asked.seq} of {asked.epoch} is no dead letter", do="look: `migctl deadletter list`"
            )
        return letter

    async def dismiss(body: bytes) -> Tried:
        asked = _decode(body, Dismiss)
        if not asked.why.strip():
            raise Usage("dismiss: no reason", do="say why there will be no row")
        return await letters.dismiss(await find(asked), by=asked.by, why=asked.why)

    async def retry(body: bytes) -> Tried:
        asked = _decode(body, Retry)
        letter = await find(asked)
        return await (letters.renew(letter, table) if asked.as_new else letters.retry(letter, table))

    async def accept(body: bytes) -> Accepted:
        asked = _decode(body, Accept)
        if not 0 < asked.minutes <= MOST_MINUTES:
            raise Usage(f"minutes: {asked.minutes:g}", do=f"write 1 to {MOST_MINUTES}")
        held = burying.status().held_since
        until = await burying.accept(asked.minutes, asked.who)
        return Accepted(format_time(until), None if held is None else format_time(held))

    return [
        web.post(RETRY, _answering(retry)),
        web.post(DISMISS, _answering(dismiss)),
        web.post(ACCEPT, _answering(accept)),
    ]


def _answering(
    work: Callable[[bytes], Awaitable[object]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return answer(200, msgspec.to_builtins(await work(await body_of(request))), as_is=True)
        except MigctlError as error:
            return failed(error)
        except msgspec.ValidationError as error:
            return refusal(422, "shape", str(error))

    return handle


def _decode(body: bytes, shape: type[T]) -> T:
    try:
        return read_as(body, shape)
    except msgspec.ValidationError:
        raise
    except ValueError as error:
        raise Usage(f"the body is no JSON: {error}", do="send an object") from None
