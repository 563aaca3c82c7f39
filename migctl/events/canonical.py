"""Canonical form: one text for all spellings of a JSON value, and the hash of an event's body made from it.

Numbers are exact decimals: 1.0, 1e0 and 1 are one text, 0.1 and the double next to it are two. The hash answers "was the same event
sent again?" at ingest; it is stored in journals, so its form is fixed. Comparing captures is `equal`'s work.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from migctl.events.jsontext import quote
from migctl.events.model import Event
from migctl.events.numbers import EXACT, Number, Vast, loads_exact
from migctl.events.times import micros_of

# Integers below 10^29 are spelled in full, so that the quick encoder and the patient one agree on them.
_PLAIN_DIGITS = 29
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_RUN = b"0" * (_PLAIN_DIGITS + 1)


def body_hash(event: Event) -> bytes:
    """16 bytes that are equal for equal bodies: event_type, timestamp, source and data, numbers by decimal value.

    A timestamp that is only the time of arrival is left out: the producer didn't send it.
    """
    moment = b"null" if event.clock == "arrival" else b"%d" % micros_of(event.timestamp)
    body = b"[%b,%b,%b,%b]" % (quote(event.event_type), moment, quote(event.source), canonical(event.data))
    return blake2b(body, digest_size=16).digest()


def canonical(text: bytes) -> bytes:
    """The canonical form of a JSON text: keys sorted by code point, no white space. Raises ValueError."""
    if _LONG_RUN not in text.translate(_DIGITS):
        try:
            return _encoder.encode(_decoder.decode(text))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, DecimalException):
            pass
    return _write(loads_exact(text))


def _spell(value: Decimal) -> int | msgspec.Raw:
    """A number with a fraction or an exponent, in the form its value has, whatever its spelling was."""
    plain = EXACT.normalize(value)
    if not plain:
        return 0
    if plain == plain.to_integral_value() and plain.adjusted() < _PLAIN_DIGITS:
        return int(plain)
    return msgspec.Raw(str(plain).encode())


@lru_cache(maxsize=8192)
def _hook(text: str) -> int | msgspec.Raw:
    return _spell(EXACT.create_decimal(text))


_decoder = msgspec.json.Decoder(float_hook=_hook)
_encoder = msgspec.json.Encoder(order="deterministic")


def _write(value: Any) -> bytes:
    """The same form, for what the quick decoder doesn't take: lone surrogates, very long numbers. Not by recursion: it is deep."""
    written: list[bytes] = []
    left: list[Any] = [value]  # the next last; bytes are text already, which no JSON value is
    while left:
        item = left.pop()
        if isinstance(item, bytes):
            written.append(item)
        elif isinstance(item, dict):
            left.append(b"}")
            for key in sorted(item, reverse=True):
                left += (item[key], quote(key) + b":", b",")
            left[-1] = b"{" if item else b"{}"
        elif isinstance(item, list):
            left.append(b"]")
            for each in reversed(item):
                left += (each, b",")
            left[-1] = b"[" if item else b"[]"
        else:
            written.append(_leaf(item))
    return b"".join(written)


def _leaf(value: Any) -> bytes:
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    return _number(value)


def _number(value: Number) -> bytes:
    if isinstance(value, Vast):
        return f"{value.sign}0.{value.digits}E{value.exponent:+f}".encode()
    spelled = _spell(Decimal(value))
    return b"%d" % spelled if isinstance(spelled, int) else bytes(spelled)
