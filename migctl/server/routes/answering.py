"""Answering: what an operator asks of a running `serve`, read, done, and answered with its way out where it can't be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from migctl.errors import MigctlError, Usage
from migctl.events.jsontext import read_as
from migctl.exits import Exit
from migctl.serve_client.answers import Failure
from migctl.server.access.bodies import body_of
from migctl.server.answers import answer, refusal

T = TypeVar("T")

_STATUS: dict[int, int] = {Exit.WANTING: 409, Exit.UNUSABLE: 422, Exit.UNREACHABLE: 503, Exit.REFUSED: 409}


def failed(error: MigctlError) -> web.Response:
    """An error with its way out, and the exit code of the command that asked."""
    return answer(_STATUS.get(error.exit_code, 500), Failure(error.what, error.do, error.exit_code))


def answering(
    shape: type[T], work: Callable[[T], Awaitable[object]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler: `work` with the body as `shape`; an error of ours is answered with the exit code of the command that asked."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            asked = read_as(await body_of(request), shape)
        except msgspec.ValidationError as error:
            return refusal(422, "shape", str(error))
        except ValueError as error:
            return failed(Usage(f"the body is no JSON: {error}", do="send an object"))
        try:
            return answer(200, await work(asked))
        except MigctlError as error:
            return failed(error)

    return handle
