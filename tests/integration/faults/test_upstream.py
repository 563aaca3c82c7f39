"""A service that is known by its name and wants TLS, behind the proxy: asked by its name, and verified."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from migctl.faults import Toxic, tcp_proxy
from migctl.faults.upstream import upstream_of
from tests.kit.tls import ANYWHERE, Authority, Terminator, behind_tls

NAME = socket.gethostname()  # resolves to this machine, and is no localhost
LARGE = b"x" * 300_000


@asynccontextmanager
async def service() -> AsyncIterator[int]:
    """Answers GET with much and closes, or echoes over a WebSocket."""

    def answer(_: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        return Response(200, "OK", Headers({"Content-Length": str(len(LARGE)), "Connection": "close"}), LARGE)

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, process_request=answer) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    found = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.file))
    return found


@pytest.fixture
async def behind(authority: Authority) -> AsyncIterator[Terminator]:
    async with service() as port:
        with behind_tls(NAME, authority.context_of(NAME), port) as found:
            yield found


async def test_requests_and_sockets_reach_it_by_its_name_and_over_tls(behind: Terminator) -> None:
    async with tcp_proxy(upstream_of(behind.url)) as proxy, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(proxy.url)).content == LARGE
        async with connect(f"ws://127.0.0.1:{proxy.port}/") as socket_:
            await socket_.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await socket_.recv() == "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert behind.names == {NAME}
    assert behind.hosts - {"a"} == {f"{NAME}:{behind.port}"}


async def test_what_a_server_sends_before_its_end_is_whole_over_a_slow_line(behind: Terminator) -> None:
    async with (
        tcp_proxy(upstream_of(behind.url), delay_s=0.05) as proxy,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        proxy.add(Toxic("bandwidth", {"rate": 3000}))
        assert (await http.get(proxy.url)).content == LARGE


async def test_a_client_that_goes_leaves_no_connection_behind(behind: Terminator) -> None:
    async with tcp_proxy(upstream_of(behind.url)) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        await writer.drain()
        async with asyncio.timeout(10):
            while proxy.counts.bytes_up == 0:
                await asyncio.sleep(0.01)
            writer.close()
            while proxy.counts.open:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["another.example", None])
async def test_one_that_is_not_who_it_should_be_is_not_talked_to(
    name: str | None, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger") if name is None else authority
    async with service() as port:
        with behind_tls(NAME, stranger.context_of(name or NAME), port) as found:
            async with tcp_proxy(upstream_of(found.url)) as proxy, httpx.AsyncClient(trust_env=False) as http:
                with pytest.raises(httpx.TransportError):
                    await http.get(proxy.url)
            assert found.hosts == set()


async def test_a_plain_service_elsewhere_is_asked_by_its_name_too() -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, ANYWHERE, 0)
    port = server.sockets[0].getsockname()[1]
    upstream = upstream_of(f"http://{NAME}:{port}/base")
    async with tcp_proxy(upstream) as proxy, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(proxy.url)).status_code == 204
    server.close()
    assert f"\r\nHost: {NAME}:{port}\r\n".encode() in heard[0]


@pytest.mark.parametrize("text", ["ftp://a", "https://", "https://u:p@a", "a", "-1"])
def test_what_is_no_address_of_a_service_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        upstream_of(text)


def test_a_port_alone_is_one_of_this_machine_and_is_asked_as_it_comes() -> None:
    found = upstream_of("54321")
    assert (found.address, found.host, found.tls) == (("127.0.0.1", 54321), None, None)
