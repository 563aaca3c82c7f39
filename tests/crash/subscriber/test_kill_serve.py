"""A subscriber on the WebSocket, whose `serve` is killed after it has promised events that never reached the subscriber."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import migctl
from migctl.config import Target
from migctl.faults import tcp_proxy
from migctl.stack.launcher import any_free_port
from tests.kit.conditions import until
from tests.kit.receiving import receiving
from tests.kit.relaying import Tables
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of


@pytest.mark.slow
async def test_serve_killed_before_its_socket_brought_them_is_bridged_through_the_tables(
    standin: Target, tmp_path: Path
) -> None:
    port = any_free_port()
    environment = environment_of(standin)
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{port}")
    tables = Tables(standin.need("database_url"))

    def in_the_tables(seq: int) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            return any(table_head == seq for _, table_head, _ in await tables.heads())

        return reached

    with serving_process(tmp_path / "serve", *options, more=environment) as serve:
        async with (
            tcp_proxy(port) as proxy,
            migctl.Subscriber(proxy.url, gone_s=0.5, hold_s=0.6, spread_s=0.1) as subscriber,
            receiving(subscriber) as received,
        ):
            head = 0
            for _ in range(5):
                await until(lambda: subscriber.attached == {"websocket"})
                await serve.post(10)
                await received.count(head := head + 10)
                proxy.swallow_answers()
                await serve.post(20)
                await until(in_the_tables(head + 20))
                if len(received.releases) == head:
                    break
                # That took so long that the subscriber left its silent link, and read them itself.
                proxy.swallow_answers(False)
                await received.count(head := head + 20)
            else:
                pytest.fail("never had the tables what its socket had not brought")
            serve.send(signal.SIGKILL)
            proxy.swallow_answers(False)
            await received.count(head + 20)
            assert {(release.transport, release.via) for release in received.releases[head:]} == {
                ("realtime", "table")
            }
            with serving_process(tmp_path / "serve", *options, more=environment) as again:
                await until(lambda: subscriber.attached == {"websocket"})
                await again.post(5)
                await received.count(head + 25)
    assert received.releases[-1].transport == "websocket"
    assert received.seqs == list(range(1, head + 26))
    assert (len(set(received.ids)), received.gaps) == (head + 25, [])
