"""Whatever is planted in captures is counted exactly, and nothing else is: in one process or two, in memory or spilled."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migctl.validate import report
from migctl.validate.inputs import find, window_of
from migctl.validate.kinds import KINDS
from migctl.validate.latency import Histogram
from migctl.validate.shard import Job, run
from migctl.validate.tally import Tally
from tests.kit.captures import Scene, entry, received

TRANSPORTS = ("websocket", "realtime")
COUNT = 40
FAULTS = (
    "missing",
    "lost",
    "body",
    "precision",
    "duplicate",
    "late",
    "table_late",
    "unexpected",
    "type",
    "time",
    "source",
)


class Planted:
    """A scene with faults, and the counts that a report of it must have."""

    def __init__(self) -> None:
        self.scene = Scene(COUNT)
        self.counts: dict[str, int] = dict.fromkeys((*KINDS, "lost"), 0)
        self.spoiled: set[int] = set()

    def line(self, transport: str, seq: int) -> dict[str, Any]:
        found = [line for line in self.scene.lines(transport) if line["seq"] == seq]
        return dict(found[0])

    def replace(self, transport: str, seq: int, line: dict[str, Any]) -> None:
        lines = self.scene.lines(transport)
        lines[next(i for i, old in enumerate(lines) if old["seq"] == seq)] = line

    def remove(self, transport: str, seq: int) -> None:
        lines = self.scene.lines(transport)
        del lines[next(i for i, old in enumerate(lines) if old["seq"] == seq)]

    def plant(self, fault: str, seq: int, transport: str, shift: int) -> None:
        """One fault at an event that has none yet."""
        if fault == "missing":
            self.remove(transport, seq)
            self.counts[f"missing_{transport}"] += 1
            self.spoiled.add(seq)
        elif fault == "lost":
            for each in TRANSPORTS:
                self.remove(each, seq)
                self.counts[f"missing_{each}"] += 1
            self.counts["lost"] += 1
            self.spoiled.add(seq)
        elif fault in ("body", "type", "time", "source"):
            line = self.line(transport, seq)
            change: dict[str, dict[str, Any]] = {
                "body": {"data": line["data"] | {"n": -1}},
                "type": {"event_type": "other"},
                "time": {"timestamp": "2026-01-31T11:59:00.000001Z"},
                "source": {"source": "elsewhere"},
            }
            self.replace(transport, seq, line | change[fault])
            self.counts["payload_mismatch"] += 1
            self.spoiled.add(seq)
        elif fault == "precision":
            line = self.line(transport, seq)
            self.replace(transport, seq, line | {"data": line["data"] | {"x": 0.1}})
            other = next(each for each in TRANSPORTS if each != transport)
            for each in ("journal", other):
                old = self.line(each, seq)
                self.replace(each, seq, old | {"data": old["data"] | {"x": "EXACT"}})
            self.counts["number_precision"] += 1
        elif fault == "duplicate":
            lines = self.scene.lines(transport)
            at = next(i for i, old in enumerate(lines) if old["seq"] == seq)
            lines.insert(min(len(lines), at + 1 + shift), dict(lines[at]))
            self.counts[f"duplicate_{transport}"] += 1
        elif fault in ("late", "table_late"):
            via = "live" if fault == "late" else "table"
            self.replace(
                transport,
                seq,
                received(
                    self.line("journal", seq) | {"data": self.line(transport, seq)["data"]},
                    transport,
                    after_ms=5001,
                    via=via,
                ),
            )
            self.counts["late"] += fault == "late"
        elif fault == "unexpected":
            stranger = entry(10_000 + seq) | {"seq": seq, "epoch": self.line("journal", seq)["epoch"]}
            lines = self.scene.lines(transport)
            at = next(i for i, old in enumerate(lines) if old["seq"] == seq)
            lines.insert(at + 1, received(stranger, transport))
            self.counts["unexpected"] += 1


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[str, int, str, int]]:
    seqs = draw(st.lists(st.integers(1, COUNT), unique=True, max_size=12))
    return [
        (draw(st.sampled_from(FAULTS)), seq, draw(st.sampled_from(TRANSPORTS)), draw(st.integers(0, 5)))
        for seq in seqs
    ]


def written(planted: Planted, folder: Path) -> Path:
    planted.scene.write(folder)
    for path in folder.glob("*.ndjson"):  # a number that no double holds can't come through json.dumps
        path.write_text(path.read_text().replace('"EXACT"', "0.1000000000000000055511151231257827"))
    return folder


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans(), st.sampled_from(["memory", "spill", "deep spill"]))
def test_planted_discrepancies_are_counted_exactly(
    plan: list[tuple[str, int, str, int]], memory: str
) -> None:
    planted = Planted()
    for fault, seq, transport, shift in plan:
        planted.plant(fault, seq, transport, shift)
    budget = {"memory": 512 << 20, "spill": 20_000, "deep spill": 6_000}[memory]
    with tempfile.TemporaryDirectory() as scratch:
        made = report(written(planted, Path(scratch) / "s"), processes=1, memory_bytes=budget).to_json()
    assert made["discrepancies"] | {"lost": made["lost"]} == planted.counts
    assert made["expected"] == COUNT
    assert made["matched"] == COUNT - len(planted.spoiled)
    for total, cells in (("by_event_type", made["by_event_type"]), ("by_minute", made["by_minute"])):
        for key in ("expected", "matched", "lost"):
            assert sum(cell[key] for cell in cells.values()) == made[key], total
    for kind, count in planted.counts.items():
        assert len(made["examples"].get(kind, [])) == min(count, 10)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(1, 13)), st.permutations(range(1, 13)), st.integers(1, 3))
def test_order_is_judged_by_the_highest_seq_before(ours: list[int], theirs: list[int], copies: int) -> None:
    scene = Scene(12)
    scene.websocket = [scene.websocket[seq - 1] for seq in ours]
    scene.realtime = [scene.realtime[seq - 1] for seq in theirs for _ in range(copies)]

    def low(seqs: list[int]) -> int:
        return sum(seq < max(seqs[:at], default=0) for at, seq in enumerate(seqs))

    with tempfile.TemporaryDirectory() as scratch:
        found = report(scene.write(Path(scratch) / "s"), processes=1).to_json()
    assert found["discrepancies"]["out_of_order_websocket"] == low(ours)
    assert found["discrepancies"]["out_of_order_realtime"] == low(theirs)
    assert found["discrepancies"]["duplicate_realtime"] == 12 * (copies - 1)
    assert found["matched"] == 12


@settings(max_examples=8, deadline=None)
@given(plans())
def test_two_processes_find_what_one_finds(plan: list[tuple[str, int, str, int]]) -> None:
    planted = Planted()
    for fault, seq, transport, shift in plan:
        planted.plant(fault, seq, transport, shift)
    with tempfile.TemporaryDirectory() as scratch:
        folder = written(planted, Path(scratch) / "s")
        one = report(folder, processes=1, discrepancies=Path(scratch) / "one").to_json()
        two = report(folder, processes=2, discrepancies=Path(scratch) / "two").to_json()
        all_lines = [sorted((Path(scratch) / name).read_text().splitlines()) for name in ("one", "two")]
    assert one == two
    assert all_lines[0] == all_lines[1]
    counted = dict.fromkeys(planted.counts, 0)
    for line in all_lines[0]:
        counted[next(kind for kind in counted if f'"kind":"{kind}"' in line)] += 1
    assert counted == planted.counts


@settings(max_examples=60, deadline=None)
@given(plans(), st.sampled_from([1, 2, 4]), st.sampled_from([700, 3000]), st.sampled_from([512 << 20, 9000]))
def test_neither_shards_nor_blocks_nor_memory_make_a_difference(
    plan: list[tuple[str, int, str, int]], shards: int, block: int, memory: int
) -> None:
    """Blocks of a few lines: some are taken as a whole, those with a fault line by line."""
    planted = Planted()
    for fault, seq, transport, shift in plan:
        planted.plant(fault, seq, transport, shift)

    def tally(shards: int, block: int, memory: int) -> dict[str, Any]:
        total = Tally()
        for shard in range(shards):
            job = Job(
                inputs=found.files,
                window=window_of(found, "captures"),
                late_after_s=5.0,
                examples=100,
                shard=shard,
                shards=shards,
                memory_bytes=memory,
                block_bytes=block,
            )
            total.merge(run(job))
        total.peak_bytes = total.spilled_bytes = 0
        for examples in total.examples.values():
            examples.sort(key=lambda example: (example.at, example.details["id"]))
        for side in total.sides:  # sampled, so it depends on who saw what
            side.wall_us = Histogram()
        counted: dict[str, Any] = msgspec.to_builtins(total)
        return counted

    with tempfile.TemporaryDirectory() as scratch:
        folder = written(planted, Path(scratch) / "s")
        found = find(folder, journal=None, captures={}, tombstones=None)
        assert tally(shards, block, memory) == tally(1, 1 << 20, 512 << 20)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_without_a_journal_the_union_is_expected(data: st.DataObject) -> None:
    scene = Scene(20)
    gone = {name: data.draw(st.sets(st.integers(1, 20), max_size=19)) for name in TRANSPORTS}
    for name in TRANSPORTS:
        setattr(scene, name, [line for line in scene.lines(name) if line["seq"] not in gone[name]])
    with tempfile.TemporaryDirectory() as scratch:
        found = report(scene.write(Path(scratch) / "s", journal=False), processes=1).to_json()
    both = gone["websocket"] & gone["realtime"]
    assert found["expected"] == 20 - len(both)
    assert found["matched"] == 20 - len(gone["websocket"] | gone["realtime"])
    assert found["discrepancies"]["missing_websocket"] == len(gone["websocket"] - both)
    assert found["discrepancies"]["missing_realtime"] == len(gone["realtime"] - both)
    assert found["discrepancies"]["unexpected"] is None
    assert found["lost"] == 0
