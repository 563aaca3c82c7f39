"""The gateway before everything: no known API key, no answer. Browsers from anywhere may ask.

What becomes of a key, by the headers `apikey` (or the query's) and `Authorization`; behind the gateway only JWTs are known:

| apikey | Authorization | counts |
|---|---|---|
| none, or one that this project does not have | any | nothing: 401 |
| `sb_secret_...`, from a browser | any | nothing: 401 |
| `sb_...` | none, or the same | a token for the role of the key |
| `sb_...` | another | what it says; another `sb_...` is no JWT, and refused as such |
| a JWT for anon or service_role | none | the key |
| a JWT for anon or service_role | any | what it says |

Realtime's sockets go by the key alone.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from migctl.stack.standin.auth import Tokens, bearer
from migctl.stack.standin.keyring import PREFIX, SECRET

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Range, Content-Profile, Preference-Applied, Proxy-Status",
}
_OPEN = ("/health", "/auth/v1/.well-known/jwks.json")
_ADMITTED = "migctl.admitted"


class Admitted(NamedTuple):
    """key: the JWT that the API key is, or stands for. token: the JWT that counts for this request. authorized: it has one."""

    key: str
    token: str
    authorized: bool


class Refused(NamedTuple):
    message: str
    hint: str


def admitted(request: web.Request) -> Admitted:
    """What the gateway found out about this request."""
    found = request[_ADMITTED]
    assert isinstance(found, Admitted)
    return found


def middleware(tokens: Tokens) -> Middleware:
    """Checks the key of everything but what is open to all, as header `apikey` or query `apikey`."""

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
        response = (None if request.path in _OPEN else _admit(request, tokens)) or await handler(request)
        if not response.prepared:
            response.headers.update(_CORS)
        return response

    return check


def _admit(request: web.Request, tokens: Tokens) -> web.Response | None:
    found = admit(
        tokens,
        request.headers.get("apikey") or request.query.get("apikey"),
        request.headers.get("Authorization"),
        request.headers.get("User-Agent", ""),
        time.time(),
    )
    if isinstance(found, Refused):
        return web.json_response(found._asdict(), status=401)
    request[_ADMITTED] = found
    return None


def admit(
    tokens: Tokens, key: str | None, authorization: str | None, user_agent: str, now: float
) -> Admitted | Refused:
    """The table above. now: seconds since 1970."""
    if not key:
        return Refused("No API key found in request", "No `apikey` request header or url param was found.")
    named = bearer(authorization)
    if not key.startswith(PREFIX):
        if not tokens.is_api_key(key):
            return Refused("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
        return Admitted(key, named or key, bool(named))
    token = tokens.for_key(key, now)
    if token is None:
        return Refused(
            "Unregistered API key",
            "Double check the provided API key as it is not registered for this project.",
        )
    if key.startswith(SECRET) and "mozilla/" in user_agent.lower():
        return Refused(
            "Forbidden use of secret API key in browser",
            "Secret API keys can only be used in a protected environment and should never be used in a browser. "
            "Delete this secret API key immediately.",
        )
    return Admitted(token, named if named and named != key else token, True)
