"""Inputs: which files a report compares, and what the summaries beside the captures say of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import msgspec

from migctl.errors import Usage
from migctl.events.jsontext import loads, read_as
from migctl.events.times import parse_time
from migctl.status.losses import SourceLosses
from migctl.validate.kinds import TRANSPORTS, Side
from migctl.validate.lines import BadLine, Line, blocks, decode
from migctl.validate.shard import Input, JournalReader, ReadJournal, is_database
from migctl.validate.window import Edge, Window, WindowKind

JOURNAL_NAMES = ("journal.ndjson", "journal.db")
DUAL = "dual"
LEGACY = "legacy"
TOMBSTONES_NAME = "tombstones.ndjson"
BEFORE_NAME = "before_journal.json"


class Summary(msgspec.Struct):
    """What a capture says of itself. Times are None where the file has none.

    received: lines that it wrote. behind_ms, within_ms: how far its clock was behind that of serve; None where nobody said.
    """

    side: Side
    path: Path
    role: str | None
    start: Edge
    end: Edge
    ended: bool
    complete: bool
    reason: str
    repeats_dropped: int | None
    gaps_repaired: int | None
    reconnects: int | None
    lost_ranges: list[tuple[str, int, int]]
    received: int | None = None
    behind_ms: float | None = None
    within_ms: float | None = None


class Tombstone(msgspec.Struct):
    epoch: str
    seq: int
    reason: str
    committed_at: datetime | None


class Inputs(msgspec.Struct):
    """Everything that a report reads. tombstones: None where no such file was given."""

    files: list[Input]
    summaries: dict[Side, Summary]
    tombstones: list[Tombstone] | None
    tombstones_path: Path | None
    tombstones_size: int | None

    @property
    def has_journal(self) -> bool:
        return any(each.side is Side.JOURNAL for each in self.files)

    @property
    def compared(self) -> tuple[Side, ...]:
        sides = {each.side for each in self.files}
        return tuple(side for side in TRANSPORTS if side in sides)


def find(
    folder: Path | None, *, journal: Path | None, captures: Mapping[str, Path], tombstones: Path | None
) -> Inputs:
    """The files of a folder of captures, those that are named before those that are found.

    captures: transport to file. Raises Usage where there is nothing to compare.
    """
    if folder is not None:
        if not folder.is_dir():
            raise Usage(f"{folder}: no such folder", do="name the folder that captures were written to")
        journal = journal or journal_of(folder)
        tombstones = tombstones or tombstones_of(folder)
    paths: dict[Side, Path] = {} if journal is None else {Side.JOURNAL: journal}
    for side in TRANSPORTS:
        path = captures.get(side.label)
        if path is None and folder is not None:
            path = _first(folder, (f"{side.label}.ndjson",))
        if path is not None:
            paths[side] = path
    if not any(side in paths for side in TRANSPORTS):
        where = "nothing" if folder is None else f"{folder}: neither websocket.ndjson nor realtime.ndjson"
        raise Usage(
            f"{where} to compare" if folder is None else where,
            do="run migctl capture --transport websocket|realtime --out DIR first, or name files with --websocket and --realtime",
        )
    if len(paths) < 2:
        raise Usage(
            f"{next(iter(paths.values()))} is all there is, and nothing to compare it with",
            do="add the other capture, or the journal with --journal FILE",
        )
    return Inputs(
        files=[input_of(side, path) for side, path in sorted(paths.items())],
        summaries={
            side: found for side in TRANSPORTS if side in paths and (found := _summary(side, paths[side]))
        },
        tombstones=None if tombstones is None else _tombstones(tombstones),
        tombstones_path=tombstones,
        tombstones_size=None if tombstones is None else tombstones.stat().st_size,
    )


def dual_of(folder: Path | None, captures: Mapping[str, Path]) -> Path | None:
    """The capture of the whole subscriber, where there is one."""
    return _beside(DUAL, folder, captures)


def legacy_of(folder: Path | None, captures: Mapping[str, Path]) -> Path | None:
    """The capture of the old socket, where there is one."""
    return _beside(LEGACY, folder, captures)


def _beside(name: str, folder: Path | None, captures: Mapping[str, Path]) -> Path | None:
    return captures.get(name) or (_first(folder, (f"{name}.ndjson",)) if folder is not None else None)


def tombstones_of(folder: Path | None) -> Path | None:
    """The tombstones that lie beside the captures."""
    return _first(folder, (TOMBSTONES_NAME,)) if folder is not None else None


def journal_of(folder: Path | None) -> Path | None:
    """The journal that lies beside the captures."""
    return _first(folder, JOURNAL_NAMES) if folder is not None else None


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def input_of(side: Side, path: Path) -> Input:
    """Raises Usage for a file that can't be read."""
    try:
        size = path.stat().st_size
        return Input(side=side, path=path, size=size, is_database=side is Side.JOURNAL and is_database(path))
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="name a file that can be read") from None


def window_of(inputs: Inputs, kind: WindowKind) -> Window:
    """The window that these captures allow; of kind `journal`, nothing is left out of it."""
    if kind == "journal":
        return Window(kind=kind)
    summaries = inputs.summaries.values()
    return Window(
        kind=kind,
        starts=tuple(
            each.start for each in summaries if each.start.epoch is not None or each.start.at is not None
        ),
        ends=tuple(each.end for each in summaries if each.end.at is not None),
    )


def summary_of(capture: Path) -> Summary | None:
    """What stands beside a capture of no transport under comparison."""
    return _summary(Side.WEBSOCKET, capture)


