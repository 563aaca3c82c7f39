"""What a soak shows: while it runs, and at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from migctl.drills.world.deployment import Deployment

MEASURES = ("availability_percent", "availability_without_grace_percent")


class Tail:
    """How far a capture is; reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.count = self.seq = 0

    def look(self) -> int:
        """The last seq."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            if whole:
                self._offset += len(whole)
                self.count += whole.count(b"\n")
                self.seq = json.loads(whole[whole.rfind(b"\n", 0, -1) + 1 :])["seq"]
        return self.seq


def draw(
    elapsed: float, seconds: float, on: Deployment, heads: Mapping[str, int], line: str
) -> RenderableType:
    """The state of the moment."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    status = on.status()
    rows = Table.grid(padding=(0, 2))
    rows.add_row("soaked", f"{elapsed:,.0f} s", ProgressBar(total=seconds, completed=elapsed, width=40))
    head = status.journal.head if status is not None else None
    rows.add_row("journal", f"{head:,}" if head is not None else "serve is away", line)
    if status is not None and status.relay is not None:
        relay = status.relay
        rows.add_row("table", f"{relay.table_head:,}", f"{relay.state} {relay.reason or ''}"[:60])
    for name, seq in heads.items():
        rows.add_row(name, f"{seq:,}", f"{seq - head:,}" if head is not None else "")
    return Group(Text(""), rows)


def tell(found: Mapping[str, Any]) -> None:
    """The verdict and its figures, for a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=160)
    store = found["store"]
    console.print(
        f"[bold]{found['verdict'].upper()}[/]  lost {found['lost']}  duplicates {found['duplicates']}  "
        f"seed {found['seed']}, {found['seconds']:g} s at {found['rate_per_s']:g} events/s, drained: {found['drained']}"
    )
    for words in found["serve_died"]:
        console.print(f"[bold red]serve died by itself[/]: {words}")
    console.print(
        "store: " + ", ".join(f"{name} {count:,}" for name, count in store.items() if isinstance(count, int))
    )
    for kind, values in found["availability"].items():
        console.print(
            f"availability, {kind}: {values[MEASURES[0]]} %  without the 2 s: {values[MEASURES[1]]} %"
        )
    table = Table("subscriber", "kind", "released", "lost", "doubled", "complete", "live %")
    for title in ("avail. %", "without 2 s", "silence ms", "at s"):
        table.add_column(title)
    for one in found["subscribers"]:
        keys = ("name", "kind", "released", "lost", "duplicates", "complete", "live_percent")
        more = (*MEASURES, "longest_silence_ms", "longest_silence_at_s")
        table.add_row(*(str(one[key]) for key in (*keys, *more)))
    console.print(table)
    table = Table(
        "at s", "fault", "lasted", "fallback ms", "recover ms", "missed seconds", "and without the 2 s"
    )
    for fault in found["faults"]:
        table.add_row(
            *(str(fault[key]) for key in ("armed_at_s", "fault", "lasted_s")),
            *(str(fault[key]) for key in ("time_to_fallback_ms", "time_to_recover_ms")),
            *(_missed(fault["missed"][measure]) for measure in MEASURES),
        )
    console.print(table)
    for measure, missed in found["missed_without_a_fault"].items():
        if missed:
            console.print(f"{measure}, missed before any fault: {_missed(missed)}")


def _missed(found: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {seconds}" for name, seconds in found.items())
