"""Figures of a drill, from a small run whose every time is known."""

from __future__ import annotations

from datetime import UTC, datetime

from migctl.drills.judging import Committed, Heard, Line, Truth
from migctl.drills.measuring import Struck, measure
from migctl.drills.objectives import Never
from migctl.drills.sampling import Sample

EPOCH = "e"
# An event each tenth of a second, for 20 seconds.
JOURNAL = [Committed((EPOCH, seq), f"id-{seq}", 1000.0 + seq / 10) for seq in range(1, 200)]
ROWS = [(event.place, event.id) for event in JOURNAL]
OUTAGE = Struck("outage", "refuse", "", 1005.0, 1005.0, 1010.0)


def heard(
    name: str = "whole:realtime-1",
    *,
    skip: set[int] = frozenset(),
    twice: set[int] = frozenset(),
    back: float = 1010.4,  # type: ignore[assignment]
) -> Heard:
    """Falls back half a second after the outage begins, and is back on Realtime at `back`."""
    lines = []
    for event in JOURNAL:
        seq = event.place[1]
        out = 1005.0 <= event.at < back
        came = max(event.at + 0.01, 1005.5) if out else event.at + 0.01
        line = Line(
            event.id,
            EPOCH,
            seq,
            datetime.fromtimestamp(event.at, UTC),
            datetime.fromtimestamp(came, UTC),
            "websocket" if out else "realtime",
            "live",
        )
        lines += [line] * (seq not in skip) + [line] * (seq in twice)
    return Heard(name, name.rpartition("-")[0], lines, (EPOCH, 0), True)


def samples() -> list[Sample]:
    found = []
    for tenth in range(200):
        at = 1000.0 + tenth / 10
        out = 1005.2 <= at < 1010.3
        found.append(
            Sample(
                at=at,
                breakers={"broadcast": "open" if out else "closed"},
                opened={"broadcast": int(at >= 1005.2)},
                since={"broadcast": 1005.2} if out else {},
                fallback=out,
            )
        )
    return found


def measured(everyone: list[Heard], struck: list[Struck] | None = None, of: list[Sample] | None = None):  # type: ignore[no-untyped-def]
    truth = Truth([event.id for event in JOURNAL], JOURNAL, ROWS, [])
    return measure(
        truth,
        everyone,
        [OUTAGE] if struck is None else struck,
        samples() if of is None else of,
        since=1000.0,
        until=1020.0,
    )


def test_a_sound_run_has_every_figure() -> None:
    found = measured([heard()])
    assert found.measured == {
        "lost": 0,
        "duplicates": 0,
        "out_of_order": 0,
        "time_to_detect_ms": 200,
        "latency_p99_ms": 400.0,
        "time_to_fallback_ms": 500,
        "time_to_recover_ms": 410,
        "longest_silence_ms": 500,
        "availability_percent": 100.0,
    }
    assert [(one.part, one.state) for one in found.states] == [("broadcast", "open"), ("fallback", "active")]
    assert found.series[3].realtime == 10
    assert found.series[7].websocket == 10


def test_recovery_takes_as_long_as_the_backlog_and_the_last_subscriber() -> None:
    late = [Sample(at=one.at, backlog=one.at < 1014.0) for one in samples()]
    assert measured([heard()], of=late).measured["time_to_recover_ms"] == 4000
    assert measured([heard(), heard("whole:realtime-2", back=1012.0)]).measured["time_to_recover_ms"] == 2010


def test_who_never_came_back_is_no_recovery_and_who_opened_no_breaker_no_detection() -> None:
    found = measured([heard(back=1e9)], of=[Sample(at=one.at) for one in samples()]).measured
    assert isinstance(found["time_to_recover_ms"], Never)
    assert isinstance(found["time_to_detect_ms"], Never)


def test_a_fault_that_opens_no_breaker_has_not_the_detection_of_the_next_one() -> None:
    before = Struck("reset", "reset", "", 1001.0, 1001.0, 1002.0)
    found = measured([heard()], [before, OUTAGE])
    assert [one.time_to_detect_ms for one in found.faults] == [None, 200]
    assert isinstance(found.measured["time_to_detect_ms"], Never)


def test_without_a_fault_or_a_subscriber_there_is_nothing_to_measure_by() -> None:
    found = measured([], []).measured
    assert found["time_to_fallback_ms"] is None
    assert found["availability_percent"] is None
    assert found["longest_silence_ms"] is None


def test_lost_and_doubled_events_are_named_and_a_client_of_the_old_protocol_counts_in_neither() -> None:
    found = measured([heard(skip={50}, twice={60}), heard("legacy-1", skip={70})])
    assert (found.measured["lost"], found.measured["duplicates"]) == (1, 1)
    assert (found.lost_ids, found.duplicate_ids) == (["id-50"], ["id-60"])


def test_who_was_taken_back_by_a_command_is_not_awaited_at_realtime_and_the_command_opens_no_breaker() -> (
    None
):
    back = Struck("take-back", "take-back", "", 1012.0, 1012.0, 1018.0, "websocket")
    found = measured([heard("whole-1")], [OUTAGE, back])
    assert found.measured["time_to_detect_ms"] == 200
    assert found.measured["time_to_recover_ms"] == 410
    # It still has its events over Realtime.
    assert isinstance(found.measured["time_to_fallback_ms"], Never)
    cut = Struck("complete", "rollout-complete", "", 1012.0, 1012.0, 1018.0, "realtime")
    assert measured([heard("whole-1")], [OUTAGE, cut]).measured["time_to_fallback_ms"] == 500
