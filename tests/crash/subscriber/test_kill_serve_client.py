"""The subscriber in JavaScript, whose `serve` is killed after it has promised events that never reached it."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from migctl.config import Target
from migctl.faults import tcp_proxy
from migctl.stack.launcher import any_free_port
from tests.kit.conditions import until
from tests.kit.following import following
from tests.kit.relaying import Tables
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of


@pytest.mark.slow
async def test_serve_killed_before_its_socket_brought_them_is_bridged_through_the_tables_to_a_page(
    standin: Target, tmp_path: Path
) -> None:
    port = any_free_port()
    environment = environment_of(standin)
    options = ("--mode", "dual", "--listen", f"127.0.0.1:{port}")
    tables = Tables(standin.need("database_url"))

    async def in_the_table() -> bool:
        return any(table_head == 30 for _, table_head, _ in await tables.heads())

    with serving_process(tmp_path / "serve", *options, more=environment) as serve:
        async with tcp_proxy(port) as proxy, following(proxy.url) as followed:
            await serve.post(10)
            await followed.count(10)
            proxy.swallow_answers()
            await serve.post(20)
            await until(in_the_table)
            assert len(followed.releases) == 10
            serve.send(signal.SIGKILL)
            proxy.swallow_answers(False)
            await followed.count(30)
            assert {(one["transport"], one["via"]) for one in followed.releases[10:]} == {
                ("realtime", "table")
            }
            with serving_process(tmp_path / "serve", *options, more=environment) as again:
                await until(lambda: followed.attached == ["websocket"])
                await again.post(5)
                await followed.count(35)
                page = httpx.get(f"{again.url}/events?limit=100", trust_env=False).json()
    assert followed.releases[-1]["transport"] == "websocket"
    assert followed.seqs == list(range(1, 36))
    assert (followed.ids, followed.gaps) == ([one["id"] for one in page["events"]], [])
