"""The demo: the main job end to end, on real input, with a failure in the middle.

A stack of its own, `serve` in dual mode on this host's metrics, a subscriber for each transport, the stand-in for Supabase killed
and started again, and a report computed from what the subscribers wrote to disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from migctl.clock import mono
from migctl.config import Mode
from migctl.rehearsal.rehearsal import Progress, Rehearsal, compare, transports_of
from migctl.stack.keys import Kind
from migctl.transports.protocol import TransportName
from migctl.validate.gates import Verdict
from migctl.validate.latency import Quantiles
from migctl.validate.result import Report

OUTAGE_S = 3.0
POLL_S = 0.2

Phase = Literal["prepare", "publish", "outage", "back", "settle", "compare", "done"]
LINES: dict[Phase, str] = {
    "publish": "publishing this host's metrics: to disk first, then to subscribers",
    "outage": "Supabase is killed (SIGKILL): what is meant for it waits on disk",
    "back": "Supabase is back: what has waited is delivered, in order",
    "settle": "publishing has ended; waiting until every subscriber has everything",
    "compare": "stopping all parts, and comparing what each subscriber wrote down",
}


@dataclass(slots=True)
class Scene:
    """What a display shows: the phase, a line on it, seconds since the start, seconds published and wanted, and the counts."""

    phase: Phase = "prepare"
    line: str = ""
    since_start_s: float = 0.0
    elapsed_s: float = 0.0
    seconds: float = 0.0
    progress: Progress = field(default_factory=Progress)


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """By one transport. latency_ms: of live events. delay_ms: of all, also those that were caught up on after an outage."""

    received: int
    latency_ms: Quantiles | None
    delay_ms: Quantiles | None


class DemoDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`migctl.demo/1`: the few figures that a newcomer or a script asks for. report: the file with all of them."""

    schema: Literal["migctl.demo/1"] = "migctl.demo/1"
    published: int
    lost: int
    duplicates: int
    match_percent: float | None
    transports: dict[TransportName, Delivered]
    verdict: Verdict
    report: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The end of a demo: the figures, and the report that they are of. away_s: how long Supabase was."""

    document: DemoDocument
    report: Report
    folder: Path
    away_s: float

    @property
    def passed(self) -> bool:
        return self.report.passed


async def demo(
    *,
    out: Path,
    seconds: float = 20.0,
    rate: float | None = None,
    mode: Mode = "dual",
    schema: str = "public",
    keys: Kind = "old",
    watch: Callable[[Scene], None] = lambda _: None,
) -> DemoResult:
    """Run the demo; the captures, the report and the logs stay in `out`.

    seconds: of publishing. rate: events/s, all types together; None: the host source's own.
    schema: of the tables. keys: which the stack has. watch: called at each change.
    Must run in the main thread. Raises MigctlError where a part does not come up; a failing comparison is a result.
    """
    scene = Scene(seconds=seconds)
    started = mono()

    def show(**changes: Any) -> None:
        scene.since_start_s = mono() - started
        for name, value in changes.items():
            setattr(scene, name, value)
        watch(scene)

    source = ["--source", "host", *(["--rate", str(rate)] if rate else [])]
    async with Rehearsal(
        out, mode=mode, source=source, schema=schema, keys=keys, notify=lambda line: show(line=line)
    ) as rehearsal:
        await rehearsal.start()
        began = mono()
        rehearsal.begin()
        away_s = min(OUTAGE_S, seconds / 4) if rehearsal.stack is not None else 0.0
        phase: Phase = "publish"
        while (elapsed := mono() - began) < seconds:
            if rehearsal.stack is not None:
                if phase == "publish" and elapsed >= seconds / 2:
                    rehearsal.stack.kill("standin")
                    phase = "outage"
                elif phase == "outage" and elapsed >= seconds / 2 + away_s:
                    rehearsal.stack.start_part("standin")
                    phase = "back"
            show(phase=phase, line=LINES[phase], elapsed_s=elapsed, progress=await rehearsal.progress())
            await asyncio.sleep(POLL_S)
        if phase == "outage" and rehearsal.stack is not None:
            rehearsal.stack.start_part("standin")
        rehearsal.end()
        show(phase="settle", line=LINES["settle"], elapsed_s=seconds)
        await rehearsal.settle(lambda progress: show(progress=progress))
        show(phase="compare", line=LINES["compare"])
        await rehearsal.finish()
    report = await compare(out, transports_of(mode))
    show(phase="done", line="")
    return DemoResult(document(report, out, transports_of(mode)), report, out, away_s)


def document(report: Report, out: Path, transports: tuple[TransportName, ...]) -> DemoDocument:
    """The figures of a report. transports: those that were compared."""
    found = report.discrepancies
    return DemoDocument(
        published=report.expected,
        lost=report.lost,
        duplicates=sum(found.duplicate(name) or 0 for name in transports),
        match_percent=report.match_percent,
        transports={
            name: Delivered(
                received=part.received,
                latency_ms=report.latency_ms.of(name),
                delay_ms=dict(report.delay_ms.named()).get(name),
            )
            for name, part in report.transports.named()
            if name in transports
        },
        verdict=report.verdict,
        report=str(out / "report.json"),
    )
