"""What no table could hold, and what a table that was changed does not."""

from __future__ import annotations

import pytest

from migctl.delivery.own_fault import is_own_fault

PLAIN = b'{"a":1,"b":"x"}'


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("22P05", rb'{"a":"\u0000"}'),
        ("22P05", PLAIN),
        ("22P02", rb'{"a":"\ud800"}'),
        ("22P02", rb'{"a":[{"\udfff x":1}]}'),
        ("22003", b'{"a":1e400000}'),
        ("22003", b'{"a":-1.5E-20000}'),
        ("22003", b'{"a":0.%b}' % (b"1" * 17_000)),
        ("22003", b'{"a":%b}' % (b"1" * 140_000)),
    ],
)
def test_what_no_table_could_hold_is_the_events_own_fault(code: str, data: bytes) -> None:
    assert is_own_fault(code, data)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("22P02", PLAIN),
        ("22P02", rb'{"a":"\ud83d\ude00"}'),
        ("22P02", rb'{"a":"\\ud800"}'),
        ("22003", PLAIN),
        ("22003", b'{"a":1e300}'),
        ("22003", b'{"a":12345678901234567890}'),
        ("22001", PLAIN),
        ("23514", rb'{"a":"\u0000"}'),
        ("413", PLAIN),
        ("", rb'{"a":"\u0000"}'),
    ],
)
def test_what_may_be_the_tables_is_not(code: str, data: bytes) -> None:
    assert not is_own_fault(code, data)