def window_of_one(summary: Summary | None, kind: WindowKind) -> Window:
    """The window that one capture allows by its clock: it knows no positions."""
    if kind == "journal" or summary is None:
        return Window(kind=kind)
    return Window(
        kind=kind,
        starts=(summary.start,) if summary.start.at is not None else (),
        ends=(summary.end,) if summary.end.at is not None else (),
    )


def losses_of(
    inputs: Inputs, folder: Path | None, window: Window, reader: JournalReader
) -> SourceLosses | None:
    """What sources lost before the journal: of its own file's state folder, or as a rehearsal left it beside its captures."""
    journal = next((each for each in inputs.files if each.side is Side.JOURNAL), None)
    if journal is not None and journal.is_database:
        starts = [_counted_since(inputs, edge) for edge in window.starts if edge.at is not None]
        ends = [edge.at for edge in window.ends if edge.at is not None]
        return reader.losses(journal.path.parent, max(starts, default=None), min(ends, default=None))
    kept = (folder or (journal.path.parent if journal is not None else None) or Path()) / BEFORE_NAME
    try:
        return read_as(kept.read_bytes(), SourceLosses)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Usage(
            f"{kept}: {error}", do="mend it, or move it away: then nothing is known of what was lost before"
        ) from None


def _counted_since(inputs: Inputs, edge: Edge) -> datetime:
    """When the first event was committed that counts by this edge: its seq may be older than the moment at which it was known."""
    assert edge.at is not None
    first = next((_first_line(each) for each in inputs.files if _starts_with(inputs, each.side, edge)), None)
    if first is None or first.committed_at is None or first.epoch != edge.epoch:
        return edge.at
    return min(edge.at, first.committed_at)


def _starts_with(inputs: Inputs, side: Side, edge: Edge) -> bool:
    return side in inputs.summaries and inputs.summaries[side].start is edge


def first_of_journal(
    inputs: Inputs, read: ReadJournal
) -> tuple[str | None, int | None, datetime | None] | None:
    """(epoch, seq, committed_at) of the journal's first entry; None where it has none. read: for its own file."""
    for each in inputs.files:
        if each.side is not Side.JOURNAL:
            continue
        if each.is_database:
            for entry in read(each.path):
                return entry.epoch, entry.seq, entry.committed_at
            return None
        line = _first_line(each)
        return None if line is None else (line.epoch, line.seq, line.committed_at)
    return None


def _first_line(of: Input) -> Line | None:
    """None where there is none, or one that can't be read: whoever reads the file as a whole will say what is wrong with it."""
    for block in blocks(of.path, of.size):
        for text in block.lines:
            try:
                return decode(text)
            except BadLine:
                return None
    return None


def digest(path: Path, size: int) -> str:
    """sha256 of the first `size` bytes, in hex."""
    with path.open("rb") as file:
        if path.stat().st_size == size:
            return file_digest(file, "sha256").hexdigest()
        sha = sha256()
        left = size
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            sha.update(chunk)
            left -= len(chunk)
        return sha.hexdigest()


def _summary(side: Side, capture: Path) -> Summary | None:
    path = capture.with_name(f"{capture.name.removesuffix('.ndjson')}.summary.json")
    if not path.exists():
        return None
    try:
        value = loads(path.read_bytes())
        start, end = value.get("from"), value.get("to")
        asked = value.get("clock") or {}
        return Summary(
            side=side,
            path=path,
            role=value.get("role"),
            start=_edge(side, start, value.get("ready_at")),
            end=_edge(side, end, value.get("stop_requested_at")),
            ended=value.get("ended_at") is not None,
            complete=bool(value["complete"]),
            reason=str(value.get("reason") or ""),
            repeats_dropped=value.get("repeats_dropped"),
            gaps_repaired=value.get("gaps_repaired"),
            reconnects=value.get("reconnects"),
            lost_ranges=[
                (gap["after"]["epoch"], gap["lost_from"], gap["lost_to"])
                for gap in value.get("discontinuities") or []
                if gap.get("lost_from") is not None
                and gap.get("lost_to") is not None
                and gap.get("reason") == "lost"
            ],
            received=value.get("received"),
            behind_ms=asked.get("behind_ms"),
            within_ms=asked.get("within_ms"),
        )
    except OSError as error:
        raise Usage(f"{path}: {error.strerror or error}", do="make it readable, or move it away") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Usage(
            f"{path}: no capture's summary ({type(error).__name__}: {error})",
            do="mend it, or move it away: then the capture is taken to cover everything",
        ) from None


def _edge(side: Side, position: Any, moment: Any) -> Edge:
    epoch = position.get("epoch") or None if position is not None else None
    return Edge(
        transport=side.label,
        epoch=epoch,
        seq=position.get("seq") if position is not None and epoch is not None else None,
        at=None if moment is None else parse_time(moment),
    )


class _Row(msgspec.Struct):
    epoch: str
    seq: int
    reason: str
    committed_at: str | None = None


def _tombstones(path: Path) -> list[Tombstone]:
    found = []
    size = input_of(Side.JOURNAL, path).size
    for block in blocks(path, size):
        for number, text in enumerate(block.lines, block.number):
            if not text.strip():
                continue
            try:
                row = read_as(text, _Row)
                moment = None if row.committed_at is None else parse_time(row.committed_at)
            except ValueError as error:
                raise Usage(
                    f"{path}:{number}: no tombstone: {error}",
                    do="export the rows of the tombstones table, one a line",
                ) from None
            found.append(Tombstone(row.epoch, row.seq, row.reason, moment))
    return found
