"""Sizes, as people read them."""

from __future__ import annotations

from migctl.events.sizes import size


def test_a_size_is_in_the_unit_that_keeps_it_short() -> None:
    written = {
        0: "0 bytes",
        1: "1 byte",
        1023: "1023 bytes",
        1024: "1.0 KiB",
        12_595: "12.3 KiB",
        (1 << 20) - 1: "1.0 MiB",
        5 << 20: "5.0 MiB",
        10 << 30: "10.0 GiB",
        3 << 50: "3,072.0 TiB",
    }
    assert {count: size(count) for count in written} == written
