from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.server.access.forwarded import UNKNOWN, client_of

TRUSTED = (ip_network("127.0.0.1/32"), ip_network("10.9.0.0/16"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["10.1.1.1, 203.0.113.7"], "203.0.113.7"),  # the client wrote the first itself
        ("127.0.0.1", ["127.0.0.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["10.1.1.1", "203.0.113.7, 10.9.0.3"], "203.0.113.7"),
        ("127.0.0.1", ["10.9.0.2, 10.9.0.3"], "10.9.0.2"),
        ("127.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:db8::1]:51234"], "2001:db8::1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["10.1.1.1, unknown"], UNKNOWN),
        ("127.0.0.1", ["10.1.1.1,"], UNKNOWN),
        ("127.0.0.1", ["_hidden"], UNKNOWN),
        ("203.0.113.7", ["10.1.1.1"], "203.0.113.7"),  # no proxy of ours
        ("127.0.0.2", ["10.1.1.1"], "127.0.0.2"),
        ("unknown", ["10.1.1.1"], "unknown"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


@given(st.lists(st.text(max_size=40), max_size=5), st.ip_addresses(v=4))
def test_nothing_that_a_client_writes_changes_who_it_is(written: list[str], client: object) -> None:
    if any(client in network for network in TRUSTED):  # type: ignore[operator]
        return
    assert client_of("127.0.0.1", [*written, str(client)], TRUSTED) == str(client)
    assert client_of(str(client), written, TRUSTED) == str(client)
    assert client_of("10.9.1.1", written, ()) == "10.9.1.1"
