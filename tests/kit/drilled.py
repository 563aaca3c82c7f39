"""Documents of drills that were never run, for what shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from migctl.drills.judging import Effect, Judged, Store
from migctl.drills.objectives import Objective
from migctl.drills.result import Fault, Probed, Result, Second, State, SteadyState, TimelineEntry

BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NOTHING = Result(
    id="20260301T090000-failover-0000", drill="failover", title="Supabase is out", verdict="inconclusive",
    reason="it did not begin", started_at=BEGAN, finished_at=BEGAN, seconds=0.0, config="", target="embedded stack",
    without=[], rate_per_s=200.0, published=None, lost=None, duplicates=None, out_of_order=None, lost_ids=[],
    duplicate_ids=[], time_to_detect_ms=None, time_to_fallback_ms=None, time_to_recover_ms=None, longest_silence_ms=None,
    availability_percent=None, availability_without_grace_percent=None, objectives=[], steady_states=[], faults=[],
    subscribers=[], store=None, availability={}, timeline=[], series=[], states=[],
)  # fmt: skip


def second(at_s: int, committed: float = 200, websocket: float = 0, realtime: float = 200) -> Second:
    return Second(at_s=at_s, committed=committed, websocket=websocket, realtime=realtime)


def fault(name: str, armed_s: float, lifted_s: float) -> Fault:
    missed = {"availability_percent": {name: "5-14"}, "availability_without_grace_percent": {name: "5-16"}}
    effect = Effect(
        fault=name, armed_at_s=armed_s, lasted_s=lifted_s - armed_s, time_to_fallback_ms=35, time_to_recover_ms=None,
        missed=missed,
    )  # fmt: skip
    return Fault(
        name=name, function="refuse", detail=name, armed_at_ms=round(1000 * armed_s), lifted_at_ms=round(1000 * lifted_s),
        time_to_detect_ms=80, time_to_fallback_ms=35, time_to_recover_ms=None, effect=effect,
    )  # fmt: skip


def subscriber(name: str, lost: list[str]) -> Judged:
    return Judged(
        name=name, kind="whole:realtime", wanted=4413, released=4413 - len(lost), excused=0, lost=len(lost), duplicates=0,
        out_of_order=0, strangers=0, complete=True, live_percent=99.3, availability_percent=99.5,
        availability_without_grace_percent=95.4545, longest_silence_ms=10_916, longest_silence_at_s=3.0, lost_ids=lost,
        duplicate_ids=[],
    )  # fmt: skip


def whole(name: str = "outage") -> Result:
    """A drill of 20 s, with a fault of this name from 5 to 15 s. Whatever a person can name has that name."""
    store = Store(
        acknowledged=4000, committed=4000, rows=3999, tombstones=0, epochs=1, lost_after_acknowledgement=0,
        lost_on_the_way_to_the_table=1, strangers_in_the_table=0, never_acknowledged=0, holes_in_seqs=0,
        doubled_in_the_journal=0, doubled_in_the_table=0, rows_that_are_tombstones_too=0, lost_ids=[name], duplicate_ids=[],
        retried_requests=12,
    )  # fmt: skip
    return msgspec.structs.replace(
        NOTHING, drill=name, title=name, verdict="fail", reason=name, published=4000, lost=1, longest_silence_ms=10_916,
        objectives=[
            Objective(name="max_lost", bound=0, value=1, verdict="fail"),
            Objective(name="max_time_to_detect_ms", bound=2000, value=80, verdict="pass"),
            Objective(name="max_time_to_recover_ms", bound=5000, value=None, verdict="fail", note=name),
            Objective(name="min_availability_percent", bound=99.9, value=99.5, verdict="fail"),
        ],
        seed=11, availability_percent=99.5, availability_without_grace_percent=95.4545,
        availability={name: {"availability_percent": 99.5, "availability_without_grace_percent": 95.4545}},
        missed_without_a_fault={"availability_percent": {}, "availability_without_grace_percent": {name: "2"}},
        steady_states=[
            SteadyState(when="before", holds=True, waited_ms=10, probes=[Probed(name=name, value=False, holds=True)]),
            SteadyState(when="after_rollbacks", holds=False, waited_ms=30_000, probes=[Probed(name=name, value=name, holds=False)]),
        ],
        faults=[fault(name, 5, 15)], subscribers=[subscriber("whole:realtime-1", []), subscriber(name, [name] * 30)], store=store,
        timeline=[TimelineEntry(at_ms=-4672, kind="serve", what="answers"), TimelineEntry(at_ms=5000, kind="fault", what=name)],
        series=[second(at) if not 5 <= at < 15 else second(at, 200, 200, 0) for at in range(20)],
        states=[
            State(part="broadcast", state="open", since_ms=5100, until_ms=8000),
            State(part="broadcast", state="half_open", since_ms=8000, until_ms=9000),
            State(part="fallback", state="active", since_ms=5100, until_ms=16_000),
            State(part="serve", state="away", since_ms=17_000, until_ms=18_000),
        ],
    )  # fmt: skip
