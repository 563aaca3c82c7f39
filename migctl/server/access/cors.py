"""CORS: pages of the origins that the operator named may read our answers; a browser asks before it sends a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ASKED = "Access-Control-Request-Method"
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-None-Match",
    "Access-Control-Max-Age": "600",
}


def cors(origins: Collection[str]) -> Middleware:
    """Stands before the guard: what a browser asks beforehand brings no token, and its answer says nothing else."""

    @web.middleware
    async def add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or origin not in origins:
            return await handler(request)
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if request.method == "OPTIONS" and _ASKED in request.headers:
            return web.Response(status=204, headers={**headers, **_ALLOWED})
        response = await handler(request)
        if not response.prepared:
            also = response.headers.get("Vary")
            response.headers.update({**headers, "Access-Control-Expose-Headers": "ETag, Retry-After"})
            if also is not None:
                response.headers["Vary"] = f"{also}, Origin"
        return response

    return add_headers
