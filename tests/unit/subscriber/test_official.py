"""What we changed of the official client stands on what upstream is. If one of these fails after an upgrade, read official.py."""

from __future__ import annotations

import hashlib
import inspect

from realtime import AsyncRealtimeClient

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
