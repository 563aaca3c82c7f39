"""`/api/flags` and `/api/segments`: flags managed over HTTP. `flags.managing` does the work; here it is asked and answered.

A write says what it has seen: `If-Match` with an entity tag, or `If-None-Match: *` for what is new. Else it is 428, and 412 where
something else stands.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from migctl.errors import MigctlError, Systemic, Transient, Usage
from migctl.events.jsontext import depth_of, read_as
from migctl.flags.authoring import Unusable
from migctl.flags.managing import (
    ANY,
    MAX_REASON_CHARS,
    Absent,
    Kind,
    Managing,
    NoRecord,
    Order,
    OtherTarget,
    OtherVersion,
)
from migctl.flags.record import Changed, Unshown
from migctl.server.access.bodies import body_of
from migctl.server.access.guard import name_of, over_control_socket
from migctl.server.answers import answer, refusal

MAX_BODY_BYTES = 1 << 20
MAX_DEPTH = 100
MAX_LIMIT = 200
RETRY_AFTER_S = 1

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON_CHARS)]

_TAG = re.compile(r'\s*(W/)?("[^"]*")\s*(?:,|\Z)|\s*(\*)\s*\Z')


class PutFlag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to define a flag. target: as `GET /api/flags` says it. flag: in flagd's format. lift: brakes that a raise may end."""

    target: str
    reason: Reason
    flag: dict[str, object]
    lift: list[str] = []
    dry_run: bool = False


