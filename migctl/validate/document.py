"""Document: the JSON of a report, `migctl.report/1`, from what was counted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migctl.events.times import format_time
from migctl.validate.evidence import weigh
from migctl.validate.gates import Bounds, evaluate, overall
from migctl.validate.inputs import Inputs, Tombstone
from migctl.validate.kinds import KINDS, TRANSPORTS, Side
from migctl.validate.latency import Histogram
from migctl.validate.tally import COLUMNS, Example, SideTally, Tally
from migctl.validate.window import Window

SCHEMA = "migctl.report/1"
_DAY_ONE = datetime(1, 1, 1, tzinfo=UTC)


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
) -> dict[str, object]:
    """The report.

    first: (epoch, seq, committed_at) of the journal's first entry. digests: file to sha256.
    """
    compared = found.compared
    lost = tally.lost + _lost_between_epochs(found)
    percent = 100 * tally.matched / tally.expected if tally.expected else None
    basis, latency = _latency(tally, compared)
    evidence = weigh(found, tally, window, first=first)
    gates = evaluate(
        bounds,
        expected=tally.expected,
        match_percent=percent,
        lost=lost,
        latency_p99_ms=[(latency[side.label]["p99"], latency[side.label]["n"]) for side in compared],
    )
    return {
        "schema": SCHEMA,
        "verdict": overall(gates, hidden=bool(evidence.hidden), cut_short=bool(evidence.cut_short)),
        "expected": tally.expected,
        "matched": tally.matched,
        "match_percent": percent,
        "lost": lost,
        "discrepancies": _discrepancies(found, tally),
        "tombstones": _tombstones(found.tombstones, window),
        "latency_ms": latency,
        "catch_up_ms": {
            side.label: tally.sides[side].catch_up.summary_ms() if side in compared else None
            for side in TRANSPORTS
        },
        "latency_basis": basis,
        "clock_skew_ms": {
            side.label: _skew(tally.sides[side]) if side in compared else None for side in TRANSPORTS
        },
        "late_after_s": late_after_s,
        "by_event_type": {
            name: _cell(cell, compared)
            for name, cell in sorted(tally.by_event_type.items(), key=lambda kv: (-kv[1][0], kv[0]))
        },
        "by_minute": {_minute(key): _cell(cell, compared) for key, cell in sorted(tally.by_minute.items())},
        "mismatched_fields": dict(sorted(tally.fields.items(), key=lambda item: (-item[1], item[0]))),
        "examples": _examples(tally.examples, examples),
        "gates": [asdict(gate) for gate in gates],
        "missing_evidence": evidence.missing(gates),
        "remarks": evidence.remarks,
        "window": _window(window, tally),
        "transports": {
            side.label: _transport(found, tally, side) if side in compared else None for side in TRANSPORTS
        },
        "rls": _rls(found),
        "inputs": _files(found, tally, digests),
    }


def _files(found: Inputs, tally: Tally, digests: Mapping[Path, str]) -> list[dict[str, object]]:
    listed = [(each.side.label, each.path, each.size, tally.sides[each.side].lines) for each in found.files]
    if found.tombstones_path is not None:
        stones = len(found.tombstones or ())
        listed.append(("tombstones", found.tombstones_path, found.tombstones_size or 0, stones))
    return [
        {"side": side, "file": str(path), "size": size, "sha256": digests[path], "lines": lines}
        for side, path, size, lines in listed
    ]


def _lost_between_epochs(found: Inputs) -> int:
    """Seqs that a rotation lost for good, as the captures were told: the journal can't list them any more."""
    ranges = {each for summary in found.summaries.values() for each in summary.lost_ranges}
    return sum(last - first + 1 for _, first, last in ranges)


