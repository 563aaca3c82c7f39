"""Routes below /admin/ for flags: what this very process holds, and a brake that a person hands it.

They need neither Supabase nor Redis: going down works with both away. What is heard is on disk before it is confirmed.
"""

from __future__ import annotations

from aiohttp import web

from migctl.events.jsontext import read_as
from migctl.flags.hearing import HEAR, Confirmation
from migctl.flags.service import FlagService
from migctl.flags.snapshot import OtherTarget, Snapshot
from migctl.server.access.bodies import MOST_BYTES, body_of
from migctl.server.answers import answer, refusal

FLAGS = "/admin/flags"


def flag_routes(flags: FlagService) -> list[web.RouteDef]:
    """For the flags of this serve."""

    async def show(_: web.Request) -> web.StreamResponse:
        return answer(200, flags.status())

    async def hear(request: web.Request) -> web.StreamResponse:
        try:
            snapshot = read_as(await body_of(request, MOST_BYTES), Snapshot)
        except ValueError as error:  # what is no JSON, and what has another shape
            return refusal(422, "shape", f"this is no snapshot of flags: {error}")
        try:
            heard = await flags.hear(snapshot)
        except OtherTarget as error:
            return refusal(409, "target", str(error))
        brakes = [brake.id for brake in flags.holder.snapshot.live_brakes()]
        of = flags.registration
        confirmation = Confirmation(
            heard.confirmed, of.id, of.name, heard.n, brakes, heard.why, flags.holder.blind
        )
        return answer(200, confirmation)

    return [web.get(FLAGS, show), web.post(HEAR, hear)]
