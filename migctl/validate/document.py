"""Document: a report made of what was counted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.events.times import format_time
from migctl.status.losses import SourceLosses
from migctl.validate.clocks import P99
from migctl.validate.evidence import weigh
from migctl.validate.gates import Bounds, evaluate, overall, worst
from migctl.validate.inputs import Inputs, Summary, Tombstone
from migctl.validate.kinds import KINDS, TRANSPORTS, Side
from migctl.validate.latency import Histogram, Quantiles
from migctl.validate.result import (
    BeforeJournal,
    Begin,
    Beside,
    CaptureSummary,
    Cell,
    Compared,
    Covered,
    Discrepancies,
    Discrepancy,
    Each,
    End,
    InputFile,
    Latency,
    LatencyBasis,
    Report,
    Rls,
    Skew,
)
from migctl.validate.tally import COLUMNS, Example, SideTally, Tally
from migctl.validate.window import Window

_DAY_ONE = datetime(1, 1, 1, tzinfo=UTC)

T = TypeVar("T")


def build(
    found: Inputs,
    tally: Tally,
    window: Window,
    bounds: Bounds,
    *,
    first: tuple[str | None, int | None, datetime | None] | None,
    late_after_s: float,
    examples: int,
    digests: Mapping[Path, str],
    losses: SourceLosses | None = None,
) -> Report:
    """The report. losses: of sources, within the window; None where nobody knows.

    first: (epoch, seq, committed_at) of the journal's first entry. digests: file to sha256.
    """
    compared = found.compared
    lost = tally.lost + _lost_between_epochs(found)
    percent = 100 * tally.matched / tally.expected if tally.expected else None
    basis, latency = _latency(tally, compared)
    delay = _each(compared, lambda side: _delay(tally.sides[side]).summary_ms())
    skew = _each(compared, lambda side: _skew(tally.sides[side], found.summaries.get(side)))
    evidence = weigh(found, tally, window, first=first)
    gates = evaluate(
        bounds,
        expected=tally.expected,
        match_percent=percent,
        lost=lost,
        latency_p99_ms=_p99s(latency, skew),
        delay_p99_ms=_p99s(delay, skew),
        rejected=losses.rejected if losses is not None else None,
    )
    return Report(
        verdict=overall(gates, hidden=bool(evidence.hidden), cut_short=bool(evidence.cut_short)),
        expected=tally.expected,
        matched=tally.matched,
        match_percent=percent,
        lost=lost,
        before_journal=_before(losses, tally.times_replaced if found.has_journal else None),
        discrepancies=_discrepancies(found, tally),
        tombstones=_tombstones(found.tombstones, window),
        latency_ms=latency,
        delay_ms=delay,
        catch_up_ms=_each(compared, lambda side: tally.sides[side].catch_up.summary_ms()),
        latency_basis=basis,
        clock_skew_ms=skew,
        late_after_s=late_after_s,
        by_event_type={
            name: _cell(cell, compared)
            for name, cell in sorted(tally.by_event_type.items(), key=lambda kv: (-kv[1][0], kv[0]))
        },
        by_minute={_minute(key): _cell(cell, compared) for key, cell in sorted(tally.by_minute.items())},
        mismatched_fields=dict(sorted(tally.fields.items(), key=lambda item: (-item[1], item[0]))),
        examples=_examples(tally.examples, examples),
        gates=gates,
        missing_evidence=evidence.missing(gates),
        remarks=evidence.remarks,
        window=_window(window, tally),
        transports=_each(compared, lambda side: _transport(found, tally, side)),
        rls=_rls(found),
        inputs=_files(found, tally, digests),
    )


def with_dual(made: Report, dual: Report) -> Report:
    """A report with a column more. dual: that capture against the journal, in the place of the WebSocket's."""
    counts, compared, skew = dual.discrepancies, dual.transports.websocket, dual.clock_skew_ms.websocket
    latency, delay, catch_up = dual.latency_ms.websocket, dual.delay_ms.websocket, dual.catch_up_ms.websocket
    assert compared is not None and skew is not None
    assert latency is not None and delay is not None and catch_up is not None
    column = Beside(
        verdict=dual.verdict,
        expected=dual.expected,
        matched=dual.matched,
        received=compared.received,
        missing=counts.missing_websocket or 0,
        payload_mismatch=counts.payload_mismatch,
        duplicate=counts.duplicate_websocket or 0,
        out_of_order=counts.out_of_order_websocket or 0,
        late=counts.late,
        latency_ms=latency,
        delay_ms=delay,
        catch_up_ms=catch_up,
        clock_skew_ms=skew,
        gates=dual.gates,
        summary=compared.summary,
    )
    own, other = f"{Side.WEBSOCKET.label}: ", "dual: "
    return msgspec.structs.replace(
        made,
        verdict=worst((made.verdict, dual.verdict)),
        dual=column,
        missing_evidence=[
            *made.missing_evidence,
            *(other + sentence.removeprefix(own) for sentence in dual.missing_evidence),
        ],
        remarks=[
            *made.remarks,
            *(other + remark.removeprefix(own) for remark in dual.remarks if remark.startswith(own)),
        ],
        inputs=[
            *made.inputs,
            *(
                msgspec.structs.replace(each, side="dual")
                for each in dual.inputs
                if each.side == Side.WEBSOCKET.label
            ),
        ],
    )


