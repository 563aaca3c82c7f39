"""Strangers: how often an address may do what nobody with a right token does, such as bringing a wrong one. Pure, and bounded.

Windows are fixed: the first time opens one, and in it so many are let be. Of IPv6 a /64 is one address, since whoever has one has
all of it. Where more addresses are counted than there is room for, those that come late are counted as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

MOST_ADDRESSES = 10_000
_LATE = "those that come late"


@dataclass(slots=True)
class _Window:
    since: float
    count: int


class Strangers:
    """most: times in a window of within_s seconds, for each address. addresses: of which so many are told apart."""

    def __init__(self, most: int, within_s: float, addresses: int = MOST_ADDRESSES) -> None:
        self._most = most
        self._within_s = within_s
        self._addresses = addresses
        # In the order in which they were opened.
        self._windows: dict[str, _Window] = {}

    def follow(self, most: int, within_s: float) -> None:
        """So many from now on; what was counted stays."""
        self._most, self._within_s = most, within_s

    def again(self, peer: str, now: float) -> float:
        """It happened again. Return 0, or the seconds after which it may; then it was not counted. now: of a monotonic clock."""
        self._forget(now)
        name = address_of(peer)
        if name not in self._windows and len(self._windows) >= self._addresses:
            name = _LATE
        window = self._windows.setdefault(name, _Window(now, 0))
        if window.count >= self._most:
            return max(window.since + self._within_s - now, 1e-3)
        window.count += 1
        return 0.0

    def limited(self, now: float) -> int:
        """How many addresses have to wait."""
        self._forget(now)
        return sum(window.count >= self._most for window in self._windows.values())

    def __len__(self) -> int:
        return len(self._windows)

    def _forget(self, now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if now - self._windows[oldest].since < self._within_s:
                return
            del self._windows[oldest]


def address_of(peer: str) -> str:
    """Under what name a peer is counted: an IPv4 address, the /64 of an IPv6 one, anything else as it is."""
    try:
        found = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"
