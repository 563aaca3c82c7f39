"""How this server answers: JSON, and every refusal as `{"errors":[{"index","id","field","code","reason"}]}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from migctl.events.jsontext import dumps
from migctl.ingest.http import ItemError
from migctl.redaction import redacted


def answer(
    status: int, body: Any, headers: dict[str, str] | None = None, *, as_is: bool = False
) -> web.Response:
    """A JSON answer that nobody caches. What is a secret is hidden in it, unless it is what was asked for (as_is)."""
    return web.Response(
        status=status,
        body=dumps(body if as_is else redacted(msgspec.to_builtins(body))) + b"\n",
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def errors(status: int, items: Sequence[ItemError], headers: dict[str, str] | None = None) -> web.Response:
    """A refusal with everything that is wrong."""
    return answer(status, {"errors": list(items)}, headers)


def refusal(
    status: int, code: str, reason: str, *, field: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """A refusal of the request as a whole."""
    return errors(status, [ItemError(None, None, field, code, reason)], headers)
