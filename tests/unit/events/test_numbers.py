"""Numbers are what they are, however they are spelled and however large."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.events.numbers import Vast, loads_exact


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_each_of_its_digits(number: Decimal) -> None:
    assert loads_exact(f"{number:e}".encode()) == number


@given(
    st.integers(1, 10**30),
    st.integers(-(10**25), 10**25),
    st.integers(0, 40),
    st.booleans(),
)
def test_two_spellings_of_one_number_are_equal_and_ten_times_it_is_not(
    digits: int, exponent: int, shift: int, negative: bool
) -> None:
    sign = "-" if negative else ""
    one = loads_exact(f"{sign}{digits}e{exponent}".encode())
    assert one == loads_exact(f"{sign}{digits}{'0' * shift}.0e{exponent - shift}".encode())
    assert one != loads_exact(f"{sign}{digits}e{exponent + 1}".encode())


def test_beyond_what_a_decimal_holds_a_number_still_has_a_size() -> None:
    large, small = loads_exact(b"-1e1000000000000000000000"), loads_exact(b"1e-1000000000000000000000")
    assert isinstance(large, Vast)
    assert (float(large), float(small)) == (float("-inf"), 0.0)
    assert loads_exact(b"0e1000000000000000000000") == 0


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"1.", b"01", b"0x1", b'"\xff"', b"[" * 100_000])
def test_what_is_no_number_of_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads_exact(text)
