"""Verdict of a soak: what was acknowledged against journal, table and each subscriber; and the figures of measures.

Reads what is left in the deployment's folder; everything has ended before.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.availability import (
    Fault,
    Releases,
    availability_percent,
    blame,
    first_after,
    longest_silence_s,
    missed_seconds,
    spans,
)
from benchmarks.deployment import Deployment, Subscriber
from migctl.journal.sqlite import read_file

Place = tuple[str, int]
GRACES = {"availability_percent": 2.0, "availability_without_grace_percent": 0.0}


class Line(msgspec.Struct, gc=False):
    """What is needed of a capture's line."""

    id: str
    epoch: str
    seq: int
    committed_at: datetime
    received_at: datetime
    # Literals are kept once, however many lines there are.
    transport: Literal["websocket", "realtime"]
    via: Literal["live", "resume", "table", "fetch"]


class Acknowledged(msgspec.Struct):
    ids: list[str]
    tries: int


@dataclass(frozen=True)
class Committed:
    """An event of the journal."""

    place: Place
    id: str
    at: float


@dataclass(frozen=True)
class Heard:
    """A subscriber's side. whole: a migctl.Subscriber, with a fallback; away: when it was stopped by us."""

    name: str
    kind: str
    lines: Sequence[Line]
    start: Place
    complete: bool
    away: Sequence[tuple[float, float]] = ()

    @property
    def whole(self) -> bool:
        return self.kind.startswith("whole:")


def read_lines(path: Path, kind: Any) -> Iterator[Any]:
    """A torn last line is none."""
    decode = msgspec.json.Decoder(kind).decode
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield decode(line)


def heard_by(subscriber: Subscriber, away: Sequence[tuple[float, float]]) -> Heard:
    lines = list(read_lines(subscriber.path, Line))
    for line in lines:  # one text for all, too: a soak has millions of lines
        line.epoch = sys.intern(line.epoch)
    summary = subscriber.summary
    start = (summary or {}).get("from")
    first = (lines[0].epoch, lines[0].seq - 1) if lines else ("", 0)
    return Heard(
        subscriber.name,
        subscriber.kind,
        lines,
        (start["epoch"], start["seq"]) if start else first,
        bool(summary and summary["complete"] and not summary["discontinuities"]),
        away,
    )


def truth_of(on: Deployment) -> tuple[list[Committed], list[tuple[Place, str]], list[tuple[Place, str]]]:
    """Journal, rows, tombstones."""
    import psycopg

    journal = [
        Committed((entry.epoch, entry.seq), entry.event.id, entry.committed_at.timestamp())
        for entry in read_file(on.journal)
    ]
    with psycopg.connect(on.direct.need("database_url")) as connection:
        tables = [
            [
                ((str(row[0]), row[1]), str(row[2]))
                for row in connection.execute(f"SELECT epoch, seq, id FROM {table} WHERE seq IS NOT NULL")
            ]
            for table in ("monitoring_events", "monitoring_tombstones")
        ]
    return journal, tables[0], tables[1]


def judge_store(
    acknowledged: Sequence[str],
    journal: Sequence[Committed],
    rows: Sequence[tuple[Place, str]],
    tombstones: Sequence[tuple[Place, str]],
) -> dict[str, int]:
    """Counts that are 0 when nothing was lost or doubled, and how much there was."""
    kept = {event.place: event.id for event in journal}
    held = dict(rows) | dict(tombstones)
    ids = Counter(event_id for _, event_id in rows)
    by_epoch: dict[str, list[int]] = {}
    for event in journal:
        by_epoch.setdefault(event.place[0], []).append(event.place[1])
    return {
        "acknowledged": len(acknowledged),
        "committed": len(journal),
        "rows": len(rows),
        "tombstones": len(tombstones),
        "epochs": len(by_epoch),
        "lost_after_acknowledgement": len(set(acknowledged) - set(kept.values())),
        "lost_on_the_way_to_the_table": len(kept.keys() - held.keys()),
        "strangers_in_the_table": sum(kept.get(place) != event_id for place, event_id in held.items()),
        "never_acknowledged": len(set(kept.values()) - set(acknowledged)),
        "holes_in_seqs": sum(max(seqs) - len(set(seqs)) for seqs in by_epoch.values()),
        "doubled_in_the_journal": len(journal) - len(set(kept.values())),
        "doubled_in_the_table": sum(count - 1 for count in ids.values()),
        "rows_that_are_tombstones_too": len(
            {place for place, _ in rows} & {place for place, _ in tombstones}
        ),
    }


# Of these none may be above 0.
MUST_BE_ZERO = (
    "lost_after_acknowledgement", "lost_on_the_way_to_the_table", "strangers_in_the_table", "never_acknowledged",
    "holes_in_seqs", "doubled_in_the_journal", "doubled_in_the_table", "rows_that_are_tombstones_too",
)  # fmt: skip


