"""`POST /admin/marker`: an event of ours in the journal, by which a rollout sees that both transports carry what is committed.

It has a seq and goes the way of every event, except to legacy sockets; no report counts it. Placed twice under one id, it is one.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from aiohttp import web

from migctl import clock
from migctl.errors import MigctlError
from migctl.events import Event
from migctl.events.jsontext import read_as
from migctl.journal import Conflict, Log
from migctl.server.access.bodies import body_of
from migctl.server.answers import answer, refusal

MARKER = "/admin/marker"
EVENT_TYPE = "sys.marker"


class Marker(msgspec.Struct):
    """Asks for a marker. id: of the event; step: of the rollout, for people who read the journal."""

    id: UUID
    step: str


class Placed(msgspec.Struct, frozen=True):
    """Where it is."""

    epoch: str
    seq: int


def marker_routes(journal: Log) -> list[web.RouteDef]:
    """For the journal of this serve."""

    async def place(request: web.Request) -> web.StreamResponse:
        try:
            asked = read_as(await body_of(request), Marker)
        except ValueError as error:
            return refusal(422, "shape", f"this asks for no marker: {error}")
        known = await journal.get(str(asked.id))
        if known is not None and known.event.event_type == EVENT_TYPE:
            return answer(200, Placed(known.epoch, known.seq))
        event = Event(
            id=str(asked.id),
            event_type=EVENT_TYPE,
            timestamp=clock.now(),
            source="migctl",
            data=msgspec.json.encode({"step": asked.step}),
        )
        try:
            appended = await journal.append([event])
        except Conflict as error:
            return refusal(409, "conflict", str(error))
        except MigctlError as error:
            return refusal(503, "unavailable", error.what)
        (position,) = appended.positions()
        return answer(201, Placed(position.epoch, position.seq))

    return [web.post(MARKER, place)]
