"""Toxics: faults of a line by Toxiproxy's names, as data.

Names, attributes and their units are those of github.com/Shopify/toxiproxy (README, "Toxics"). What it takes without a word is
refused here where it would be a fault that does nothing, or never ends: an attribute that the type does not have, a value below
0, a toxicity outside 0..1, a slicer whose slices could be empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import msgspec

Kind = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Stream = Literal["upstream", "downstream"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

# latency, jitter, timeout, slow_close's delay: milliseconds. rate: KB/s. slicer's delay: microseconds. Others: bytes.
ATTRIBUTES: dict[Kind, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
}

MOST = (1 << 63) - 1  # as there, where they are of 64 bits


class Toxic(msgspec.Struct, frozen=True):
    """attributes: those of its type; what is left out is 0. stream: downstream is what the server sends.

    toxicity: the probability with which a connection gets it, 0..1; with 0 none has it, with 1 each.
    name: by default TYPE_STREAM. Raises ValueError for what is no toxic.
    """

    type: Kind
    attributes: dict[str, int] = {}
    stream: Stream = "downstream"
    toxicity: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if self.type not in KINDS:
            raise ValueError(f"type {self.type!r}: one of {', '.join(KINDS)}")
        if self.stream not in STREAMS:
            raise ValueError(f"stream {self.stream!r}: upstream or downstream")
        if not 0 <= self.toxicity <= 1:
            raise ValueError(f"toxicity {self.toxicity!r}: a probability, from 0 to 1")
        whole = dict.fromkeys(ATTRIBUTES[self.type], 0) | self.attributes
        for key, value in whole.items():
            _check(self.type, key, value)
        if self.type == "slicer" and whole["average_size"] <= whole["size_variation"]:
            raise ValueError("slicer: average_size must be above size_variation")
        msgspec.structs.force_setattr(self, "attributes", whole)
        msgspec.structs.force_setattr(self, "name", self.name or f"{self.type}_{self.stream}")

    def changed(self, attributes: Mapping[str, int], toxicity: float | None = None) -> Toxic:
        """With these attributes; those not given, and a toxicity of None, stay. Raises ValueError."""
        return Toxic(
            self.type,
            {**self.attributes, **attributes},
            self.stream,
            self.toxicity if toxicity is None else toxicity,
            self.name,
        )


def _check(kind: Kind, key: str, value: object) -> None:
    if key not in ATTRIBUTES[kind]:
        raise ValueError(f"{kind} has no attribute {key!r}: {', '.join(ATTRIBUTES[kind])}")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise ValueError(f"{kind}: {key} takes a whole number of 0 or more, not {value!r}")


class Toxics:
    """Those of one proxy, in the order in which they were added: the order in which they stand in each lane."""

    def __init__(self) -> None:
        self._added = 0
        self._toxics: dict[str, tuple[int, Toxic]] = {}

    def __iter__(self) -> Iterator[tuple[int, Toxic]]:
        """Each with its place: an earlier one has a smaller number."""
        return iter(self._toxics.values())

    def __contains__(self, name: str) -> bool:
        return name in self._toxics

    def add(self, toxic: Toxic) -> int:
        """Its place. Raises ValueError where the name is taken."""
        if toxic.name in self._toxics:
            raise ValueError(f"there is a toxic {toxic.name!r} already: remove it, or give this one a name")
        self._added += 1
        self._toxics[toxic.name] = self._added, toxic
        return self._added

    def get(self, name: str) -> tuple[int, Toxic]:
        """Its place, and what it is. Raises ValueError where there is none."""
        if name not in self._toxics:
            raise ValueError(f"there is no toxic {name!r}: {', '.join(self._toxics) or 'there are none'}")
        return self._toxics[name]

    def replace(self, toxic: Toxic) -> None:
        """The one of this name, at its place. Raises ValueError where there is none."""
        self._toxics[toxic.name] = self.get(toxic.name)[0], toxic

    def remove(self, name: str) -> Toxic:
        """Raises ValueError where there is none."""
        toxic = self.get(name)[1]
        del self._toxics[name]
        return toxic
