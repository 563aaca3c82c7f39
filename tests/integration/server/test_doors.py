"""The doors of a `serve` with tokens, tried from where a proxy on the same host makes everybody look local."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from migctl.faults import tcp_proxy
from migctl.server.access.tokens import mint_token
from tests.kit.serve_process import serving_process

SECRET = "migctl_subscribe_not-for-logs"


async def test_stranger_behind_a_proxy_on_this_host_gets_no_stream_of_the_old_protocol(
    tmp_path: Path,
) -> None:
    _, token = mint_token("ingest", "producer")
    with serving_process(tmp_path, "--mode", "websocket", more={"MIGCTL_TOKENS": token.entry}) as serve:
        port = int(serve.url.rpartition(":")[2])
        # As a proxy does that hands on what it serves as if it were its own: the Host is a name of loopback.
        async with (
            asyncio.timeout(20),
            tcp_proxy(port) as proxy,
            connect(f"ws://127.0.0.1:{proxy.port}/ws") as ws,
        ):
            with pytest.raises(ConnectionClosed) as gone:
                await ws.recv()
        assert gone.value.rcvd is not None
        assert gone.value.rcvd.code == 4401
        assert "legacy.open or legacy.networks" in gone.value.rcvd.reason


@pytest.mark.parametrize("tokens", [False, True])
async def test_dashboard_on_loopback_is_served_without_tokens_and_by_name_with_them(
    tmp_path: Path, tokens: bool
) -> None:
    _, token = mint_token("ingest", "producer")
    if tokens:
        (tmp_path / "migctl.yaml").write_text("legacy: {networks: [127.0.0.0/8]}\n")
    more = {"MIGCTL_TOKENS": token.entry} if tokens else {}
    with serving_process(tmp_path, "--mode", "websocket", more=more) as serve:
        async with asyncio.timeout(20), connect(serve.ws_url) as ws:
            await (await ws.ping())


@pytest.mark.parametrize(
    "header",
    [
        b"Authorization: Bearer %b\x01",
        b"Authorization: Bearer %b\r",
        b"Authorization: Bearer\r\n %b",
        b"Authorization Bearer %b",
        b"Authorization: Bearer " + 1000 * b"%b ",
        b"Authorization: Bearer \xff%b",
        b"Authorization: %b",
    ],
)
async def test_token_in_a_header_that_is_none_stands_in_no_log(tmp_path: Path, header: bytes) -> None:
    _, token = mint_token("ingest", "producer")
    more = {"MIGCTL_TOKENS": token.entry}
    with serving_process(tmp_path, "--mode", "websocket", "--log-level", "debug", more=more) as serve:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(serve.url.rpartition(":")[2]))
            secret = header.replace(b"%b", SECRET.encode())
            writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n\r\n" % secret)
            line = await reader.readline()
            writer.close()
        assert line.split()[1] in (b"400", b"401"), line
        logged = await asyncio.to_thread(serve.stop)
    assert '"event": "stopped"' in logged
    assert SECRET not in logged
