"""Captures for tests and benchmarks: a journal's export and what two transports made of it, as files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

EPOCH = "0197f000-0000-7000-8000-000000000001"
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
Line = dict[str, Any]


def time_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def event_id(number: int) -> str:
    return str(
        UUID(
            int=(0x0197F001 << 96)
            | (0x7 << 76)
            | (0x2 << 62)
            | (number * 2654435761 % 2**32) << 16
            | number % 65536
        )
    )


def entry(
    seq: int, *, data: Mapping[str, Any] | None = None, epoch: str = EPOCH, event_type: str | None = None
) -> Line:
    """An export line; a hundredth of a second after the one before it."""
    committed = START + timedelta(milliseconds=10 * seq)
    return {
        "id": event_id(seq),
        "epoch": epoch,
        "seq": seq,
        "event_type": event_type or ("cpu", "memory", "page_cache")[seq % 3],
        "timestamp": time_text(committed - timedelta(milliseconds=3)),
        "source": f"host-{seq % 7}",
        "data": dict(data)
        if data is not None
        else {"value": seq / 8, "n": seq, "ok": seq % 2 == 0, "tags": ["a", None]},
        "committed_at": time_text(committed),
    }


def received(line: Line, transport: str, *, after_ms: float = 12.0, via: str = "live") -> Line:
    """The capture line of an export line."""
    committed = datetime.fromisoformat(line["committed_at"])
    at = committed + timedelta(milliseconds=after_ms)
    mono = (at - START) // timedelta(microseconds=1) * 1000 + 10**12
    return line | {"transport": transport, "via": via, "received_at": time_text(at), "received_mono_ns": mono}


def jsonb_order(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as jsonb sorts them."""
    return {
        key: jsonb_order(value) if isinstance(value, dict) else value
        for key, value in sorted(data.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
    }


def dump(line: Line) -> str:
    """A line as text; what is a string already stands as it is."""
    return line if isinstance(line, str) else json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def write(path: Path, lines: Iterable[Line | str], *, end: str = "\n") -> Path:
    text = "\n".join(dump(line) for line in lines)
    path.write_text(text + end if text else "", encoding="utf-8", errors="surrogatepass")
    return path


def summary(
    transport: str,
    *,
    start: int | None = 0,
    ready: datetime = START,
    stop: datetime | None = None,
    **more: Any,
) -> Line:
    """What a capture says of itself; start: the exclusive seq it begins after."""
    at = time_text(ready)
    return {
        "schema": "migctl.capture/1",
        "transport": transport,
        "role": "authenticated" if transport == "realtime" else "subscriber",
        "started_at": at,
        "ready_at": at,
        "stop_requested_at": None if stop is None else time_text(stop),
        "ended_at": time_text((stop or START) + timedelta(seconds=1)),
        "from": None if start is None else {"epoch": EPOCH, "seq": start},
        "to": None,
        "repeats_dropped": 0,
        "gaps_repaired": 0,
        "reconnects": 0,
        "discontinuities": [],
        "complete": True,
        "reason": "stopped",
    } | more


class Scene:
    """A folder with three files that agree, to be spoiled."""

    def __init__(self, count: int = 60) -> None:
        self.journal: list[Any] = [entry(seq) for seq in range(1, count + 1)]
        self.websocket: list[Any] = [received(line, "websocket") for line in self.journal]
        self.realtime: list[Any] = [
            received(line | {"data": jsonb_order(line["data"])}, "realtime", after_ms=30)
            for line in self.journal
        ]
        self.summaries: dict[str, Line] = {}

    def lines(self, transport: str) -> list[Any]:
        found: list[Any] = getattr(self, transport)
        return found

    def asked(self) -> Scene:
        """Each capture knows that its clock is as the journal's."""
        clock = {"behind_ms": 0.0, "within_ms": 0.0}
        self.summaries = {name: summary(name, clock=clock) for name in ("websocket", "realtime")}
        return self

    def write(
        self, folder: Path, *, journal: bool = True, transports: Iterable[str] = ("websocket", "realtime")
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if journal:
            write(folder / "journal.ndjson", self.journal)
        for transport in transports:
            write(folder / f"{transport}.ndjson", self.lines(transport))
            if transport in self.summaries:
                said = {"received": len(self.lines(transport))} | self.summaries[transport]
                (folder / f"{transport}.summary.json").write_text(json.dumps(said))
        return folder
