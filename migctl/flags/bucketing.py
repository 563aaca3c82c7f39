"""Bucketing: which part of a split a key falls into. `flagd-cbor`, pinned: changing it would move users who were never asked.

murmur3 (x86, 32 bits, unsigned) of the CBOR of what is bucketed by; `(hash * W) >> 32` with W the sum of the weights; as flagd's
`fractional` since its Python core 2.0 (flagd specification, "Fractional Operation"). Older cores hash the plain concatenation and
put 37 % of users elsewhere at a share of 25 %, which is why a flag set names its bucketing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmh3 import mmh3_32_uintdigest

BUCKETING = "flagd-cbor"

# As flagd bounds it.
MAX_WEIGHTS = 2_147_483_647

_PAIR = b"\x82"  # an array of two


def hash_of(value: Any) -> int | None:
    """The hash of anything that a rule buckets by; None where it has no CBOR. 0 .. 2**32 - 1."""
    if isinstance(value, str):
        try:
            return mmh3_32_uintdigest(_text(value))
        except UnicodeEncodeError:  # a lone surrogate
            return None
    encoded = _cbor(value)
    return None if encoded is None else mmh3_32_uintdigest(encoded)


def hasher(flag_key: str) -> Callable[[str], int]:
    """The hash of a targeting key for this flag: of the CBOR of `[flag_key, targeting_key]`. Raises UnicodeEncodeError."""
    prefix = _PAIR + _text(flag_key)
    heads = [prefix + _head(size) for size in range(256)]

    def hash_key(targeting_key: str, digest: Callable[[bytes], int] = mmh3_32_uintdigest) -> int:
        text = targeting_key.encode()
        size = len(text)
        return digest((heads[size] if size < 256 else prefix + _head(size)) + text)

    return hash_key


def split(hashed: int, weights: Sequence[int]) -> int | None:
    """Return the index of the part that this hash falls into; None where the weights sum to nothing or to more than flagd takes.

    weights: relative, none below 0. Growing the first weight at the cost of others never moves a key that had index 0.
    """
    total = sum(weights)
    if not 0 < total <= MAX_WEIGHTS:
        return None
    bucket = (hashed * total) >> 32
    end = 0
    for index, weight in enumerate(weights):
        end += weight
        if bucket < end:
            return index
    return None


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _head(len(encoded)) + encoded


def _head(size: int) -> bytes:
    """CBOR's head of a text of this many bytes, in its shortest form."""
    if size < 24:
        return bytes([0x60 + size])
    if size < 1 << 8:
        return bytes([0x78, size])
    if size < 1 << 16:
        return b"\x79" + size.to_bytes(2, "big")
    return b"\x7a" + size.to_bytes(4, "big")


def _cbor(value: Any) -> bytes | None:
    """Canonical CBOR; whole floats as integers, as flagd normalises them."""
    import cbor2  # rarely needed: rules bucket by text

    try:
        encoded: bytes = cbor2.dumps(_normal(value), canonical=True)
    except (cbor2.CBOREncodeError, UnicodeEncodeError, RecursionError):
        return None
    return encoded


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value <= 2**64 - 1:
        return int(value)
    return value
