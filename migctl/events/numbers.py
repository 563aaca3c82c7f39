"""JSON with exact numbers: integers as int, everything with a fraction or an exponent as Decimal, nothing rounded.

The JSON grammar bounds neither digits nor exponents; Python's int reads 4300 digits from text, Decimal takes exponents of 18
digits. What lies beyond is still a number with a value here, so that two spellings of it compare as what they are.
"""

from __future__ import annotations

import json
from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    Clamped,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
    Underflow,
)
from typing import Any, NamedTuple, NoReturn

import msgspec

# Whatever would bend a value is an error here.
EXACT = Context(
    prec=MAX_PREC,
    Emax=MAX_EMAX,
    Emin=MIN_EMIN,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Subnormal, Underflow],
)

_INT_DIGITS = 4300
_DECIMAL_EXPONENT = 10**17


class Vast(NamedTuple):
    """A number whose exponent no Decimal holds: `sign` 0.`digits` x 10^`exponent`, without zeros at either end of digits."""

    sign: str
    digits: str
    exponent: Decimal

    def __float__(self) -> float:
        size = 0.0 if self.exponent < 0 else float("inf")
        return -size if self.sign else size


Number = int | Decimal | Vast


def _fraction(text: str) -> Decimal | Vast:
    try:
        return EXACT.create_decimal(text)
    except DecimalException:
        return _vast(text)


def _vast(text: str) -> Decimal | Vast:
    mantissa, _, exponent_text = text.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Decimal(0)
    leading = len(whole + fraction) - len(digits)
    exponent = EXACT.add(EXACT.create_decimal(exponent_text or "0"), Decimal(len(whole) - leading))
    digits = digits.rstrip("0")
    if abs(exponent) < _DECIMAL_EXPONENT:
        return EXACT.create_decimal(f"{sign}0.{digits}e{int(exponent)}")
    return Vast(sign, digits, exponent)


def read_integer(text: str) -> int | Decimal:
    """An integer of any length. Beyond 4300 digits it is a Decimal: reading one that long as int takes quadratic time."""
    return int(text) if len(text) <= _INT_DIGITS else EXACT.create_decimal(text)


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser takes and JSON has not."""
    raise ValueError(f"{name} is no JSON value")


# What the quick decoders raise at texts that only the patient way reads, and at what is no JSON.
QUICK_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, DecimalException)

_quick = msgspec.json.Decoder(float_hook=EXACT.create_decimal)
_patient = json.JSONDecoder(parse_float=_fraction, parse_int=read_integer, parse_constant=no_constant)


def loads_exact(text: bytes | msgspec.Raw) -> Any:
    """Parse JSON; numbers are int, Decimal or Vast. Duplicate keys: the last wins. Lone surrogates are kept.

    Raises ValueError.
    """
    try:
        return _quick.decode(text)
    except QUICK_ERRORS:
        pass
    try:
        return _patient.decode(bytes(text).decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
