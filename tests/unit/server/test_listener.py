"""The listener and what stands before a route: where it may listen, and which pages may read its answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from migctl.errors import Transient, Usage
from migctl.server.access.cors import cors
from migctl.server.listener import Listener, listening

PAGE = "https://dash.example"


async def answer(_: web.Request) -> web.StreamResponse:
    return web.json_response({})


@asynccontextmanager
async def served() -> AsyncIterator[httpx.AsyncClient]:
    app = web.Application(middlewares=[cors([PAGE])])
    app.router.add_get("/", answer)
    async with (
        listening(app, "127.0.0.1", 0, shutdown_s=0.1) as where,
        httpx.AsyncClient(base_url=where.url, trust_env=False) as http,
    ):
        yield http


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")])
def test_address_is_written_as_clients_need_it(host: str, url: str) -> None:
    listener = Listener(host, 80)
    assert (listener.url, listener.ws_url) == (url, url.replace("http", "ws") + "/ws")


async def test_port_that_is_taken_is_transient_and_an_address_of_elsewhere_usage() -> None:
    async with served() as http:
        with pytest.raises(Transient, match="is taken by another program"):
            async with listening(web.Application(), "127.0.0.1", http.base_url.port or 0):
                pass
    with pytest.raises(Usage, match=r"can't listen on 203\.0\.113\.1"):
        async with listening(web.Application(), "203.0.113.1", 8080):
            pass


async def test_listener_leaves_the_loggers_of_others_alone() -> None:
    before = [logging.getLogger("aiohttp.server").handlers[:], logging.root.handlers[:]]
    async with served() as http:
        assert (await http.get("/")).status_code == 200
        assert [logging.getLogger("aiohttp.server").handlers, logging.root.handlers] == before


@pytest.mark.parametrize(("origin", "told"), [(PAGE, True), ("https://evil.example", False), (None, False)])
async def test_named_page_alone_may_read_an_answer_and_ask_beforehand(origin: str | None, told: bool) -> None:
    headers = {"Origin": origin} if origin else {}
    async with served() as http:
        answered = await http.get("/", headers=headers)
        asked = await http.options("/", headers={**headers, "Access-Control-Request-Method": "GET"})
    assert answered.headers.get("Access-Control-Allow-Origin") == (PAGE if told else None)
    assert asked.status_code == (204 if told else 405)
