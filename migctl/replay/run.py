"""Run a replay: publish a recording with its pacing to a `serve` of its own, and compare what both transports delivered.

Events go the way of every producer, over POST /events; what the subscribers received is what is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from migctl.clock import mono, now
from migctl.config import Mode, Target
from migctl.errors import Usage
from migctl.events import encode_event
from migctl.events.jsontext import one_line
from migctl.rehearsal.rehearsal import Progress, Rehearsal, compare, transports_of
from migctl.replay.pacing import Pacer, Speed, schedule
from migctl.replay.recording import Facts, Reading, Recorded, Recording
from migctl.status.losses import SourceLosses
from migctl.validate.gates import Verdict
from migctl.validate.latency import Quantiles
from migctl.validate.result import BeforeJournal, Discrepancies, Each, Latency, Report

REQUEST_BYTES = 4 << 20
POLL_S = 0.25


@dataclass(slots=True)
class ReplayScene:
    """What a display shows. Rates in events/s; `wanted_per_s` is None for speed max."""

    line: str = ""
    since_start_s: float = 0.0
    total: int = 0
    published: int = 0
    elapsed_s: float = 0.0
    expected_s: float = 0.0
    achieved_per_s: float = 0.0
    wanted_per_s: float | None = None
    left_s: float | None = None
    progress: Progress = field(default_factory=Progress)


class ReplayDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`migctl.replay/1`. Rates in events/s; wanted_per_s is None for speed max. report: the file with all figures."""

    schema: Literal["migctl.replay/1"] = "migctl.replay/1"
    recording: str
    events: int
    published: int
    seconds: float
    wanted_per_s: float | None
    achieved_per_s: float
    lost: int
    before_journal: BeforeJournal
    match_percent: float | None
    discrepancies: Discrepancies
    latency_ms: Latency
    delay_ms: Each[Quantiles]
    verdict: Verdict
    report: str


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The end of a replay: the figures, and the report that they are of."""

    document: ReplayDocument
    report: Report
    folder: Path

    @property
    def passed(self) -> bool:
        return self.report.passed


def refuse_bad_lines(path: Path, facts: Facts) -> None:
    """Raises Usage for a recording with lines that are no events, or with none that is."""
    reading = facts.reading
    if reading.rejected:
        line, reason = reading.reasons[0]
        more = f" (and {reading.rejected - 1} more)" if reading.rejected > 1 else ""
        raise Usage(
            f"{path}:{line}: {reason}{more}",
            do="map its fields with --map FIELD=PATH, leave types out with --ignore TYPE, or skip such lines with --skip-bad",
        )
    if not reading.events:
        raise Usage(f"{path}: holds no event", do="name a recording: NDJSON, an event a line")


async def replay(
    recording: Recording,
    facts: Facts,
    *,
    out: Path,
    mode: Mode = "dual",
    speed: Speed = 1.0,
    max_wait_s: float | None = None,
    target: Target | None = None,
    journal: Path | None = None,
    schema: str = "public",
    config: Path | None = None,
    watch: Callable[[ReplayScene], None] = lambda _: None,
) -> ReplayResult:
    """Publish the recording and compare; captures, journal, report and logs stay in `out`.

    facts: of the same recording, speed and bound (`survey`).
    target, journal: a confirmed project and its journal; None for a stack of its own. schema, config: as of Rehearsal.
    Must run in the main thread. Raises MigctlError where a part does not come up or an event is refused.
    """
    scene = ReplayScene(total=facts.reading.events, expected_s=facts.expected_s)
    if speed != "max" and facts.expected_s > 0:
        scene.wanted_per_s = facts.reading.events / facts.expected_s

    began = mono()

    def show(scene: ReplayScene) -> None:
        scene.since_start_s = mono() - began
        watch(scene)

    def notify(line: str) -> None:
        scene.line = line
        show(scene)

    arrived = now()
    async with Rehearsal(
        out, mode=mode, target=target, journal=journal, schema=schema, config=config, notify=notify
    ) as rehearsal:
        await rehearsal.start()
        notify("publishing")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(_follow(rehearsal, scene, show))
            await _publish(rehearsal, recording, Pacer(speed, max_wait_s), arrived, scene, show)
            following.cancel()
        notify("everything is published; waiting until every subscriber has everything")
        await rehearsal.settle(lambda progress: _show(scene, progress, show))
        notify("stopping the parts and comparing what each subscriber received")
        await rehearsal.finish(_lost_on_the_way(facts.reading))
    transports = transports_of(mode)
    report = await compare(out, transports)
    return ReplayResult(_document(recording, facts, scene, report, out), report, out)


def _lost_on_the_way(reading: Reading) -> SourceLosses:
    return SourceLosses(rejected=reading.rejected, unmapped_fields=reading.unmapped.total())


async def _publish(
    rehearsal: Rehearsal,
    recording: Recording,
    pacer: Pacer,
    arrived: datetime,
    scene: ReplayScene,
    watch: Callable[[ReplayScene], None],
) -> None:
    began = mono()
    for due_s, group in schedule(recording.read(arrived=arrived), lambda recorded: recorded.at, pacer):
        while (wait_s := began + due_s - mono()) > 0:
            await asyncio.sleep(min(wait_s, POLL_S))
            _tick(scene, began, watch)
        for lines in requests(group):
            await rehearsal.publish(b"\n".join(lines))
            scene.published += len(lines)
            _tick(scene, began, watch)


def requests(group: Sequence[Recorded], max_bytes: int = REQUEST_BYTES) -> Iterator[list[bytes]]:
    """The lines of a group, cut into requests of at most `max_bytes` (one event may be larger)."""
    return cut((one_line(encode_event(recorded.event)) for recorded in group), max_bytes)


def cut(lines: Iterable[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    """Runs of lines in order, each at most `max_bytes` long in all unless a single line is longer."""
    taken: list[bytes] = []
    size = 0
    for line in lines:
        if taken and size + len(line) > max_bytes:
            yield taken
            taken, size = [], 0
        taken.append(line)
        size += len(line) + 1
    if taken:
        yield taken


async def _follow(rehearsal: Rehearsal, scene: ReplayScene, watch: Callable[[ReplayScene], None]) -> None:
    while True:
        _show(scene, await rehearsal.progress(), watch)
        await asyncio.sleep(POLL_S)


def _show(scene: ReplayScene, progress: Progress, watch: Callable[[ReplayScene], None]) -> None:
    scene.progress = progress
    watch(scene)


def _tick(scene: ReplayScene, began: float, watch: Callable[[ReplayScene], None]) -> None:
    scene.elapsed_s = mono() - began
    scene.achieved_per_s = scene.published / scene.elapsed_s if scene.elapsed_s > 0 else 0.0
    if scene.wanted_per_s is not None:
        scene.left_s = max(scene.expected_s - scene.elapsed_s, 0.0)
    elif scene.achieved_per_s > 0:
        scene.left_s = (scene.total - scene.published) / scene.achieved_per_s
    watch(scene)


def _document(
    recording: Recording, facts: Facts, scene: ReplayScene, report: Report, out: Path
) -> ReplayDocument:
    return ReplayDocument(
        recording=str(recording.path),
        events=facts.reading.events,
        published=report.expected,
        seconds=round(scene.elapsed_s, 3),
        wanted_per_s=scene.wanted_per_s,
        achieved_per_s=round(scene.achieved_per_s, 1),
        lost=report.lost,
        before_journal=report.before_journal,
        match_percent=report.match_percent,
        discrepancies=report.discrepancies,
        latency_ms=report.latency_ms,
        delay_ms=report.delay_ms,
        verdict=report.verdict,
        report=str(out / "report.json"),
    )
