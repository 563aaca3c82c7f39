"""`migctl.gameday/1`: what the drills of a game day found, as one document; and how long such a day takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from migctl.drills.document import Drill
from migctl.drills.objectives import Objective, Verdict
from migctl.drills.result import Result
from migctl.events.times import Moment as Time

# How the id of a day begins; that of a drill begins with a time.
PREFIX = "gameday-"
# What a drill takes beside its own pauses: a stack that starts, processes that connect, draining, judging.
_BESIDE_S = 11.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One drill of the day. id: of its own document, and of its page; None where it came to none.

    missed: its objectives that did not pass. Other figures as in `migctl.drill/1`; None: not known.
    """

    drill: str
    title: str
    id: str | None
    verdict: Verdict
    reason: str
    started_at: Time
    seconds: float
    published: int | None = None
    lost: int | None = None
    duplicates: int | None = None
    out_of_order: int | None = None
    time_to_detect_ms: int | None = None
    time_to_fallback_ms: int | None = None
    time_to_recover_ms: int | None = None
    longest_silence_ms: int | None = None
    availability_percent: float | None = None
    availability_without_grace_percent: float | None = None
    missed: list[Objective] = []


class GameDay(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document. verdict: the worst of all drills; terminated where it was cut short. not_run: by name.

    config: digest of the configuration that all were run with.
    """

    schema: Literal["migctl.gameday/1"] = "migctl.gameday/1"
    id: str
    verdict: Verdict
    started_at: Time
    finished_at: Time
    seconds: float
    config: str
    target: str
    drills: list[Summary]
    not_run: list[str]

    @property
    def passed(self) -> int:
        return sum(one.verdict == "pass" for one in self.drills)

    @property
    def asked(self) -> int:
        """How many were to be run."""
        return len(self.drills) + len(self.not_run)


def expected_s(drill: Drill, last_s: float | None) -> float:
    """About how long it takes: as long as it took last; where that is not known, by its file."""
    if last_s is not None:
        return last_s
    pauses = sum(one.pauses.before + one.pauses.after for one in drill.method)
    return pauses + 2 * drill.configuration.calm_s + _BESIDE_S


def left_s(expected: Sequence[float], took: Sequence[float], elapsed_s: float) -> float:
    """Seconds until all have run. expected: of each. took: of those that are done. elapsed_s: of the one that runs now.

    Where those that are done took longer than was expected, so will the others: it is the same machine.
    """
    done = len(took)
    slower = sum(took) / max(1.0, sum(expected[:done])) if done else 1.0
    return max(0.0, slower * sum(expected[done : done + 1]) - elapsed_s) + slower * sum(expected[done + 1 :])


def summary_of(of: Result) -> Summary:
    taken = {name: getattr(of, name) for name in Summary.__struct_fields__ if name != "missed"}
    return Summary(**taken, missed=[one for one in of.objectives if one.verdict != "pass"])
