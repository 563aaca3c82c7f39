"""`serve` as the front of an old service: its dashboards are passed through, and a tap feeds the journal beside them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from websockets.asyncio.client import connect

from tests.kit.old_service import FLAT, WRAPPED, old_service
from tests.kit.serve_process import run, serving_process
from tests.kit.served import until

SETTINGS = """
legacy:
  upstream: {url}
source:
  map: {{event_type: .type, timestamp: .timestamp, data: [.data, .]}}
  ignore: [initial_stats, stats]
  unread_times: arrival
"""


async def test_what_the_old_service_sends_reaches_its_dashboard_and_the_journal(tmp_path: Path) -> None:
    async with old_service() as old:
        (tmp_path / "migctl.yaml").write_text(SETTINGS.format(url=old.url))
        # It starts while our loop stands still: the old service answers its tap a moment later.
        with serving_process(tmp_path, "--mode", "websocket") as serve:
            async with connect(serve.ws_url) as dashboard, connect(serve.ws_url + "?v=2") as ours:
                assert json.loads(await dashboard.recv())["type"] == "initial_stats"
                await until(lambda: len(old.clients) == 2)  # the dashboard and the tap
                await ours.recv()
                await ours.recv()
                for frame in (FLAT, WRAPPED):
                    await old.publish(frame)
                    assert await dashboard.recv() == frame
                first, second = [await ours.recv() for _ in range(2)]
                assert f'"data":{FLAT}' in str(first)
                assert '"data":{"active": 3, "big": 12345678901234567890, "e": 1.50}' in str(second)
                status = await asyncio.to_thread(run, tmp_path, "status")
                assert status.returncode == 0, status.stdout + status.stderr
                assert "1 piped" in status.stdout
                assert "tap ws://127.0.0.1" in status.stdout


def test_upstream_that_is_our_own_listener_is_refused(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text("legacy: {upstream: ws://localhost:18999/ws}\n")
    refused = run(tmp_path, "serve", "--mode", "websocket", "--listen", "127.0.0.1:18999")
    assert refused.returncode == 2
    assert "is where this serve listens itself" in refused.stderr
