"""Sizes, as people read them. What programs read stays in bytes."""

from __future__ import annotations


def size(count: int) -> str:
    """`1 byte`, `812 bytes`, `12.3 KiB`, `5.0 MiB`, `1.5 GiB`: by 1,024, to a tenth."""
    if count < 1024:
        return f"{count} byte{'' if count == 1 else 's'}"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if round(amount, 1) < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:,.1f} TiB"
