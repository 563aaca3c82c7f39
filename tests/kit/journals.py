"""Journal files as an operator handles them: copied, put back, lost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from migctl.journal.sqlite import highwater
from migctl.journal.sqlite.files import read_file


def put_back(copy: Path, journal: Path) -> None:
    """A copy in the place of the journal; the high-water mark stays, as it does when an operator copies one file."""
    lose(journal)
    journal.write_bytes(copy.read_bytes())


def lose(journal: Path, *, mark: bool = False) -> None:
    """Remove the journal's files. mark: the high-water mark with them."""
    for suffix in ("", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    if mark:
        highwater.path_of(journal).unlink(missing_ok=True)


def copy_of(journal: Path, to: Path) -> Path:
    """A consistent copy of a journal, be it open or not."""
    source, target = sqlite3.connect(journal), sqlite3.connect(to)
    source.backup(target)
    target.execute("PRAGMA journal_mode=DELETE")
    source.close()
    target.close()
    return to


def assert_no_seq_means_two_events(*views: Sequence[tuple[str, int, str]]) -> None:
    """views: (epoch, seq, id) as somebody saw them."""
    ids: dict[tuple[str, int], set[str]] = {}
    for view in views:
        for epoch, seq, event_id in view:
            ids.setdefault((epoch, seq), set()).add(event_id)
    assert [place for place, found in ids.items() if len(found) > 1] == []
    for view in views:
        repeated = [
            key for key, count in Counter((epoch, id_) for epoch, _, id_ in view).items() if count > 1
        ]
        assert repeated == []


def seen_in(journal: Path) -> list[tuple[str, int, str]]:
    return [(entry.epoch, entry.seq, entry.event.id) for entry in read_file(journal)]