def _discrepancies(found: Inputs, tally: Tally) -> dict[str, int | None]:
    counts: dict[str, int | None] = dict.fromkeys(KINDS)
    for side in found.compared:
        of_side = tally.sides[side]
        counts[f"missing_{side.label}"] = tally.missing[side]
        counts[f"duplicate_{side.label}"] = of_side.repeats
        counts[f"out_of_order_{side.label}"] = of_side.out_of_order
    counts["payload_mismatch"] = tally.payload_mismatch
    counts["number_precision"] = tally.number_precision
    counts["late"] = sum(tally.sides[side].late for side in found.compared)
    counts["unexpected"] = tally.unexpected if found.has_journal else None
    return counts


def _tombstones(tombstones: list[Tombstone] | None, window: Window) -> dict[str, int] | None:
    if tombstones is None:
        return None
    counts: dict[str, int] = {}
    for stone in tombstones:
        if window.covers(stone.epoch, stone.seq, stone.committed_at):
            counts[stone.reason] = counts.get(stone.reason, 0) + 1
    return counts


def _latency(tally: Tally, compared: tuple[Side, ...]) -> tuple[str, dict[str, Any]]:
    """By commit time; by the events' own time only where no line of any capture has a commit time."""
    sides = [tally.sides[side] for side in compared]
    own_time = not any(each.live.n for each in sides) and any(each.live_by_timestamp.n for each in sides)

    def of(side: Side) -> Histogram:
        return tally.sides[side].live_by_timestamp if own_time else tally.sides[side].live

    latency: dict[str, Any] = {
        side.label: of(side).summary_ms() if side in compared else None for side in TRANSPORTS
    }
    latency["difference"] = tally.difference.summary_ms() if len(compared) == len(TRANSPORTS) else None
    return "timestamp" if own_time else "committed_at", latency


def _skew(side: SideTally) -> dict[str, float | None]:
    """at_least: how far the receiver's clock is behind the journal's, seen where an event came before its commit.

    set_by: how far the receiver's clock was set while it captured, against its monotonic one.
    """
    live, wall = side.live, side.wall_us
    return {
        "at_least": max(0, -live.least) / 1000 if live.counts else None,
        "set_by": (wall.most - wall.least) / 1000 if wall.counts else None,
    }


def _cell(cell: list[int], compared: tuple[Side, ...]) -> dict[str, int | None]:
    skipped = {f"missing_{side.label}" for side in TRANSPORTS if side not in compared}
    return {name: None if name in skipped else count for name, count in zip(COLUMNS, cell, strict=True)}


def _minute(minutes: int) -> str:
    return format_time(_DAY_ONE + timedelta(minutes=minutes - 1440))[:16] + "Z"


def _examples(found: dict[str, list[Example]], limit: int) -> dict[str, list[dict[str, object]]]:
    order = ("lost", *KINDS)
    return {
        kind: [example.details for example in sorted(found[kind], key=lambda each: each.at)[:limit]]
        for kind in order
        if found.get(kind) and limit
    }


def _window(window: Window, tally: Tally) -> dict[str, object]:
    return {
        "kind": window.kind,
        "starts": {
            edge.transport: {"epoch": edge.epoch, "seq": edge.seq, "at": _time(edge.at)}
            for edge in window.starts
        },
        "ends": {edge.transport: {"at": _time(edge.at)} for edge in window.ends},
        "outside": tally.outside,
        "excused": tally.excused,
        "control": tally.sides[Side.JOURNAL].control,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _transport(found: Inputs, tally: Tally, side: Side) -> dict[str, object]:
    summary = found.summaries.get(side)
    return {
        "lines": tally.sides[side].lines,
        "received": tally.sides[side].received,
        "torn_line": tally.sides[side].torn_line,
        "summary": None
        if summary is None
        else {
            "role": summary.role,
            "complete": summary.complete,
            "reason": summary.reason,
            "repeats_dropped": summary.repeats_dropped,
            "gaps_repaired": summary.gaps_repaired,
            "reconnects": summary.reconnects,
        },
    }


def _rls(found: Inputs) -> str | None:
    """Whether row level security stood between the Realtime capture and the rows; None where no summary says so."""
    summary = found.summaries.get(Side.REALTIME)
    if summary is None or summary.role is None:
        return None
    return "bypassed" if summary.role == "service_role" else "enforced"
