"""Addresses as people write them."""

from __future__ import annotations

import pytest

from migctl.config.address import base_url, is_local, is_loopback, socket_url
from migctl.errors import Usage


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://h:8080", "http://h:8080"),
        ("ws://h:8080/ws", "http://h:8080"),
        ("wss://h/live/ws/", "https://h/live"),
        ("https://h/live/", "https://h/live"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("h:8080", "http://h:8080"),
        ("127.0.0.1:8080/ws", "http://127.0.0.1:8080"),
        ("[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_server_is_meant_by_the_address_of_its_socket_too(written: str, meant: str) -> None:
    assert base_url(written) == meant


@pytest.mark.parametrize(
    "written",
    ["h", "h:port", "h:", "me@h:80", "ftp://h", "http://", "http://h:port", "http://h:0", "http://[::1"],
)
def test_what_is_no_address_of_a_server_is_refused(written: str) -> None:
    with pytest.raises(Usage, match="no address of a server"):
        base_url(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://h:8080", "ws://h:8080/ws"),
        ("http://h:8080/ws", "ws://h:8080/ws"),
        ("ws://h:8080", "ws://h:8080/ws"),
        ("ws://h:8080/ws", "ws://h:8080/ws"),
        ("https://h/live", "wss://h/live/ws"),
        ("wss://h/live", "wss://h/live"),
        ("ws://h:1/ws?client=x", "ws://h:1/ws?client=x"),
    ],
)
def test_a_socket_is_meant_by_the_address_of_its_server_too(written: str, meant: str) -> None:
    assert socket_url(written) == meant


def test_a_password_in_an_address_that_is_refused_is_not_quoted() -> None:
    with pytest.raises(Usage) as refused:
        base_url("ftp://user:hunter2@host")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_is_known_by_its_numbers_and_its_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "localhost.example", "db"]
)
def test_what_could_be_elsewhere_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_an_address_is_local_by_its_host_alone() -> None:
    assert is_local("http://127.0.0.1:54321/rest/v1")
    assert not is_local("http://example/127.0.0.1")
