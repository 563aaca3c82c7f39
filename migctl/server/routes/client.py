"""`GET /client.js`: the subscriber for pages, and beside it the modules that it imports. Only code, so it is open to everybody.

A page asks for each at every load, and gets 304 unless `serve` was updated: client and server are always of one release.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec
from aiohttp import web

from migctl.server.answers import refusal

CLIENT = "/client.js"
MODULE = "/client/{module}"
CORE = "/client/core/{module}"


class Module(msgspec.Struct, frozen=True):
    text: bytes
    tag: str


@cache
def modules() -> dict[str, Module]:
    """Every module by its path, as it is asked for."""
    folder = resources.files("migctl") / "dashboard"
    found = {CLIENT: folder / "client.js", **_below(folder / "client", "/client")}
    texts = {path: file.read_bytes() for path, file in found.items()}
    return {path: Module(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"') for path, text in texts.items()}


def _below(folder: Traversable, path: str) -> dict[str, Traversable]:
    found: dict[str, Traversable] = {}
    for file in folder.iterdir():
        if file.is_dir():
            found |= _below(file, f"{path}/{file.name}")
        elif file.name.endswith(".js"):
            found[f"{path}/{file.name}"] = file
    return found


async def get(request: web.Request) -> web.StreamResponse:
    module = modules().get(request.path)
    if module is None:
        return refusal(404, "not_found", f"there is no module {request.path}")
    headers = {"ETag": module.tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if module.tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=module.text, content_type="text/javascript", charset="utf-8", headers=headers)


def client_js_routes() -> list[web.RouteDef]:
    return [web.get(CLIENT, get), web.get(MODULE, get), web.get(CORE, get)]