def _each(compared: tuple[Side, ...], of: Callable[[Side], T]) -> Each[T]:
    return Each(
        websocket=of(Side.WEBSOCKET) if Side.WEBSOCKET in compared else None,
        realtime=of(Side.REALTIME) if Side.REALTIME in compared else None,
    )


def _before(losses: SourceLosses | None, times_replaced: int | None) -> BeforeJournal:
    return BeforeJournal(
        rejected=losses.rejected if losses is not None else None,
        unmapped_fields=losses.unmapped_fields if losses is not None else None,
        times_replaced=times_replaced,
        source_outages=losses.source_outages if losses is not None else None,
        source_outage_s=losses.source_outage_s if losses is not None else None,
    )


def _files(found: Inputs, tally: Tally, digests: Mapping[Path, str]) -> list[InputFile]:
    listed = [(each.side.label, each.path, each.size, tally.sides[each.side].lines) for each in found.files]
    if found.tombstones_path is not None:
        stones = len(found.tombstones or ())
        listed.append(("tombstones", found.tombstones_path, found.tombstones_size or 0, stones))
    return [
        InputFile(side=side, file=str(path), size=size, sha256=digests[path], lines=lines)
        for side, path, size, lines in listed
    ]


def _lost_between_epochs(found: Inputs) -> int:
    """Seqs that a rotation lost for good, as the captures were told: the journal can't list them any more."""
    ranges = {each for summary in found.summaries.values() for each in summary.lost_ranges}
    return sum(last - first + 1 for _, first, last in ranges)


def _discrepancies(found: Inputs, tally: Tally) -> Discrepancies:
    of = {side: tally.sides[side] for side in found.compared}

    def missing(side: Side) -> int | None:
        return tally.missing[side] if side in of else None

    def repeats(side: Side) -> int | None:
        return of[side].repeats if side in of else None

    def out_of_order(side: Side) -> int | None:
        return of[side].out_of_order if side in of else None

    return Discrepancies(
        missing_websocket=missing(Side.WEBSOCKET),
        missing_realtime=missing(Side.REALTIME),
        payload_mismatch=tally.payload_mismatch,
        number_precision=tally.number_precision,
        duplicate_websocket=repeats(Side.WEBSOCKET),
        duplicate_realtime=repeats(Side.REALTIME),
        out_of_order_websocket=out_of_order(Side.WEBSOCKET),
        out_of_order_realtime=out_of_order(Side.REALTIME),
        late=sum(each.late for each in of.values()),
        unexpected=tally.unexpected if found.has_journal else None,
    )


