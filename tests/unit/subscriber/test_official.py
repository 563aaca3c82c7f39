"""What we changed of the official client stands on what upstream is. If one of these fails after an upgrade, read official.py."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import subprocess
import sys

import pytest
from realtime import AsyncRealtimeClient

from migctl.errors import Transient
from migctl.subscriber.realtime.official import UPSTREAM_LOGGERS, Link

# Of upstream's `connect`, which `_Client.connect` replaces. Changed? See whether max_size can be given now, and whether our
# replacement still does what upstream does around the socket; then put the new hash here.
CONNECT_SHA256 = "ff321a51ffea739cc2180e4ab2b12fcaf831b83369d583c263d3a9cc261c749e"


def test_the_connect_that_we_replace_is_the_one_that_we_read() -> None:
    source = inspect.getsource(AsyncRealtimeClient.connect)
    assert hashlib.sha256(source.encode()).hexdigest() == CONNECT_SHA256


def test_upstream_still_leaves_the_frame_size_at_one_mebibyte() -> None:
    assert "max_size" not in inspect.getsource(AsyncRealtimeClient)


def test_what_we_use_beside_the_public_interface_is_there() -> None:
    client = AsyncRealtimeClient("ws://127.0.0.1:1/realtime/v1", token="k", auto_reconnect=False)
    for name in ("_ws_connection", "_listen_task", "_on_connect"):
        assert hasattr(client, name)
    channel = client.channel("t")
    assert hasattr(channel.rejoin_timer, "reset")
    assert hasattr(channel.join_push, "destroy")


def test_loggers_that_we_keep_quiet_are_all_that_upstream_has() -> None:
    """In a process of its own: whoever imports more of upstream makes more loggers."""
    code = (
        "import logging, realtime;"
        "print(*sorted(n for n, l in logging.root.manager.loggerDict.items()"
        " if n.startswith('realtime.') and isinstance(l, logging.Logger)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == sorted(UPSTREAM_LOGGERS)


def test_importing_the_subscriber_touches_nobodys_logger() -> None:
    code = """
import logging, realtime, httpx, websockets
def state():
    named = {n: l for n, l in logging.root.manager.loggerDict.items() if isinstance(l, logging.Logger)}
    theirs = {n: l for n, l in named.items() if not n.startswith("migctl")} | {"root": logging.root}
    return {n: (l.level, l.handlers[:], l.filters[:], l.propagate, l.disabled) for n, l in theirs.items()}
before = state()
from migctl import Subscriber
import migctl.subscriber.realtime.subscriber, migctl.subscriber.gateway.subscriber
after = state()
assert {n: after[n] for n in before} == before
fresh = {n: (0, [], [], True, False) for n in after.keys() - before.keys()}
assert {n: s for n, s in after.items() if n in fresh and s != fresh[n] and not any(
    type(h) is logging.NullHandler for h in s[1])} == {}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_upstream_is_quiet_where_a_link_of_ours_runs_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("realtime._async.client")

    async def ours() -> None:
        link = Link("http://127.0.0.1:1", "k", "t")
        with pytest.raises(Transient):
            await link.join("token")
        log.error("of our client")
        await link.close()

    await asyncio.create_task(ours())
    log.error("of the application's client")
    assert "of the application's client" in caplog.text
    assert "of our client" not in caplog.text
