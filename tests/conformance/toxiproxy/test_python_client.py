"""The Python client of Toxiproxy (toxiproxy-python), unmodified, against `migctl drill proxy`."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from tests.kit.proxying import echoing, proxying

DEADLINE_S = 30.0


@pytest.fixture
def toxiproxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with proxying(tmp_path) as running:
        client = Toxiproxy()
        client.update_api_consumer("127.0.0.1", int(running.url.rpartition(":")[2]))
        yield client


@pytest.fixture
def upstream() -> Iterator[str]:
    with echoing() as port:
        yield f"127.0.0.1:{port}"


def connect(proxy: Any) -> socket.socket:
    host, _, port = proxy.listen.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE_S)


def ask(connection: socket.socket, line: bytes) -> bytes:
    connection.sendall(line)
    return connection.makefile("rb").readline()


def test_a_proxy_is_created_found_taken_down_and_destroyed(toxiproxy: Any, upstream: str) -> None:
    assert toxiproxy.running()
    assert b'"version"' in toxiproxy.version()
    proxy = toxiproxy.create(name="line", upstream=upstream)
    assert toxiproxy.get_proxy("line").listen == proxy.listen
    with connect(proxy) as connection:
        assert ask(connection, b"hello\n") == b"hello\n"
        with proxy.down():
            assert toxiproxy.get_proxy("line").enabled is False
            with pytest.raises(ConnectionResetError):
                ask(connection, b"cut\n")
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
    with connect(proxy) as connection:
        assert ask(connection, b"back\n") == b"back\n"
    assert toxiproxy.destroy(proxy)
    assert toxiproxy.proxies() == {}


def test_a_toxic_acts_is_listed_and_ends(toxiproxy: Any, upstream: str) -> None:
    proxy = toxiproxy.create(name="line", upstream=upstream)
    with connect(proxy) as connection:
        ask(connection, b"open\n")
        proxy.add_toxic(type="latency", attributes={"latency": 200, "jitter": 0})
        began = time.monotonic()
        ask(connection, b"slow\n")
        assert time.monotonic() - began >= 0.2
        toxic = proxy.get_toxic("latency_downstream")
        assert (toxic.type, toxic.stream, toxic.toxicity) == ("latency", "downstream", 1.0)
        assert toxic.attributes == {"latency": 200, "jitter": 0}
        assert proxy.destroy_toxic("latency_downstream")
        assert proxy.toxics() == {}
        began = time.monotonic()
        ask(connection, b"quick\n")
        assert time.monotonic() - began < 0.2


def test_each_type_is_taken_and_a_reset_ends_them_all(toxiproxy: Any, upstream: str) -> None:
    proxy = toxiproxy.create(name="line", upstream=upstream, enabled=False)
    for kind, attributes in {
        "latency": {"latency": 1000, "jitter": 100},
        "bandwidth": {"rate": 1},
        "slow_close": {"delay": 1000},
        "timeout": {"timeout": 1000},
        "reset_peer": {"timeout": 1000},
        "slicer": {"average_size": 10, "size_variation": 5, "delay": 10},
        "limit_data": {"bytes": 1},
    }.items():
        proxy.add_toxic(type=kind, stream="upstream", attributes=attributes, toxicity=0.5)
        assert proxy.get_toxic(f"{kind}_upstream").attributes == attributes
    assert toxiproxy.reset()
    assert (toxiproxy.get_proxy("line").enabled, proxy.toxics()) == (True, {})
    with connect(proxy) as connection:
        assert ask(connection, b"hello\n") == b"hello\n"


def test_what_is_refused_is_the_error_that_the_client_has_for_it(toxiproxy: Any, upstream: str) -> None:
    proxy = toxiproxy.create(name="line", upstream=upstream)
    proxy.add_toxic(type="timeout")
    with pytest.raises(ProxyExists, match="toxic already exists"):
        proxy.add_toxic(type="timeout")
    with pytest.raises(InvalidToxic, match="invalid toxic type"):
        proxy.add_toxic(type="gremlin")
    with pytest.raises(InvalidToxic, match="latency has no attribute"):
        proxy.add_toxic(type="latency", attributes={"delay": 5})
    with pytest.raises(NotFound, match="toxic not found"):
        proxy.destroy_toxic("other")
    toxiproxy.destroy(proxy)
    with pytest.raises(NotFound, match="proxy not found"):
        proxy.toxics()


def test_a_list_of_proxies_is_populated_and_only_what_differs_is_made_anew(
    toxiproxy: Any, upstream: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    wanted = [{"name": "line", "upstream": upstream, "listen": listen}]
    (proxy,) = toxiproxy.populate(wanted)
    proxy.add_toxic(type="timeout")
    assert toxiproxy.populate(wanted) == []
    assert list(proxy.toxics()) == ["timeout_downstream"]
    (moved,) = toxiproxy.populate([{**wanted[0], "listen": "127.0.0.1:0"}])
    assert (moved.listen != listen, moved.toxics()) == (True, {})
