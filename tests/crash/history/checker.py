"""The verdict on a history: what was promised, held against what happened. Pure.

| name | what is wrong |
|---|---|
| `lost` | an acknowledged event is not in the table |
| `doubled` | an event, or an id, stands at two positions; or was acknowledged as new twice |
| `moved` | an event is at another position than its acknowledgement gave, or another answer |
| `order` | an event was given a position at or below one that was acknowledged before it was first sent |
| `torn` | of a request only a part was taken, or its events don't stand in a row |
| `refused` | an honest request was refused for good |
| `conflict` | an id of before with another body was taken |
| `heads` | a head of the table or the tail fell, or the table is ahead of the journal |
| `behind` | a reader was answered a head below what was acknowledged before it asked |
| `gap` | a reader missed a position |
| `repeat` | a reader received a position again, or went back |
| `resume` | a reader's position was not resumed although it is still held |
| `trimmed` | the journal holds less than it was told to keep |
| `let in` | a token that is revoked, or never was, opened something |
| `expired` | something was received on a token that had ended |
| `disagreement` | two of them have different events at one position |
| `altered` | an event is not what was sent |
| `invented` | an event that nobody sent |
| `hole` | up to the table's head there is a position with neither row nor tombstone |
| `tombstone` | an event that the table can hold has a tombstone, or one that it can't hold a row |
| `rotated` | the epoch changed, though no journal was lost |
| `ended` | `serve` ended by itself, or not with 0 when it was asked to |
| `tool` | a command ended with another code than it must: a second `serve` was not refused, a backup failed |
| `log` | `serve`, or a worker of it, had an error of its own |
| `late` | in the end, with all parts well, somebody does not have everything |
| `nothing` | too little happened for a verdict |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.crash.history.records import Record
from tests.crash.history.runs import Reader

Place = tuple[str, int]
_KEPT_EACH = 12
_ALL = 1 << 62
# A token's end is looked at now and then, by clocks that differ.
_EXPIRED_S = 5.0


@dataclass(frozen=True, slots=True)
class Violation:
    name: str
    what: str
    line: int


@dataclass(slots=True)
class Request:
    """markers: in their order. floor: the highest seq that was acknowledged before it was first sent; None while it was not."""

    markers: tuple[str, ...]
    floor: int | None = None
    acknowledged: bool = False


@dataclass(slots=True)
class Event:
    request: Request
    digest: str
    source: str
    id: str | None
    holdable: bool
    acknowledged: Place | None = None
    as_new: bool = False


@dataclass
class Report:
    violations: list[Violation] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        return not self.found


class Checker:
    """`feed` each record, then `finish`."""

    def __init__(self) -> None:
        self.report = Report()
        self._line = 0
        self._requests: dict[tuple[str, int], Request] = {}
        self._events: dict[str, Event] = {}
        self._top = 0
        self._epoch: str | None = None
        self._at: dict[Place, tuple[str, str, str]] = {}  # marker, digest, who had it first
        self._places: dict[str, Place] = {}
        self._ids: dict[str, Place] = {}
        self._readers: dict[str, Reader] = {}
        self._heads: dict[str, Record] = {}
        self._rows: dict[Place, str] = {}
        self._end: Record | None = None
        self._keeps = _ALL

    def feed(self, record: Record) -> None:
        self._line += 1
        getattr(self, f"_on_{record['k']}")(record)

    def finish(self) -> Report:
        end = self._end
        if end is None:
            self._wrong("nothing", "the history has no end")
        else:
            self._finish_table(end)
            self._finish_requests()
            self._finish_readers(end)
        for name in ("acknowledged", "received", "faults", "rows"):
            if not self.report.counts[name]:
                self._wrong("nothing", f"there were no {name}")
        return self.report

    def _wrong(self, name: str, what: str) -> None:
        self.report.found[name] += 1
        if self.report.found[name] <= _KEPT_EACH:
            self.report.violations.append(Violation(name, what, self._line))

    # Producers

    def _on_run(self, record: Record) -> None:
        """The rest of how it began is for people."""
        self._keeps = record.get("keeps", _ALL)

    def _on_made(self, record: Record) -> None:
        request = Request(tuple(one["m"] for one in record["events"]))
        self._requests[record["p"], record["b"]] = request
        for one in record["events"]:
            self._events[one["m"]] = Event(request, one["d"], one["s"], one["id"], one["h"])

    def _on_send(self, record: Record) -> None:
        request = self._requests[record["p"], record["b"]]
        self.report.counts["requests sent"] += 1
        if request.floor is None:
            request.floor = self._top
        else:
            self.report.counts["requests sent again"] += 1

    def _on_ack(self, record: Record) -> None:
        request = self._requests[record["p"], record["b"]]
        request.acknowledged = True
        for marker, epoch, seq, duplicate, id_ in record["at"]:
            event, place = self._events[marker], (epoch, seq)
            self._in_epoch(epoch)
            if event.acknowledged is None:
                event.acknowledged = place
                self.report.counts["acknowledged"] += 1
            elif event.acknowledged != place:
                self._wrong("moved", f"{marker}: acknowledged at {event.acknowledged}, later at {place}")
            if not duplicate:
                if event.as_new:
                    self._wrong("doubled", f"{marker}: acknowledged as new twice, now at {place}")
                event.as_new = True
            if event.id is None:
                event.id = id_
            elif id_ is not None and id_ != event.id:
                self._wrong("altered", f"{marker}: has the id {id_}, and had {event.id}")
            if request.floor is None or seq <= request.floor:
                self._wrong("order", f"{marker}: at {place}, though {request.floor} was acknowledged before")
            self._agree(place, marker, event.digest, f"the answer to {record['p']}")
            self._top = max(self._top, seq)

    def _on_no(self, record: Record) -> None:
        self.report.counts[f"answered {record['status']}"] += 1
        if record["status"] not in (408, 502, 503, 504):
            what = f"{record['p']} {record['b']}: {record['status']} {record['body']}"
            self._wrong("refused", what)

    def _on_lost(self, record: Record) -> None:
        self.report.counts["answers lost"] += 1

    def _on_conflict(self, record: Record) -> None:
        self.report.counts["conflicts tried"] += 1
        if record["status"] == 201:
            self._wrong("conflict", f"an id of before, with another body, was taken: {record}")

    # Readers

    def _on_open(self, record: Record) -> None:
        reader = self._readers.setdefault(record["r"], Reader(record["r"], record["kind"], record["run"]))
        self.report.counts[f"opened by {record['kind']}"] += 1
        after = record["after"]
        self._all_wrong(reader.open(None if after is None else (after[0], after[1]), self._top))

    def _on_hello(self, record: Record) -> None:
        self._in_epoch(record["epoch"])
        if record["resume"] == "recovered":
            self.report.counts["resumed"] += 1
        held = record["head"] - record["tail"] + 1
        if held < min(self._keeps, record["head"]):
            self._wrong("trimmed", f"{held} of {record['head']} are held, and {self._keeps} are to be kept")
        self.report.counts["resumed where nothing was held"] += record["resume"] == "unrecoverable"
        self._all_wrong(self._readers[record["r"]].hello(record))

    def _on_gone(self, record: Record) -> None:
        self._in_epoch(record["epoch"])
        self.report.counts["positions gone"] += 1
        self._all_wrong(self._readers[record["r"]].gone(record["tail"]))

    def _on_expired(self, record: Record) -> None:
        self.report.counts["received on an ended token"] += 1
        if record["over_s"] > _EXPIRED_S:
            self._wrong("expired", f"{record['r']}: {record['over_s']} s after its token's end")

    def _on_stranger(self, record: Record) -> None:
        self.report.counts[f"a stranger was answered {record['status']}"] += 1
        if record["status"] not in (401, 429, 503, 4401):
            self._wrong("let in", f"{record['door']}: {record['status']}")

    def _on_event(self, record: Record) -> None:
        reader, marker = self._readers[record["r"]], record["m"]
        self.report.counts["received"] += 1
        self.report.counts[f"received by {reader.kind}"] += 1
        if not self._as_sent(marker, record, reader.name):
            return
        if "seq" in record:
            place = (record["epoch"], record["seq"])
            self._agree(place, marker, record["d"], reader.name)
            self._all_wrong(reader.event(place))
        else:
            reader.markers[-1].append(marker)

    def _on_close(self, record: Record) -> None:
        """Whoever asks again says where from."""

    def _on_heads(self, record: Record) -> None:
        self.report.counts["heads read"] += 1
        self._in_epoch(record["epoch"])
        before = self._heads.get(record["epoch"], record)
        for name in ("tail", "head", "journal"):
            if record[name] < before[name]:
                self._wrong("heads", f"{name} fell from {before[name]} to {record[name]}")
        if record["head"] > record["journal"]:
            self._wrong("heads", f"the table's {record['head']} is above the journal's {record['journal']}")
        self._heads[record["epoch"]] = record

    # The nemesis

    def _on_fault(self, record: Record) -> None:
        self.report.counts["faults"] += 1
        self.report.faults[record["name"]] += 1

    def _on_ended(self, record: Record) -> None:
        if record["how"] == "itself" or (record["how"] == "term" and record["code"] != 0):
            self._wrong("ended", f"serve ended with {record['code']}: {record['how']}")

    def _on_tool(self, record: Record) -> None:
        self.report.counts[f"`{record['words']}` run"] += 1
        if record["code"] != record["right"]:
            self._wrong(
                "tool",
                f"`{record['words']}` ended with {record['code']}, not with {record['right']}: {record['out']}",
            )

    def _on_log(self, record: Record) -> None:
        for line in record["errors"]:
            self._wrong("log", line)

    # The end

    def _on_row(self, record: Record) -> None:
        place, marker = (record["epoch"], record["seq"]), record["m"]
        self.report.counts["rows"] += 1
        self._in_epoch(record["epoch"])
        if place in self._rows:
            self._wrong("doubled", f"{place} has both a row and a tombstone, or two of them")
        self._rows[place] = marker
        if not self._as_sent(marker, record, "the table"):
            return
        self._agree(place, marker, record["d"], "the table")
        acknowledged = self._events[marker].acknowledged
        if acknowledged not in (None, place):
            self._wrong("moved", f"{marker}: acknowledged at {acknowledged}, in the table at {place}")
        if (record["tombstone"] is None) != self._events[marker].holdable:
            self._wrong("tombstone", f"{marker} at {place}: tombstone {record['tombstone']}")
        if record["tombstone"] is not None:
            self.report.counts["tombstones"] += 1

    def _on_end(self, record: Record) -> None:
        self._end = record

    def _finish_table(self, end: Record) -> None:
        if end["late"]:
            self._wrong("late", f"{', '.join(end['late'])}; {end['problems']}")
        seqs = sorted(seq for epoch, seq in self._rows if epoch == end["epoch"])
        heads = self._heads.get(end["epoch"], {"tail": 1, "head": 0})
        # What a table that is behind does not have yet is late, and not lost.
        reached = heads["head"] if end["late"] else end["head"]
        expected = range(heads["tail"], reached + 1)
        missing = sorted(set(expected) - set(seqs))
        if missing:
            self._wrong("hole", f"{len(missing)} of {len(expected)} positions, from {missing[:5]} on")
        if self._top > end["head"]:
            self._wrong("lost", f"{self._top} was acknowledged, and the journal ends at {end['head']}")
        there = set(self._rows.values())
        for marker, event in self._events.items():
            if event.acknowledged is None or marker in there:
                continue
            if event.acknowledged[1] > reached:
                self.report.counts["not yet in the table"] += 1
            else:
                self.report.counts["lost"] += 1
                self._wrong("lost", f"{marker}, acknowledged at {event.acknowledged}, is not in the table")

    def _finish_requests(self) -> None:
        for key, request in self._requests.items():
            places = [self._places[one] for one in request.markers if one in self._places]
            row = [(places[0][0], places[0][1] + n) for n in range(len(request.markers))] if places else []
            if places != row:
                self._wrong("torn", f"{key}: {len(request.markers)} events at {places[:8]}")
            if not request.acknowledged:
                self.report.counts["requests given up"] += 1
                self.report.counts["given up, and taken all the same"] += bool(places)

    def _finish_readers(self, end: Record) -> None:
        for reader in self._readers.values():
            self.report.counts["reader runs"] += reader.runs
            self._all_wrong(reader.finish(self._places, (end["epoch"], end["head"])))

    # What all of them say

    def _all_wrong(self, found: Iterable[tuple[str, str]]) -> None:
        for name, what in found:
            self._wrong(name, what)

    def _in_epoch(self, epoch: str) -> None:
        if self._epoch is None:
            self._epoch = epoch
        elif self._epoch != epoch:
            self._wrong("rotated", f"from {self._epoch} to {epoch}")
            self._epoch = epoch

    def _as_sent(self, marker: str, record: Record, who: str) -> bool:
        event = self._events.get(marker)
        if event is None or event.request.floor is None:
            self._wrong("invented", f"{who}: {record}")
            return False
        known: dict[str, Any] = {"d": event.digest, "s": event.source}
        if event.id is not None:
            known["id"] = event.id
        for name, value in known.items():
            if record.get(name, value) != value:
                self._wrong("altered", f"{who}: {marker} has {name} {record[name]}, sent was {value}")
        return True

    def _agree(self, place: Place, marker: str, digest: str, who: str) -> None:
        there = self._at.setdefault(place, (marker, digest, who))
        if there[:2] != (marker, digest):
            self._wrong("disagreement", f"{place}: {who} has {marker}, {there[2]} has {there[0]}")
        first = self._places.setdefault(marker, place)
        if first != place:
            self._wrong("doubled", f"{marker}: at {first}, and for {who} at {place}")


def check(records: Iterable[Record]) -> Report:
    """The verdict on a whole history."""
    checker = Checker()
    for record in records:
        checker.feed(record)
    return checker.finish()