def _tombstones(tombstones: list[Tombstone] | None, window: Window) -> dict[str, int] | None:
    if tombstones is None:
        return None
    counts: dict[str, int] = {}
    for stone in tombstones:
        if window.covers(stone.epoch, stone.seq, stone.committed_at):
            counts[stone.reason] = counts.get(stone.reason, 0) + 1
    return counts


def _latency(tally: Tally, compared: tuple[Side, ...]) -> tuple[LatencyBasis, Latency]:
    """By commit time; by the events' own time only where no line of any capture has a commit time."""
    sides = [tally.sides[side] for side in compared]
    own_time = not any(each.live.n for each in sides) and any(each.live_by_timestamp.n for each in sides)

    def of(side: Side) -> Histogram:
        return tally.sides[side].live_by_timestamp if own_time else tally.sides[side].live

    each = _each(compared, lambda side: of(side).summary_ms())
    both = len(compared) == len(TRANSPORTS)
    latency = Latency(
        websocket=each.websocket,
        realtime=each.realtime,
        difference=tally.difference.summary_ms() if both else None,
    )
    return "timestamp" if own_time else "committed_at", latency


def _delay(side: SideTally) -> Histogram:
    """Of every first line, whatever way it came."""
    found = Histogram()
    for part in (side.live, side.live_by_timestamp, side.catch_up, side.without_via):
        found.merge(part)
    return found


def _p99s(of: Each[Quantiles], skew: Each[Skew]) -> list[P99]:
    clocks = dict(skew.named())
    return [P99(each.p99, each.n, clocks[name].late) for name, each in of.named()]


def _skew(side: SideTally, summary: Summary | None) -> Skew:
    live, wall = side.live, side.wall_us
    return Skew(
        at_least=max(0, -live.least) / 1000 if live.counts else None,
        set_by=(wall.most - wall.least) / 1000 if wall.counts else None,
        behind=summary.behind_ms if summary is not None else None,
        within=summary.within_ms if summary is not None else None,
    )


def _cell(cell: list[int], compared: tuple[Side, ...]) -> Cell:
    counts: dict[str, int | None] = dict(zip(COLUMNS, cell, strict=True))
    counts |= {f"missing_{side.label}": None for side in TRANSPORTS if side not in compared}
    return msgspec.convert(counts, Cell)


def _minute(minutes: int) -> str:
    return format_time(_DAY_ONE + timedelta(minutes=minutes - 1440))[:16] + "Z"


def _examples(found: dict[str, list[Example]], limit: int) -> dict[str, list[Discrepancy]]:
    order = ("lost", *KINDS)
    return {
        kind: [
            msgspec.convert(example.details, Discrepancy)
            for example in sorted(found[kind], key=lambda each: each.at)[:limit]
        ]
        for kind in order
        if found.get(kind) and limit
    }


def _window(window: Window, tally: Tally) -> Covered:
    return Covered(
        kind=window.kind,
        starts={
            edge.transport: Begin(epoch=edge.epoch, seq=edge.seq, at=_time(edge.at)) for edge in window.starts
        },
        ends={edge.transport: End(at=_time(edge.at)) for edge in window.ends},
        outside=tally.outside,
        excused=tally.excused,
        control=tally.sides[Side.JOURNAL].control,
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _transport(found: Inputs, tally: Tally, side: Side) -> Compared:
    summary = found.summaries.get(side)
    return Compared(
        lines=tally.sides[side].lines,
        received=tally.sides[side].received,
        torn_line=tally.sides[side].torn_line,
        summary=summary_part(summary),
    )


def summary_part(summary: Summary | None) -> CaptureSummary | None:
    """What a capture says of itself, as a report has it."""
    if summary is None:
        return None
    return CaptureSummary(
        role=summary.role,
        complete=summary.complete,
        reason=summary.reason,
        repeats_dropped=summary.repeats_dropped,
        gaps_repaired=summary.gaps_repaired,
        reconnects=summary.reconnects,
    )


def _rls(found: Inputs) -> Rls | None:
    summary = found.summaries.get(Side.REALTIME)
    if summary is None or summary.role is None:
        return None
    return "bypassed" if summary.role == "service_role" else "enforced"
