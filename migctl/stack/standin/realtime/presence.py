"""Presence: who tracks what on a topic, as the state that a newcomer gets and the differences that all others get. Pure."""

from __future__ import annotations

import itertools
from typing import Any

Metas = dict[str, dict[str, list[dict[str, Any]]]]


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
