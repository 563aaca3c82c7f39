"""The API over HTTP: paths, methods, status codes and bodies of github.com/Shopify/toxiproxy 2 (api.go), without /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from migctl import __version__
from migctl.faults.api import documents
from migctl.faults.api.documents import ErrorDocument, Refusal, ToxicDocument, read
from migctl.faults.api.proxies import Named, Proxies

# Whose API it is, and of which build of ours: clients compare what stands before the plus.
VERSION = f"2.12.0+migctl.{__version__}"

_PROXY = "/proxies/{proxy}"
_TOXIC = _PROXY + "/toxics/{toxic}"


def build(proxies: Proxies) -> web.Application:
    app = web.Application(middlewares=[_as_json])
    app.add_routes(_Routes(proxies).all())
    return app


@web.middleware
async def _as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    # A page that somebody has open must not be able to arm faults on the machine that they look at it from.
    if request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return web.Response(status=403, text="User agent not allowed\n")
    try:
        return await handler(request)
    except Refusal as refusal:
        return _answer(ErrorDocument(str(refusal), refusal.status), refusal.status)
    except web.HTTPException as error:  # no such path, no such method, a body without end
        answer = _answer(ErrorDocument(error.reason.lower(), error.status), error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


def _answer(document: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(document) + b"\n", content_type="application/json"
    )


class _Routes:
    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    def all(self) -> list[web.RouteDef]:
        return [
            web.get("/proxies", self._list),
            web.post("/proxies", self._create),
            web.post("/populate", self._populate),
            web.get(_PROXY, self._show),
            web.post(_PROXY, self._change),
            web.patch(_PROXY, self._change),
            web.delete(_PROXY, self._delete),
            web.get(_PROXY + "/toxics", self._toxics),
            web.post(_PROXY + "/toxics", self._add_toxic),
            web.get(_TOXIC, self._show_toxic),
            web.post(_TOXIC, self._change_toxic),
            web.patch(_TOXIC, self._change_toxic),
            web.delete(_TOXIC, self._remove_toxic),
            web.post("/reset", self._reset),
            web.get("/version", self._version),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return _answer({named.name: named.document() for named in self._proxies})

    async def _create(self, request: web.Request) -> web.Response:
        new = read(await request.read(), documents.NewProxy)
        return _answer((await self._proxies.create(new)).document(), 201)

    async def _populate(self, request: web.Request) -> web.Response:
        done: list[Named] = []
        status, error = 201, ""
        try:
            await self._proxies.populate(read(await request.read(), list[documents.NewProxy]), done)
        except Refusal as refusal:
            status, error = refusal.status, str(refusal)
        proxies = [named.document() for named in done]
        return _answer(documents.PopulatedDocument(proxies, error, status if error else 0), status)

    async def _show(self, request: web.Request) -> web.Response:
        return _answer(self._named(request).document())

    async def _change(self, request: web.Request) -> web.Response:
        name = self._named(request).name
        change = read(await request.read(), documents.ProxyChange)
        return _answer((await self._proxies.change(name, change)).document())

    async def _delete(self, request: web.Request) -> web.Response:
        await self._proxies.delete(self._named(request).name)
        return web.Response(status=204)

    async def _toxics(self, request: web.Request) -> web.Response:
        return _answer(self._named(request).document().toxics)

    async def _add_toxic(self, request: web.Request) -> web.Response:
        self._named(request)
        new = read(await request.read(), documents.NewToxic)
        return _answer(ToxicDocument.of(self._named(request).add(new)))

    async def _show_toxic(self, request: web.Request) -> web.Response:
        return _answer(ToxicDocument.of(self._named(request).toxic(request.match_info["toxic"])))

    async def _change_toxic(self, request: web.Request) -> web.Response:
        self._named(request).toxic(request.match_info["toxic"])
        change = read(await request.read(), documents.ToxicChange)
        # Asked for again: it may have gone while the body came.
        return _answer(ToxicDocument.of(self._named(request).change(request.match_info["toxic"], change)))

    async def _remove_toxic(self, request: web.Request) -> web.Response:
        self._named(request).remove(request.match_info["toxic"])
        return web.Response(status=204)

    async def _reset(self, request: web.Request) -> web.Response:
        await self._proxies.reset()
        return web.Response(status=204)

    async def _version(self, request: web.Request) -> web.Response:
        return _answer(documents.VersionDocument(VERSION))

    def _named(self, request: web.Request) -> Named:
        return self._proxies.get(request.match_info["proxy"])