def judge_subscriber(heard: Heard, journal: Sequence[Committed]) -> dict[str, Any]:
    """What it lost, what came twice, and whether it was in order."""
    wanted = [event for event in journal if event.place > heard.start]
    places = [(line.epoch, line.seq) for line in heard.lines]
    got = Counter(places)
    ids = {event.place: event.id for event in journal}
    return {
        "kind": heard.kind,
        "wanted": len(wanted),
        "released": len(places),
        "lost": sum(event.place not in got for event in wanted),
        "doubled": sum(count - 1 for count in got.values()),
        "out_of_order": sum(later <= earlier for earlier, later in pairwise(places)),
        "strangers": sum(ids.get((line.epoch, line.seq)) != line.id for line in heard.lines),
        "complete": heard.complete,
        "live_percent": round(100 * sum(line.via == "live" for line in heard.lines) / len(places), 2)
        if places
        else None,
    }


def releases_of(heard: Heard, journal: Sequence[Committed]) -> Releases:
    arrived = {(line.epoch, line.seq): line.received_at.timestamp() for line in reversed(heard.lines)}
    wanted = [event for event in journal if event.place > heard.start]
    return Releases([event.at for event in wanted], [arrived.get(event.place, inf) for event in wanted])


def recovered_s(heard: Heard, lifted: float) -> float | None:
    """Seconds from a fault's end to the first release through live Realtime of what was committed since."""
    for line in heard.lines:
        if line.transport == "realtime" and line.via == "live" and line.committed_at.timestamp() >= lifted:
            return line.received_at.timestamp() - lifted
    return None


def figures(
    everyone: Sequence[Heard],
    journal: Sequence[Committed],
    faults: Sequence[Fault],
    since: float,
    until: float,
) -> dict[str, Any]:
    """Availability of each and of each kind, silences, and what each fault did."""
    releases = {heard.name: releases_of(heard, journal) for heard in everyone}
    subscribers: dict[str, dict[str, Any]] = {}
    kinds: dict[str, dict[str, list[int]]] = {}
    blamed: dict[str, dict[int | None, dict[str, list[int]]]] = {}
    for measure, grace_s in GRACES.items():
        missed: dict[str, set[int]] = {}
        for heard in everyone:
            missed[heard.name], wanted = missed_seconds(
                releases[heard.name], since=since, until=until, grace_s=grace_s, away=heard.away
            )
            count = len(missed[heard.name])
            found = subscribers.setdefault(heard.name, {})
            found[measure] = availability_percent(count, wanted)
            for kind in (heard.kind, *(["whole"] if heard.whole else [])):
                kinds.setdefault(kind, {}).setdefault(measure, [0, 0])
                kinds[kind][measure][0] += count
                kinds[kind][measure][1] += wanted
        blamed[measure] = blame(missed, faults, since)
    for heard in everyone:
        silence = longest_silence_s(releases[heard.name], until=until)
        subscribers[heard.name]["longest_silence_ms"] = round(silence[0] * 1000) if silence else None
        subscribers[heard.name]["longest_silence_at_s"] = round(silence[1] - since, 1) if silence else None
    return {
        "availability": {
            kind: {measure: availability_percent(*counts) for measure, counts in found.items()}
            for kind, found in kinds.items()
        },
        "subscribers": subscribers,
        "faults": [
            effects(number, fault, everyone, releases, blamed, since) for number, fault in enumerate(faults)
        ],
        "missed_without_a_fault": {
            measure: {name: spans(seconds) for name, seconds in found.get(None, {}).items()}
            for measure, found in blamed.items()
        },
    }


def effects(
    number: int,
    fault: Fault,
    everyone: Sequence[Heard],
    releases: Mapping[str, Releases],
    blamed: Mapping[str, Mapping[int | None, Mapping[str, Sequence[int]]]],
    since: float,
) -> dict[str, Any]:
    """What one fault did."""
    whole = [heard for heard in everyone if heard.whole]
    # Who was stopped did not have to fall back.
    affected = [
        heard for heard in whole if not any(first <= fault.armed + 0.5 <= last for first, last in heard.away)
    ]
    falls = [first_after(releases[heard.name], fault.armed) for heard in affected]
    returns = [recovered_s(heard, fault.lifted) for heard in whole if heard.kind == "whole:realtime"]
    return {
        "fault": fault.name,
        "armed_at_s": round(fault.armed - since, 1),
        "lasted_s": round(fault.lifted - fault.armed, 1),
        "time_to_fallback_ms": _worst_ms(falls),
        "time_to_recover_ms": _worst_ms(returns),
        "missed": {
            measure: {name: spans(seconds) for name, seconds in found.get(number, {}).items()}
            for measure, found in blamed.items()
        },
    }


def _worst_ms(seconds: Sequence[float | None]) -> int | None:
    """None where one of them has none: that would be the worst."""
    if not seconds or None in seconds:
        return None
    return round(1000 * max(value for value in seconds if value is not None))
