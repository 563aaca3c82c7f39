"""Evidence: what keeps a report from knowing, and what its reader should know beside the numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from migctl.validate.gates import Gate
from migctl.validate.inputs import Inputs, Summary
from migctl.validate.kinds import TRANSPORTS, Side
from migctl.validate.tally import SideTally, Tally
from migctl.validate.window import Window, began_late

# Of a file that was reversed not each line is out of order: an epoch begins anew.
MOSTLY = 0.9


@dataclass(slots=True)
class Evidence:
    """hidden: what makes a report inconclusive. cut_short: what makes it terminated. remarks: all else. Each is a sentence."""

    hidden: list[str] = field(default_factory=list)
    cut_short: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def missing(self, gates: Sequence[Gate]) -> list[str]:
        """What is missing for a verdict, and how much of it."""
        return [
            *self.hidden,
            *self.cut_short,
            *(_lack(gate) for gate in gates if gate.verdict == "inconclusive"),
        ]


def _lack(gate: Gate) -> str:
    if gate.name in ("max_latency_p99_ms", "max_delay_p99_ms") and gate.samples and gate.value is not None:
        return (
            f"{gate.name}: a receiver's clock may be behind the journal's, and how far is not known well enough: it is at least "
            f"{gate.value:,.1f} ms; a capture that reaches serve asks it (`capture --url`)"
        )
    if gate.name == "min_events":
        return f"min_events: {gate.bound - gate.samples:,.0f} more events are needed ({gate.samples:,} of {gate.bound:,.0f})"
    if gate.name == "max_latency_p99_ms":
        return f"{gate.name}: a transport has no event with via live, so nothing is known of its latency"
    if gate.name == "max_delay_p99_ms":
        return f"{gate.name}: a transport has no event, so nothing is known of its delay"
    if gate.name == "max_rejected" and gate.value is None:
        return f"{gate.name}: nobody knows what was rejected before the journal; give the journal's own file in its state folder"
    return f"{gate.name}: no event was expected, so there is nothing to measure"


def weigh(
    found: Inputs,
    tally: Tally,
    window: Window,
    *,
    first: tuple[str | None, int | None, datetime | None] | None,
) -> Evidence:
    """first: (epoch, seq, committed_at) of the journal's first entry."""
    evidence = Evidence()
    for side in found.compared:
        _weigh_capture(evidence, found, tally, window, side, first)
    for side in TRANSPORTS:
        if side not in found.compared:
            evidence.remarks.append(f"{side.label}: no capture, so it is not compared and gates nothing")
    if found.has_journal:
        journal = tally.sides[Side.JOURNAL]
        if journal.torn_line is not None:
            evidence.remarks.append(f"journal: line {journal.torn_line} is torn and left out")
        if journal.repeats:
            evidence.remarks.append(
                f"journal: {journal.repeats:,} ids came again (a producer's repeat after a rotation); the first entry counts"
            )
        if not journal.lines and not journal.control:
            evidence.hidden.append("journal: it is empty, so nothing is expected")
    else:
        evidence.remarks.append(
            "no journal: what reached neither capture can't be seen; give it with --journal"
        )
    if tally.outside:
        evidence.remarks.append(
            f"{tally.outside:,} events lie outside the window of the captures and are not counted (--window journal counts all)"
        )
    if tally.excused:
        evidence.remarks.append(f"{tally.excused:,} events are excused by duplicate_of tombstones")
    return evidence


def _weigh_capture(
    evidence: Evidence,
    found: Inputs,
    tally: Tally,
    window: Window,
    side: Side,
    first: tuple[str | None, int | None, datetime | None] | None,
) -> None:
    name, counted, summary = side.label, tally.sides[side], found.summaries.get(side)
    if not counted.lines:
        evidence.hidden.append(f"{name}: the capture is empty, 0 of {tally.expected:,} expected events")
    if counted.torn_line is not None:
        evidence.remarks.append(f"{name}: line {counted.torn_line}, the last, is torn and left out")
    _weigh_file(evidence, name, counted, summary)
    if counted.without_source:
        evidence.remarks.append(f"{name}: {counted.without_source:,} lines had no source to compare")
    if counted.received and counted.without_commit == counted.received:
        evidence.remarks.append(f"{name}: no commit time is known, so none of its lines can be late")
    if summary is None:
        evidence.remarks.append(
            f"{name}: no summary beside the capture; it is taken to cover everything, nothing is excused"
        )
        return
    if window.kind == "journal" and first is not None and began_late(summary.start, *first):
        start = summary.start
        where = f"after {start.epoch}:{start.seq}" if start.epoch is not None else "too late"
        evidence.hidden.append(
            f"{name}: the capture began late, {where}; the journal begins with {first[0]}:{first[1]}"
        )
    if not summary.ended:
        evidence.cut_short.append(f"{name}: the capture was cut short")
    elif not summary.complete:
        # It could not see that it has everything up to its stop: what it holds may agree, and still prove nothing of the end.
        evidence.cut_short.append(f"{name}: the capture ended incomplete: {summary.reason}")
    if summary.role == "service_role" and side is Side.REALTIME:
        evidence.remarks.append(f"{name}: captured with the service key, so row level security was bypassed")
    if summary.lost_ranges:
        ranges = ", ".join(f"{epoch}:{low} to {high}" for epoch, low, high in summary.lost_ranges)
        evidence.remarks.append(f"{name}: a rotation of the journal lost {ranges}; counted as lost")


def _weigh_file(evidence: Evidence, name: str, of: SideTally, summary: Summary | None) -> None:
    """A file that is not as its capture left it."""
    there = of.lines + of.control + (of.torn_line is not None)
    wrote = summary.received if summary is not None else None
    if wrote is not None and there < wrote:
        evidence.cut_short.append(
            f"{name}: the file has {there:,} of the {wrote:,} lines that were captured: it was cut"
        )
    if wrote is not None and there > wrote:
        evidence.remarks.append(
            f"{name}: the file has {there:,} lines, and {wrote:,} were captured: some were added"
        )
    first = of.lines - of.repeats
    if first and of.repeats >= first:
        evidence.remarks.append(
            f"{name}: its lines stand there twice: captures were joined, or one was copied into itself"
        )
    if first > 2 and of.out_of_order >= (first - 1) * MOSTLY:
        evidence.remarks.append(f"{name}: its lines stand in reverse order")
