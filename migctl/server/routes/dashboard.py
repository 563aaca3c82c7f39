"""The dashboard: the page at `/` for whoever asks for HTML, and its files below `/dashboard/`.

The page itself says nothing that a stranger may not know; its figures come from routes that ask for a token where tokens are set.
Nothing is loaded from anywhere else, and nothing inline is run: the headers say so to the browser.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from aiohttp import web

from migctl import dashboard

STATIC = Path(dashboard.__file__).parent / "static"
PREFIX = "/dashboard/"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked again each time, and answered with 304: an update of migctl is there with the next load.
    "Cache-Control": "no-cache",
}


def dashboard_routes() -> list[web.RouteDef]:
    """Its files. The page at `/` is `page`."""

    async def file(request: web.Request) -> web.StreamResponse:
        return await _file(request, request.path.removeprefix(PREFIX))

    return [web.get(PREFIX + "{name}", file), web.get(PREFIX + "vendor/{name}", file)]


def wants_page(accept: str) -> bool:
    """Whether a browser asks, by its Accept: one that has no HTML in it gets the list of routes."""
    return any(part.split(";")[0].strip().lower() == "text/html" for part in accept.split(","))


def path_of(name: str) -> Path | None:
    """The file of this name; None for what is none of the page's."""
    path = STATIC / name
    if path.suffix not in TYPES or any(part in ("", ".", "..") for part in name.split("/")):
        return None
    return path


async def page(request: web.Request) -> web.StreamResponse:
    return await _file(request, "index.html")


async def _file(request: web.Request, name: str) -> web.StreamResponse:
    path = path_of(name)
    try:
        body = await asyncio.to_thread(path.read_bytes) if path is not None else None
    except OSError:
        body = None
    if path is None or body is None:
        raise web.HTTPNotFound
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**HEADERS, "ETag": etag, **({"Vary": "Accept"} if request.path == "/" else {})}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=TYPES[path.suffix], charset="utf-8", headers=headers)
