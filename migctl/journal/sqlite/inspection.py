"""What a journal file says of itself, and whether it holds together. Reads only, also beside the process that writes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from shutil import disk_usage

from migctl.clock import now
from migctl.events import format_time
from migctl.journal.documents import CursorHeld, EpochHeld, HighWater, Inventory, Verification
from migctl.journal.model import EpochInfo, Mark
from migctl.journal.sqlite import highwater, outlook, retention
from migctl.journal.sqlite.files import opened
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.lock import holder
from migctl.journal.sqlite.opening import meta, read_epochs
from migctl.journal.sqlite.retention import Extent, Keep
from migctl.journal.sqlite.rows import SEQ_BITS, SEQ_MASK


def status(path: Path, keep: Keep) -> Inventory:
    """Of one moment. Raises Usage where there is no journal."""
    layout = Layout.of(path)
    with opened(path) as database:
        database.execute("BEGIN")  # one moment for all of it
        epochs = read_epochs(database)
        extents = retention.read_extents(database)
        cursors = retention.read_cursors(database)
        ahead = outlook.read(database, disk_usage(layout.database.parent).free)
        ending = ahead.forecast(keep)
        space = ahead.space
        last = epochs[-1]
        return Inventory(
            path=str(path),
            writer_id=meta(database, "writer_id"),
            open_in=holder(layout),
            epoch=last.epoch,
            head=last.head,
            tail=last.tail,
            epochs=[_held(info) for info in epochs],
            cursors=[
                CursorHeld(name=name, epoch=epoch, seq=seq, behind_events=_behind(extents, epoch, seq))
                for name, (epoch, seq) in cursors.items()
            ],
            dead_letters=database.execute("SELECT count(*) FROM dead_letters").fetchone()[0],
            events_held=ahead.events_held,
            used_bytes=space.used_bytes,
            reusable_bytes=space.reusable_bytes,
            log_bytes=layout.log_bytes(),
            disk_free_bytes=space.free_bytes,
            max_bytes=keep.max_bytes,
            min_free_bytes=keep.min_free_bytes,
            retain_hours=keep.hours,
            retain_min_events=keep.min_events,
            rate_events_per_s=round(ahead.events_per_s, 3),
            held_back_hours=round(ahead.held_back_hours, 3),
            full=retention.why_full(space, keep),
            full_in_hours=ending.hours if ending is not None else None,
            full_first=ending.bound if ending is not None else None,
        )


def _held(info: EpochInfo) -> EpochHeld:
    return EpochHeld(
        epoch=info.epoch,
        prev_epoch=info.prev_epoch,
        started_at=format_time(info.started_at),
        tail=info.tail,
        head=info.head,
        lost_from=info.lost_from,
        lost_to=info.lost_to,
        reason=info.reason,
    )


def _behind(extents: list[Extent], epoch: str, seq: int) -> int | None:
    """Events after this position; None for a position that the journal can't place."""
    place = next((n for n, extent in enumerate(extents) if extent.epoch == epoch), None)
    if place is None:
        return None
    return extents[place].head - seq + sum(extent.head for extent in extents[place + 1 :])


def verify(path: Path, *, marked: bool = True) -> Verification:
    """Look at every page and every event. `problems` is empty where the journal holds together.

    marked: the high-water mark beside it must agree; a copy has none of its own.
    Of one moment, also while it is written; until it is done, the write-ahead log can't be cut. Raises Usage where there is no
    journal.
    """
    mark = highwater.read(path) if marked else None  # before the journal: it may lag, never lead
    problems: list[str] = []
    with opened(path) as database:
        database.execute("BEGIN")
        database.execute("PRAGMA cache_size=-65536")
        problems += [
            f"the file is damaged: {row[0]}"
            for row in database.execute("PRAGMA integrity_check(20)")
            if row[0] != "ok"
        ]
        extents = retention.read_extents(database)
        try:
            for extent in extents:
                problems += _verify_epoch(database, extent)
            problems += _verify_places(database, extents)
        except sqlite3.DatabaseError as error:
            problems.append(f"the file is damaged: {error}")
        writer_id = meta(database, "writer_id")
        problems += _verify_chain(read_epochs(database))
    problems += _verify_mark(mark, writer_id, extents)
    return Verification(
        path=str(path),
        writer_id=writer_id,
        epochs=len(extents),
        events=sum(extent.head - extent.tail + 1 for extent in extents),
        high_water=None if mark is None else HighWater(epoch=mark.epoch, seq=mark.head),
        at=format_time(now()),
        problems=problems,
        verdict="fail" if problems else "pass",
    )


