"""Remedies that a drill can switch off, to show that it fails without them: `--without NAME`. Pure.

A drill that passes whatever is broken proves nothing. Each says in `without` which objective must then fail.

| remedy | what it does | how it is switched off |
|---|---|---|
| breaker | stops asking what fails, and sends subscribers away from it | it never opens: settings |
| canary | finds a Realtime that is silent and says no error | it is never missed: settings |
| tombstones | sets an event aside that the table refuses, and goes on | none may be: settings |
| restart | a supervisor starts a killed serve again | it has none, and the drill starts none |
| catch-up | what Realtime did not bring is read from the table | captures of postgres_changes are of a client that reads none |
| compare | a table that went back in time is noticed, and gets what it lost once more | the relay never compares: settings |
| keys | readers get the project's new keys | the drill gives them to serve alone |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from migctl.drills.document import Drill
from migctl.errors import Usage

_NEVER = 1_000_000
_BREAKER = {"consecutive_failures": _NEVER, "min_requests": _NEVER}
# Sections of migctl.yaml.
OVERLAYS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "breaker": {"resilience": {"breaker": _BREAKER, "canary": {"silent_s": float(_NEVER)}}},
        "canary": {"resilience": {"canary": {"silent_s": float(_NEVER)}}},
        "compare": {"relay": {"compare_every_s": 0.0}},
        "tombstones": {"relay": {"max_dead_letters_per_minute": 0}},
    }
)


def check(drill: Drill, name: str, without: Sequence[str]) -> None:
    """Raises Usage for a remedy that this drill says nothing of: nobody knows what must fail then."""
    for remedy in without:
        if remedy not in drill.without:
            known = f"one of {', '.join(drill.without)}" if drill.without else "this drill has none"
            raise Usage(f"drill {name} does not say what fails without {remedy!r}", do=known)


def overlays(without: Sequence[str]) -> list[Mapping[str, object]]:
    """Settings that switch these off; a remedy that no setting switches off has none."""
    return [OVERLAYS[one] for one in without if one in OVERLAYS]
