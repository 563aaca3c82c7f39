"""Presence: who tracks what on a topic, as the state that a newcomer gets and the differences that all others get. Pure."""

from __future__ import annotations

import itertools
from typing import Any

_REFS = ("phx_ref", "phx_ref_prev")
Metas = dict[str, dict[str, list[dict[str, Any]]]]


class Calls:
    """How often one channel may call: so many times in a window, which begins with the first call after the last one ended."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._ends = float("-inf")
        self._made = 0

    def allows(self, now: float) -> bool:
        """Counts this call. now: monotonic seconds."""
        if now > self._ends:
            self._ends, self._made = now + self._window_s, 0
        self._made += 1
        return self._made <= self._most


class Presence:
    """The metas of each key of each topic. A channel is known by an object of its own and tracks at most one meta."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, bool], dict[object, tuple[str, dict[str, Any]]]] = {}
        self._refs = itertools.count(1)

    def state(self, topic: str, private: bool) -> Metas:
        """What `presence_state` says."""
        return _grouped(list(self._topics.get((topic, private), {}).values()))

    def track(
        self, topic: str, private: bool, who: object, key: str, meta: dict[str, Any]
    ) -> dict[str, Metas]:
        """Returns what `presence_diff` says."""
        tracked = self._topics.setdefault((topic, private), {})
        before = tracked.get(who)
        made = {**meta, "phx_ref": f"F{next(self._refs):08x}"}
        if before is not None:
            made["phx_ref_prev"] = before[1]["phx_ref"]
        tracked[who] = (key, made)
        return {"joins": _grouped([tracked[who]]), "leaves": _grouped([before] if before else [])}

    def tracks(self, topic: str, private: bool, who: object, meta: dict[str, Any]) -> bool:
        """Whether it tracks just this already: then nothing is said again."""
        known = self._topics.get((topic, private), {}).get(who)
        return known is not None and {n: v for n, v in known[1].items() if n not in _REFS} == meta

    def untrack(self, topic: str, private: bool, who: object) -> dict[str, Metas] | None:
        """Returns what `presence_diff` says, or None if nothing was tracked."""
        tracked = self._topics.get((topic, private), {})
        before = tracked.pop(who, None)
        if not tracked:
            self._topics.pop((topic, private), None)
        return None if before is None else {"joins": {}, "leaves": _grouped([before])}


def _grouped(tracked: list[tuple[str, dict[str, Any]]]) -> Metas:
    state: Metas = {}
    for key, meta in tracked:
        state.setdefault(key, {"metas": []})["metas"].append(meta)
    return state
