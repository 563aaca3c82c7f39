"""`/api/story`: what became of one event, by its id or its position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from aiohttp import web

from migctl.events import Position
from migctl.journal import JournalUnavailable
from migctl.server.answers import answer, refusal
from migctl.server.counts import Counts, Rejection
from migctl.status.story import EventStory
from migctl.transports.websocket import resume

STORY = "/api/story"
MOST_ID_CHARS = 1000


class Stories(Protocol):
    """What the route asks."""

    async def of_id(self, text: str, rejections: Iterable[Rejection]) -> EventStory: ...

    async def at(self, position: Position) -> EventStory: ...


def story_routes(stories: Stories, counts: Counts) -> list[web.RouteDef]:
    async def get(request: web.Request) -> web.StreamResponse:
        query = request.query
        event_id = query.get("id", "").strip()
        try:
            # Also where the id decides: what is no seq is a mistake of who asks.
            seq = resume.seq_in("seq", query["seq"]) if "seq" in query else None
            if event_id:
                if len(event_id) > MOST_ID_CHARS:
                    return refusal(400, "value", f"an id has at most {MOST_ID_CHARS} characters", field="id")
                return answer(200, await stories.of_id(event_id, tuple(counts.rejections)))
            epoch = query.get("epoch", "")
            if not epoch or seq is None:
                return refusal(400, "value", "give id, or epoch and seq", field="id")
            return answer(200, await stories.at(Position(epoch, seq)))
        except resume.BadRequest as error:
            return refusal(400, "value", error.reason, field=error.field)
        except ValueError as error:
            return refusal(400, "value", str(error), field="id")
        except JournalUnavailable as error:
            return refusal(503, "unavailable", f"{error.what}; {error.do}")

    return [web.get(STORY, get)]
