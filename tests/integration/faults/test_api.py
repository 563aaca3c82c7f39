"""Toxiproxy's API over HTTP: its paths, status codes and bodies, and what they do to real connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from migctl.faults.addresses import Address
from migctl.faults.api import serving
from tests.integration.faults.test_tcp_proxy import Client, server

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Safari/537.36"


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(Address("127.0.0.1", 0)) as running,
        httpx.AsyncClient(base_url=running.url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    async with server() as (port, _):
        yield port


async def create(api: httpx.AsyncClient, upstream: int, **more: object) -> dict[str, Any]:
    answer = await api.post(
        "/proxies",
        json={"name": "line", "listen": "localhost:0", "upstream": f"localhost:{upstream}", **more},
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def port_of(proxy: dict[str, Any]) -> int:
    return int(proxy["listen"].rpartition(":")[2])


async def test_a_proxy_that_is_created_passes_on_and_is_listed(api: httpx.AsyncClient, upstream: int) -> None:
    assert (await api.get("/proxies")).json() == {}
    proxy = await create(api, upstream)
    assert list(proxy) == ["name", "listen", "upstream", "enabled", "toxics"]
    assert (proxy["name"], proxy["upstream"], proxy["enabled"]) == ("line", f"localhost:{upstream}", True)
    assert await (await Client.to(port_of(proxy))).ask(b"hello\n") == b"hello\n"
    listed = await api.get("/proxies")
    assert listed.headers["Content-Type"].startswith("application/json")
    assert (listed.status_code, listed.json()) == (200, {"line": proxy})
    assert (await api.get("/proxies/line")).json() == proxy


async def test_a_proxy_that_is_disabled_refuses_and_cuts_and_comes_back_on_its_port(
    api: httpx.AsyncClient, upstream: int
) -> None:
    proxy = await create(api, upstream)
    before = await Client.to(port_of(proxy))
    await before.ask(b"one\n")
    down = await api.patch("/proxies/line", json={"enabled": False})
    assert (down.status_code, down.json()) == (200, {**proxy, "enabled": False})
    with pytest.raises(ConnectionResetError):
        await before.ask(b"two\n")
    with pytest.raises(ConnectionRefusedError):
        await Client.to(port_of(proxy))
    assert (await api.post("/proxies/line", json={"enabled": True})).json() == proxy
    assert await (await Client.to(port_of(proxy))).ask(b"three\n") == b"three\n"


async def test_an_upstream_that_is_changed_is_where_the_next_connection_goes(
    api: httpx.AsyncClient, upstream: int
) -> None:
    proxy = await create(api, upstream)
    before = await Client.to(port_of(proxy))
    await before.ask(b"one\n")
    async with server() as (other, heard):
        moved = await api.post("/proxies/line", json={**proxy, "upstream": f"127.0.0.1:{other}"})
        assert moved.json() == {**proxy, "upstream": f"127.0.0.1:{other}"}
        with pytest.raises(ConnectionResetError):
            await before.ask(b"two\n")
        assert await (await Client.to(port_of(proxy))).ask(b"three\n") == b"three\n"
        assert heard == [b"three\n"]


async def test_a_proxy_that_listens_elsewhere_is_no_longer_where_it_was(
    api: httpx.AsyncClient, upstream: int
) -> None:
    proxy = await create(api, upstream)
    moved = (await api.patch("/proxies/line", json={"listen": "127.0.0.1:0"})).json()
    assert moved["listen"] != proxy["listen"]
    with pytest.raises(ConnectionRefusedError):
        await Client.to(port_of(proxy))
    assert await (await Client.to(port_of(moved))).ask(b"hello\n") == b"hello\n"


async def test_a_toxic_is_added_changed_shown_and_removed(api: httpx.AsyncClient, upstream: int) -> None:
    client = await Client.to(port_of(await create(api, upstream)))
    added = await api.post("/proxies/line/toxics", json={"type": "latency", "attributes": {"latency": 150}})
    latency = {
        "attributes": {"latency": 150, "jitter": 0}, "name": "latency_downstream", "type": "latency",
        "stream": "downstream", "toxicity": 1.0,
    }  # fmt: skip
    assert (added.status_code, added.json()) == (200, latency)
    began = time.monotonic()
    await client.ask(b"slow\n")
    assert time.monotonic() - began >= 0.15
    path = "/proxies/line/toxics/latency_downstream"
    quick = {**latency, "attributes": {"latency": 0, "jitter": 0}, "toxicity": 0.5}
    changed = await api.patch(path, json={"attributes": {"latency": 0}, "toxicity": 0.5})
    assert (changed.status_code, changed.json()) == (200, quick)
    assert (await api.post(path, json={"attributes": {}})).json() == quick
    assert (await api.get(path)).json() == quick
    assert (await api.get("/proxies/line/toxics")).json() == [quick]
    assert (await api.get("/proxies/line")).json()["toxics"] == [quick]
    removed = await api.delete(path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await api.get("/proxies/line/toxics")).json() == []


async def test_a_proxy_that_is_created_with_its_toxics_lets_nobody_escape_them(
    api: httpx.AsyncClient, upstream: int
) -> None:
    toxic = {"type": "limit_data", "attributes": {"bytes": 2}}
    proxy = await create(api, upstream, toxics=[toxic])
    assert [one["name"] for one in proxy["toxics"]] == ["limit_data_downstream"]
    assert await (await Client.to(port_of(proxy))).ask(b"hello\n") == b"he"


async def test_a_reset_takes_toxics_away_and_lets_all_in(api: httpx.AsyncClient, upstream: int) -> None:
    proxy = await create(api, upstream, enabled=False, toxics=[{"type": "timeout"}])
    assert proxy["enabled"] is False
    reset = await api.post("/reset")
    assert (reset.status_code, reset.content) == (204, b"")
    proxy = (await api.get("/proxies/line")).json()
    assert (proxy["enabled"], proxy["toxics"]) == (True, [])
    assert await (await Client.to(port_of(proxy))).ask(b"hello\n") == b"hello\n"


async def test_a_list_of_proxies_is_created_and_answered_in_its_order(
    api: httpx.AsyncClient, upstream: int
) -> None:
    wanted = [{"name": name, "upstream": f"127.0.0.1:{upstream}", "listen": ""} for name in ("b", "a")]
    answer = await api.post("/populate", json=wanted)
    assert (answer.status_code, list(answer.json())) == (201, ["proxies"])
    assert [(one["name"], one["enabled"]) for one in answer.json()["proxies"]] == [("b", True), ("a", True)]
    again = await api.post("/populate", json=answer.json()["proxies"])
    assert again.json() == answer.json()
    refused = await api.post("/populate", json=[*wanted, {"name": "c"}])
    assert (refused.status_code, refused.json()) == (
        400, {"proxies": [], "error": "missing required field: upstream at proxy 3", "status": 400},
    )  # fmt: skip


@pytest.mark.parametrize("how", ["removed", "drawn for nobody", "reset"])
@pytest.mark.parametrize("kind", ["timeout", "reset_peer"])
async def test_a_connection_that_lost_bytes_is_closed_when_the_toxic_goes_and_one_that_did_not_goes_on(
    api: httpx.AsyncClient, upstream: int, kind: str, how: str
) -> None:
    port = port_of(await create(api, upstream))
    lost, quiet = await Client.to(port), await Client.to(port)
    for client in (lost, quiet):
        await client.ask(b"open\n")
    timeout = 0 if kind == "timeout" else 3_600_000
    await api.post("/proxies/line/toxics", json={"type": kind, "attributes": {"timeout": timeout}})
    asking = asyncio.ensure_future(lost.ask(b"lost\n"))
    await asyncio.wait([asking], timeout=0.2)
    assert not asking.done()
    path = f"/proxies/line/toxics/{kind}_downstream"
    if how == "removed":
        await api.delete(path)
    elif how == "reset":
        await api.post("/reset")
    else:
        await api.patch(path, json={"toxicity": 0})
    assert await asking == b""
    assert await quiet.ask(b"still here\n") == b"still here\n"
    assert await (await Client.to(port)).ask(b"new\n") == b"new\n"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/proxies", "{", 400, "bad request body: "),
        ("POST", "/proxies", "{}", 400, "missing required field: name"),
        ("POST", "/proxies", '{"name": "line", "upstream": "127.0.0.1:9"}', 409, "proxy already exists"),
        ("POST", "/proxies", '{"name": "far", "upstream": "192.0.2.1:9"}', 400, "bad request body: upstream: "),
        ("GET", "/proxies/other", "", 404, "proxy not found"),
        ("POST", "/proxies/other", "{", 404, "proxy not found"),
        ("PATCH", "/proxies/line", '{"enabled": 1}', 400, "bad request body: "),
        ("DELETE", "/proxies/other", "", 404, "proxy not found"),
        ("GET", "/proxies/other/toxics", "", 404, "proxy not found"),
        ("POST", "/proxies/other/toxics", "{", 404, "proxy not found"),
        ("POST", "/proxies/line/toxics", '{"type": "gremlin"}', 400, "invalid toxic type"),
        ("POST", "/proxies/line/toxics", '{"type": "timeout"}', 409, "toxic already exists"),
        ("GET", "/proxies/line/toxics/other", "", 404, "toxic not found"),
        ("PATCH", "/proxies/line/toxics/other", "{", 404, "toxic not found"),
        ("PATCH", "/proxies/line/toxics/timeout_downstream", '{"toxicity": 2}', 400, "bad request body: toxicity"),
        ("DELETE", "/proxies/line/toxics/other", "", 404, "toxic not found"),
        ("POST", "/populate", "{}", 400, "bad request body: "),
        ("GET", "/nowhere", "", 404, "not found"),
        ("PUT", "/proxies", "", 405, "method not allowed"),
    ],
)  # fmt: skip
async def test_what_is_refused_has_the_status_twice_and_the_reason_and_changes_nothing(
    api: httpx.AsyncClient, upstream: int, method: str, path: str, body: str, status: int, error: str
) -> None:
    await create(api, upstream, toxics=[{"type": "timeout"}])
    before = (await api.get("/proxies")).json()
    answer = await api.request(method, path, content=body)
    assert answer.status_code == status
    assert list(answer.json()) == (
        ["proxies", "error", "status"] if path == "/populate" else ["error", "status"]
    )
    assert answer.json()["status"] == status
    assert answer.json()["error"].startswith(error)
    assert (await api.get("/proxies")).json() == before


async def test_a_page_in_a_browser_arms_nothing(api: httpx.AsyncClient, upstream: int) -> None:
    await create(api, upstream)
    answer = await api.delete("/proxies/line", headers={"User-Agent": BROWSER})
    assert (answer.status_code, answer.text) == (403, "User agent not allowed\n")
    assert list((await api.get("/proxies")).json()) == ["line"]


async def test_the_version_is_that_of_the_api_and_of_ours(api: httpx.AsyncClient) -> None:
    assert (await api.get("/version")).json()["version"].startswith("2.12.0+migctl.")


async def test_a_name_may_be_any_text(api: httpx.AsyncClient, upstream: int) -> None:
    name = "a b/c?\u00e4"
    await create(api, upstream, name=name)
    assert list((await api.get("/proxies")).json()) == [name]
    assert (await api.delete("/proxies/a%20b%2Fc%3F%C3%A4")).status_code == 204


async def test_of_two_that_create_at_once_one_wins(api: httpx.AsyncClient, upstream: int) -> None:
    body = {"name": "line", "upstream": f"127.0.0.1:{upstream}"}
    answers = await asyncio.gather(*(api.post("/proxies", json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
