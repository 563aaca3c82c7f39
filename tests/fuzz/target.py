"""A target: an entry of the product that takes bytes from outside, and what must be true whatever these are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fuzz.mutating import Mutate, mutated_bytes

# CPU time of one input, whatever it is; the longest take a hundredth of it.
MOST_CPU_S = 2.0


@dataclass(frozen=True)
class Target:
    """run: takes the bytes, and checks what came of them with `assert`. Returns True where they were taken.

    refusals: what it may raise instead; anything else is a finding, as are an end of the process, more than MOST_CPU_S and more
    memory than a process of the fuzzer has.
    good: examples that are taken, also after any number of others. words: what its texts are made of, beside those of all texts.
    """

    name: str
    run: Callable[[bytes], object]
    good: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = ()
    words: tuple[bytes, ...] = ()
    mutate: Mutate = field(default=mutated_bytes)
    most_bytes: int = 1 << 16


def tried(target: Target, data: bytes) -> bool:
    """Whether it was taken. Raises whatever is a finding."""
    try:
        return target.run(data) is not False
    except target.refusals:
        return False
