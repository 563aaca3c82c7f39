"""An old service behind a proxy of the environment: the tap and the sockets that are passed through take the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migctl.transports.websocket import Upstream
from tests.kit.old_dashboard import dashboard
from tests.kit.old_service import front, old_service
from tests.kit.onward import onward
from tests.kit.served import serving, until
from tests.kit.tapping import tapping
from tests.kit.tls import Authority

FAR = "ws://old.example:9090/ws"


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ws_proxy", "wss_proxy", "socks_proxy", "https_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
async def test_a_proxy_of_each_scheme_leads_to_the_old_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority = Authority(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with old_service() as old:
        tls = authority.context_of("localhost") if scheme == "https" else None
        async with onward(int(old.url.split(":")[2].split("/")[0]), tls=tls) as proxy:
            monkeypatch.setenv("ws_proxy", f"{scheme}://localhost:{proxy.port}")
            async with (
                serving(tmp_path, front=front(FAR)) as served,
                tapping(served.journal, FAR, tmp_path),
                dashboard(served.ws_url) as board,
            ):
                await until(lambda: len(old.clients) == 2)
                await old.publish(json.dumps({"type": "cpu", "data": {"n": 0}}))
                await until(lambda: board.events == [0] and served.journal.head == 1)
        assert proxy.asked == ["old.example:9090"] * 2


@pytest.mark.parametrize("proxy", ["socks5h://127.0.0.1:9", "http://127.0.0.1:no", "gopher://127.0.0.1:9"])
async def test_a_proxy_that_is_away_or_none_is_an_old_service_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ws_proxy", proxy)
    of = front(Upstream(FAR))
    async with (
        serving(tmp_path, front=of) as served,
        tapping(served.journal, FAR, tmp_path, waits=False) as tap,
    ):
        await until(lambda: bool(tap.status().reason))
        async with dashboard(served.ws_url) as board:
            await until(lambda: board.code == 1012)
        assert of.upstream.reason
