"""`GET /client.js`: the subscriber for pages, one ES module. Only code, so it is open to everybody.

A page asks for it at every load, and gets 304 unless `serve` was updated: client and server are always of one release.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib import resources

import msgspec
from aiohttp import web

from migctl.dashboard.bundling import bundle

CLIENT = "/client.js"


class Module(msgspec.Struct, frozen=True):
    """tag, tag_of_packed: an ETag is of the bytes that are sent."""

    text: bytes
    packed: bytes
    tag: str
    tag_of_packed: str


@cache
def module() -> Module:
    folder = resources.files("migctl") / "dashboard"
    text = bundle(lambda path: folder.joinpath(path).read_text("utf-8")).encode()
    tag = hashlib.sha256(text).hexdigest()[:32]
    return Module(text, gzip.compress(text, 9, mtime=0), f'"{tag}"', f'"{tag}-gzip"')


def takes_gzip(accepts: str) -> bool:
    """By its Accept-Encoding."""
    for part in accepts.lower().split(","):
        coding, *words = (word.strip().replace(" ", "") for word in part.split(";"))
        if coding in ("gzip", "*"):
            return not any(word.startswith("q=0") and not word.strip("q=0.") for word in words)
    return False


async def get(request: web.Request) -> web.StreamResponse:
    found = module()
    packed = takes_gzip(request.headers.get("Accept-Encoding", ""))
    tag = found.tag_of_packed if packed else found.tag
    headers = {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    body = found.packed if packed else found.text
    return web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=headers)


def client_js_routes() -> list[web.RouteDef]:
    return [web.get(CLIENT, get)]
