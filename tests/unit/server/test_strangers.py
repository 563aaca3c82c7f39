"""How often an address may bring a wrong token, with a clock that is passed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.server.access.strangers import Strangers, address_of


def test_so_many_are_let_be_in_a_window_and_the_next_waits_for_its_end() -> None:
    strangers = Strangers(3, 60)
    assert [strangers.again("10.0.0.1", now) for now in (0, 10, 20)] == [0, 0, 0]
    assert strangers.again("10.0.0.1", 20) == 40
    assert strangers.again("10.0.0.1", 59.5) == 0.5
    assert strangers.again("10.0.0.2", 59.5) == 0, "another address is another's"
    assert strangers.limited(59.9) == 1
    assert strangers.again("10.0.0.1", 60) == 0, "what was refused did not make it longer"
    assert strangers.limited(60) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("unknown", "unknown", True),
        ("unknown", "", False),
    ],
)
def test_of_ipv6_a_64_is_one_address(one: str, other: str, same: bool) -> None:
    assert (address_of(one) == address_of(other)) is same


def test_addresses_for_which_there_is_no_room_are_counted_as_one() -> None:
    strangers = Strangers(2, 60, addresses=3)
    for number in range(3):
        assert strangers.again(f"10.0.0.{number}", 0) == 0
    assert [strangers.again(f"10.0.1.{number}", 1) > 0 for number in range(4)] == [False, False, True, True]
    assert strangers.again("10.0.0.1", 1) == 0, "who has a place keeps it"
    assert len(strangers) == 4
    assert strangers.again("10.0.1.9", 60.5) == 0, "there is room again"
    assert len(strangers) == 2


def test_a_change_counts_from_then_on() -> None:
    strangers = Strangers(1, 60)
    strangers.again("a", 0)
    assert strangers.again("a", 1) == 59
    strangers.follow(2, 10)
    assert [strangers.again("a", 2), strangers.again("a", 2)] == [0, 8]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20)), max_size=200))
def test_no_address_has_more_than_its_share_in_any_window_and_the_memory_is_bounded(
    came: list[tuple[int, float]],
) -> None:
    strangers, now, let_be = Strangers(3, 60, addresses=5), 0.0, list[tuple[float, str]]()
    for number, later in came:
        now += later
        peer = f"2001:db8:0:{number:x}::{number}"
        if not strangers.again(peer, now):
            let_be.append((now, peer))
        assert len(strangers) <= 6
        assert sum(at > now - 60 for at, _ in let_be) <= 2 * 3 * 6, (
            "of all together, over two windows at most"
        )
        assert sum(at > now - 60 and one == peer for at, one in let_be) <= 2 * 3 + 3
