"""Faults over HTTP, for the holder of the stack's service key: what is on, switch on, clear. Nothing of it is Supabase's."""

from __future__ import annotations

import time

from aiohttp import web

from migctl.stack.standin.auth import BadToken, Tokens
from migctl.stack.standin.faults import NAMES, Faults, Name
from migctl.stack.standin.gateway import admitted
from migctl.telemetry import get_logger

_log = get_logger("standin.faults")
PATH = "/standin/v1/faults"


class Admin:
    """The routes below PATH."""

    def __init__(self, tokens: Tokens, faults: Faults) -> None:
        self._tokens = tokens
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self._list),
            web.put(PATH + "/{name}", self._switch_on),
            web.delete(PATH, self._clear),
            web.delete(PATH + "/{name}", self._clear),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return self._refusal(request) or self._answer()

    async def _switch_on(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        text = request.query.get("for")
        try:
            for_s = float(text) if text is not None else None
        except ValueError:
            for_s = float("nan")
        if for_s is not None and not 0 < for_s < float("inf"):
            return _error(422, f"for: expected seconds above 0, got {text!r}")
        self._faults.switch_on(_known(request), time.monotonic(), for_s)
        _log.warning("fault switched on", fault=_known(request), seconds=for_s)
        return self._answer()

    async def _clear(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        self._faults.clear(_known(request) if "name" in request.match_info else None)
        _log.warning("fault switched off", fault=request.match_info.get("name", "all"))
        return self._answer()

    def _refusal(self, request: web.Request) -> web.Response | None:
        try:
            role = self._tokens.for_rest(admitted(request).token, time.time()).role
        except BadToken:
            role = ""
        if role != "service_role":
            return _error(403, "the service key of this stack opens this, and nothing else")
        if "name" in request.match_info and request.match_info["name"] not in NAMES:
            return _error(404, f"no such fault; there are {', '.join(NAMES)}")
        return None

    def _answer(self) -> web.Response:
        return web.json_response(
            [
                {
                    "name": each.fault.name,
                    "what": each.fault.what,
                    "concerns": each.fault.concerns,
                    "lasting": each.fault.lasting,
                    "on": each.on,
                    "left_seconds": each.left_s,
                    "taken": each.taken,
                }
                for each in self._faults.all(time.monotonic())
            ]
        )


def _known(request: web.Request) -> Name:
    return next(name for name in NAMES if name == request.match_info["name"])


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
