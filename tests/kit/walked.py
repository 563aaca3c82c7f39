"""A walk as the record has it, made by the rules of the walk themselves, minute by minute, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from migctl.events.times import format_time
from migctl.flags.assignment import Switch
from migctl.flags.record import Audited
from migctl.flags.shares import ALL, Shares
from migctl.rollout import walk
from migctl.rollout.gates import Gate
from migctl.rollout.signoff.build import Collected
from migctl.rollout.walk import Facts, Open, Roll, State, Step, Write
from migctl.validate.witness.minute import QUIET, Figures, Minute

SWITCH = Switch("transport", "realtime", "websocket")
BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
GATES = (
    Gate("min_match_percent", 99.9, failure_limit=1, min_events=1000),
    Gate("max_lost", 0, min_events=1000),
    Gate("max_latency_p99_ms", 100, failure_limit=2, min_events=1000, on_failure="pause"),
    Gate("max_rejected", 0, dry_run=True),
)
SOAK = 1440
WALKER = "walker@ops-1"


def step(stage: str, percent: float, **more: Any) -> Step:
    values: dict[str, Any] = {
        "gates": GATES, "soak_minutes": SOAK, "max_evidence_age_s": 300, "move_timeout_s": 120, "settle_timeout_s": 60,
        "segments": {"internal": 100}, **more,
    }  # fmt: skip
    return Step(stage=stage, percent=percent, **values)


STEPS = (
    step("2a-internal", 0, drills=("failover",)), step("2b-25", 25), step("2b-50", 50), step("2b-75", 75), step("2b-100", 100),
)  # fmt: skip


class Walked:
    """steps: by stage. Each method is what somebody did, or a time that went by."""

    def __init__(self, *, soak: int = SOAK, begin: datetime = BEGIN) -> None:
        self.steps = {
            one.stage: msgspec.structs.replace(one, soak_minutes=soak, move_timeout_s=120.0) for one in STEPS
        }
        self.now = begin
        self.audited: list[Audited] = []
        self.minutes: list[Minute] = []
        self.state: State | None = None
        self._row: dict[str, Any] | None = None
        self._ids = 0

    def set(
        self, percent: float, *, who: str = "ada@ops", why: str = "it holds", lifts: tuple[str, ...] = ()
    ) -> None:
        """Raise the share by a row of the record."""
        self._write("flags.up", percent, who, why, lifts)

    def brake(
        self,
        name: str,
        percent: float,
        *,
        split: str = ALL,
        who: str = "ada@ops",
        why: str = "an alarm",
        lower: bool = False,
        ago_s: float = 0.0,
    ) -> None:
        """lower: with the lower row that it leaves. ago_s: the record heard of it so much later."""
        row = {
            "id": name, "flag": "transport", "max_percent": percent, "split": split, "actor": who, "reason": why,
            "pulled_at": format_time(self.now - timedelta(seconds=ago_s)), "target": "t",
        }  # fmt: skip
        self._audit("flags.brake", who, why, self._row, row)
        if lower:
            self._write("flags.down", percent, who, why, ())

    def move(self, action: str, state: State, *, who: str = "ada@ops", why: str = "") -> None:
        """Write a state."""
        version = self.state.version + 1 if self.state is not None else 1
        state = msgspec.structs.replace(state, version=version)
        before = msgspec.to_builtins(self.state) if self.state is not None else None
        self._audit(f"rollout.{action}", who, why, before, msgspec.to_builtins(state))
        self.state = state

    def begin(self, stage: str, *, who: str = WALKER, why: str = "the migration of spring") -> None:
        """The walker begins a stage."""
        passed = self.state.passed if self.state is not None else ()
        self.move(
            "begin", walk.begun(0, stage, f"step-{self._ids}", self.now, passed=passed), who=who, why=why
        )

    def until(self, phase: str, *, minutes: int = 10_000, **changed: Any) -> None:
        """Let the walker walk, and minutes go by, until the rollout is in this phase. changed: of each minute's figures."""
        for _ in range(minutes):
            while self._advance():
                assert self.state is not None
                if self.state.phase == phase:
                    return
            self.minute(**changed)
        raise AssertionError(f"never {phase}: {self.state}")

    def pass_(self, minutes: int, **changed: Any) -> None:
        """Time goes by, and the walker walks."""
        for _ in range(minutes):
            while self._advance():
                pass
            self.minute(**changed)

    def minute(
        self, *, there: bool = True, websocket: float = 4.0, realtime: float = 41.0, **changed: Any
    ) -> None:
        """One window. there: whether the record has it."""
        ups = 1 + 0.2 * ((self.now.minute * 7919 + self.now.hour * 104_729) % 97) / 97
        values: dict[str, Any] = {
            "expected": 600, "matched": 600, "error_rate_percent": 0.0, "requests": 60, "availability_percent": 100.0,
            "cohorts": {"all": 600, "internal": 120}, "sha256": f"{len(self.minutes):064x}",
            "transports": {"websocket": _figures(websocket * ups), "realtime": _figures(realtime * ups)}, **changed,
        }  # fmt: skip
        if there:
            self.minutes.append(
                Minute(
                    id=f"m{len(self.minutes)}",
                    started_at=self.now,
                    epoch="e",
                    first_seq=1,
                    last_seq=600,
                    **values,
                )
            )
        self.now += timedelta(minutes=1)

    def quiet(self, minutes: int) -> None:
        self.pass_(minutes, verdict="inconclusive", reason=QUIET, expected=0, matched=0, transports={})

    def collected(self, **more: Any) -> Collected:
        values: dict[str, Any] = {
            "version": "0.1.0", "made_at": self.now, "target": "acme.supabase.co", "switch": SWITCH, "audited": self.audited,
            "minutes": self.minutes, "state": self.state, "steps": self.steps, "titles": {"2b-25": "a quarter of all users"},
            "window_s": 60.0, **more,
        }  # fmt: skip
        return Collected(**values)

    def _advance(self) -> bool:
        """One thing that the walker does; False where it waits."""
        state = self.state
        assert state is not None
        names = list(self.steps)
        at = names.index(state.stage)
        following = self.steps[names[at + 1]] if at + 1 < len(names) else None
        shown = Facts(
            minutes=[one for one in self.minutes if one.started_at >= (state.soak_from or state.since)], moved=True, epoch="e",
            marker="e/1", released=frozenset(("websocket", "realtime")), share=self._share() >= self.steps[state.stage].percent,
        )  # fmt: skip
        action = walk.advance(state, self.steps[state.stage], following, shown, self.now, f"step-{self._ids}")
        if isinstance(action, Open):
            self.move("begin", action.state, who=WALKER, why="the migration of spring")
            self.set(self.steps[state.stage].percent, who=WALKER, why="the migration of spring")
        elif isinstance(action, Roll):
            self.brake(f"gate-{self._ids}", 0, split="everything", who=WALKER, why=action.state.reason or "")
            self.move("abort", action.state, who=WALKER, why=action.state.reason or "")
        elif isinstance(action, Write):
            before, after = state, action.state
            name = (
                "begin"
                if after.step_id != before.step_id
                else "pause"
                if after.phase == "paused"
                else after.phase
            )
            self.move(name, after, who=WALKER, why=after.reason or "the migration of spring")
        else:
            return False
        return True

    def _share(self) -> float:
        if self._row is None:
            return -1
        from migctl.flags.definitions import read
        from migctl.flags.editing import written

        return written(read(self._row["document"]), SWITCH).percent

    def _write(self, action: str, percent: float, who: str, why: str, lifts: tuple[str, ...]) -> None:
        shares = Shares("realtime", "websocket", segments={"internal": 100.0}, percent=percent)
        row = {
            "n": 1000 + self._ids,
            "id": str(UUID(int=self._ids)),
            "document": _document(shares),
            "lifts": list(lifts),
        }
        self._audit(action, who, why, self._row, row)
        self._row = row

    def _audit(self, action: str, who: str, why: str, before: Any, after: Any) -> None:
        self._ids += 1
        self.audited.append(
            Audited(
                format_time(self.now), action, "transport", who, why, before, after, ("transport",), self._ids
            )
        )


def _figures(p99: float) -> Figures:
    return Figures(received=600, latency_p99_ms=p99, latency_n=600, delay_p99_ms=p99 * 1.1, delay_n=600)


def _document(shares: Shares) -> Mapping[str, Any]:
    flag = {
        "state": "ENABLED", "variants": {"realtime": "realtime", "websocket": "websocket"}, "defaultVariant": "websocket",
        "targeting": shares.targeting(),
    }  # fmt: skip
    rules = {f"segment.{name}": {"in": [name, {"var": "segments"}]} for name in shares.segments}
    return {"flags": {"transport": flag}, "$evaluators": rules}