def _verify_epoch(database: sqlite3.Connection, extent: Extent) -> list[str]:
    base = extent.ordinal << SEQ_BITS
    count, first, last, ids = database.execute(
        "SELECT count(*), min(pos), max(pos), count(DISTINCT id) FROM events WHERE pos BETWEEN ? AND ?",
        (base, base + SEQ_MASK),
    ).fetchone()
    expected = extent.head - extent.tail + 1
    where = f"epoch {extent.epoch}"
    problems = []
    if count != expected:
        problems.append(
            f"{where}: {expected} events from seq {extent.tail} to {extent.head} expected, {count} there"
        )
    if count and (first, last) != (base + extent.tail, base + extent.head):
        problems.append(
            f"{where}: seq {extent.tail} to {extent.head} expected, {first - base} to {last - base} there"
        )
    if count != ids:
        problems.append(f"{where}: {count - ids} events have an id that another has")
    if problems:
        hole = database.execute(
            "SELECT min(pos) FROM events AS e WHERE pos BETWEEN ? AND ? "
            "AND NOT EXISTS (SELECT 1 FROM events WHERE pos = e.pos + 1)",
            (base, base + extent.head - 1),
        ).fetchone()[0]
        if hole is not None:
            problems.append(f"{where}: the first missing seq is {hole - base + 1}")
    return problems


def _verify_places(database: sqlite3.Connection, extents: list[Extent]) -> list[str]:
    problems = []
    known = {extent.epoch: extent for extent in extents}
    for name, (epoch, seq) in retention.read_cursors(database).items():
        extent = known.get(epoch)
        if extent is None:
            problems.append(f"cursor {name} stands in epoch {epoch}, which the journal does not know")
        elif not extent.tail - 1 <= seq <= extent.head:
            problems.append(
                f"cursor {name} stands at seq {seq} of epoch {epoch}, which has {extent.tail} to {extent.head}"
            )
    ordinals = [extent.ordinal for extent in extents]
    stray = database.execute(
        f"SELECT count(*) FROM events WHERE pos >> {SEQ_BITS} NOT IN (SELECT ord FROM epochs)"  # noqa: S608 - a constant
    ).fetchone()[0]
    if stray or ordinals != list(range(1, len(ordinals) + 1)):
        problems.append(f"{stray} events are of no epoch; the epochs' places are {ordinals}")
    return problems


def _verify_chain(epochs: list[EpochInfo]) -> list[str]:
    return [
        f"epoch {info.epoch}: what it lost, {info.lost_from} to {info.lost_to}, is no range"
        for info in epochs
        if (info.lost_from is None) != (info.lost_to is None) or (info.lost and info.lost[0] > info.lost[1])
    ]


def _verify_mark(mark: Mark | None, writer_id: str, extents: list[Extent]) -> list[str]:
    if mark is None:
        return []
    words = f"the high-water mark (seq {mark.head} of epoch {mark.epoch}, {format_time(mark.at)})"
    if mark.writer_id != writer_id:
        return [f"{words} is of another journal, writer {mark.writer_id}"]
    extent = next((extent for extent in extents if extent.epoch == mark.epoch), None)
    if extent is None:
        return [f"{words} is of an epoch that the journal does not know: an older copy was put back"]
    if extent is extents[-1] and mark.head > extent.head:
        return [f"{words} is ahead of the journal, which has {extent.head}: an older copy was put back"]
    return []
