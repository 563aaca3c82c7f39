"""The gateway before everything: no known API key, no answer. Browsers from anywhere may ask."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from migctl.stack.standin.auth import Tokens

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Range, Content-Profile, Preference-Applied, Proxy-Status",
}


def middleware(tokens: Tokens) -> Middleware:
    """Checks the key of everything but /health, as header `apikey` or query `apikey`."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS":
            wanted = request.headers.get("Access-Control-Request-Headers", "*")
            return web.Response(
                status=200,
                headers={
                    **_CORS,
                    "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS",
                    "Access-Control-Allow-Headers": wanted,
                },
            )
        refusal = None if request.path == "/health" else _refusal(request, tokens)
        response = refusal or await handler(request)
        if not response.prepared:
            response.headers.update(_CORS)
        return response

    return check


def _refusal(request: web.Request, tokens: Tokens) -> web.Response | None:
    key = request.headers.get("apikey") or request.query.get("apikey")
    if not key:
        message = "No API key found in request"
        hint = "No `apikey` request header or url param was found."
    elif not tokens.is_api_key(key):
        message, hint = "Invalid API key", "Double check your Supabase `anon` or `service_role` API key."
    else:
        return None
    return web.json_response({"message": message, "hint": hint}, status=401)