class PutSegment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to define a segment. segment: users, starts_with, ends_with, or rule."""

    target: str
    reason: Reason
    segment: dict[str, object]
    lift: list[str] = []
    dry_run: bool = False


class BadRequest(ValueError):
    """A request that can't be read."""

    def __init__(self, status: int, code: str, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.field = field


def flag_api_routes(managing: Managing) -> list[web.RouteDef]:
    """For the flags of this serve."""

    async def flags(_: web.Request) -> web.StreamResponse:
        return answer(200, managing.flags(), as_is=True)

    async def flag(request: web.Request) -> web.StreamResponse:
        key = request.match_info["name"]
        return answer(200, managing.flag(key), _tagged(managing, "flag", key), as_is=True)

    async def segments(_: web.Request) -> web.StreamResponse:
        return answer(200, managing.segments(), as_is=True)

    async def segment(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return answer(200, managing.segment(name), _tagged(managing, "segment", name), as_is=True)

    async def put_flag(request: web.Request) -> web.StreamResponse:
        key, body = request.match_info["name"], decoded(await body_of(request), PutFlag)
        change, is_new = await managing.put_flag(key, body.flag, _order(request, body))
        return answer(201 if is_new else 200, change, _tagged(managing, "flag", key))

    async def put_segment(request: web.Request) -> web.StreamResponse:
        name, body = request.match_info["name"], decoded(await body_of(request), PutSegment)
        change, is_new = await managing.put_segment(name, body.segment, _order(request, body))
        return answer(201 if is_new else 200, change, _tagged(managing, "segment", name))

    def delete(kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            query = request.query
            order = Order(
                target=_needed(request, "target"),
                reason=_needed(request, "reason"),
                lift=query.getall("lift", []),
                dry_run=_is_true(request, "dry_run"),
                actor=_actor(request),
                tags=tags_in(request.headers.getall("If-Match", [])),
            )
            _check_precondition(order)
            return answer(200, await managing.delete(kind, request.match_info["name"], order))

        return handle

    def history(kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            text = request.query.get("limit", "20")
            if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_LIMIT:
                raise BadRequest(400, "value", f"limit must be 1 to {MAX_LIMIT}", "limit")
            return answer(200, await managing.history(kind, request.match_info["name"], int(text)))

        return handle

    return [
        web.get("/api/flags", _answering(flags)),
        web.get("/api/flags/{name}", _answering(flag)),
        web.put("/api/flags/{name}", _answering(put_flag)),
        web.delete("/api/flags/{name}", _answering(delete("flag"))),
        web.get("/api/flags/{name}/history", _answering(history("flag"))),
        web.get("/api/segments", _answering(segments)),
        web.get("/api/segments/{name}", _answering(segment)),
        web.put("/api/segments/{name}", _answering(put_segment)),
        web.delete("/api/segments/{name}", _answering(delete("segment"))),
        web.get("/api/segments/{name}/history", _answering(history("segment"))),
    ]


def decoded(body: bytes, shape: type[T]) -> T:
    """Raises BadRequest."""
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(413, "large", f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken")
    if depth_of(body) > MAX_DEPTH:
        raise BadRequest(422, "depth", f"the body is nested deeper than {MAX_DEPTH}")
    try:
        return read_as(body, shape)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadRequest(422, "shape", what, where.strip("`").removeprefix("$.") or None) from None
    except ValueError as error:
        raise BadRequest(400, "json", f"the body is not JSON: {error}") from None


def tags_in(given: list[str]) -> list[str]:
    """The entity tags of `If-Match`, without the weak ones, which match nothing; ANY for `*`."""
    tags = []
    for line in given:
        for found in _TAG.finditer(line):
            weak, tag, star = found.groups()
            if star:
                tags.append(ANY)
            elif not weak:
                tags.append(tag)
            else:
                tags.append("")  # it was said, and matches nothing
    return tags


def _order(request: web.Request, body: PutFlag | PutSegment) -> Order:
    order = Order(
        target=body.target,
        reason=body.reason,
        lift=body.lift,
        dry_run=body.dry_run,
        actor=_actor(request),
        tags=tags_in(request.headers.getall("If-Match", [])),
        absent=ANY in tags_in(request.headers.getall("If-None-Match", [])),
    )
    _check_precondition(order)
    return order


def _check_precondition(order: Order) -> None:
    if not order.tags and not order.absent:
        raise BadRequest(
            428,
            "precondition",
            "say what you have seen: If-Match with the ETag of a GET; or If-None-Match: * for what is new",
            "If-Match",
        )


def _actor(request: web.Request) -> str:
    """Who writes, for the audit: the token's name. Who needed none is on this machine."""
    return name_of(request) or ("control socket" if over_control_socket(request) else "loopback")


def _needed(request: web.Request, name: str) -> str:
    text = request.query.get(name)
    if text is None:
        raise BadRequest(422, "shape", f"a deletion names its {name} in the query", name)
    return text


def _is_true(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise BadRequest(400, "value", f"{name} must be true or false", name)
    return text == "true"


def _tagged(managing: Managing, kind: Kind, name: str) -> dict[str, str]:
    tag = managing.tag(kind, name)
    return {"ETag": tag} if tag is not None else {}


# The first that fits. code: stable, for machines.
_ANSWERS: tuple[tuple[type[MigctlError], int, str, str | None], ...] = (
    (Absent, 404, "absent", None),
    (OtherVersion, 412, "changed", "If-Match"),
    (Changed, 412, "changed", "If-Match"),
    (Unshown, 409, "brake", "lift"),
    (OtherTarget, 409, "target", "target"),
    (NoRecord, 409, "file", None),
    (Unusable, 422, "definition", None),
    (Usage, 422, "value", None),
    (Transient, 503, "record", None),
    (Systemic, 503, "record", None),
)


def refused(error: MigctlError) -> web.Response:
    """How a refusal of the rooms below is answered."""
    for kind, status, code, field in _ANSWERS:
        if isinstance(error, kind):
            where = error.path if isinstance(error, Unusable) else field
            headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
            return refusal(status, code, f"{error.what}; {error.do}", field=where, headers=headers)
    raise error


def _answering(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadRequest as error:
            return refusal(error.status, error.code, str(error), field=error.field)
        except MigctlError as error:
            return refused(error)

    return handle
