"""A copy that is put back by `journal restore`: whole, in a new epoch, and never over what is there."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from migctl.errors import Refused, Usage, Wanting
from migctl.events import Position
from migctl.journal.sqlite import SqliteJournal, highwater
from migctl.journal.sqlite.copies import backup, restore
from migctl.journal.sqlite.inspection import verify
from tests.kit import journals
from tests.kit.entries import event


async def written(path: Path, count: int, more: int = 0) -> Path:
    """A journal of so many events, the copy that was made of it then, and more events."""
    journal = await SqliteJournal.open(path)
    await journal.append([event() for _ in range(count)])
    copy = path.with_name("copy.db")
    backup(path, copy)
    if more:
        await journal.append([event() for _ in range(more)])
    await journal.aclose()
    return copy


async def test_into_an_empty_folder_it_goes_on_in_a_new_epoch_so_that_no_seq_is_given_twice(
    path: Path, tmp_path: Path
) -> None:
    copy = await written(path, 4, more=3)
    elsewhere = tmp_path / "new" / "journal.db"
    elsewhere.parent.mkdir()
    tried = restore(copy, elsewhere, replace=False, try_only=True)
    assert (tried.info, list(elsewhere.parent.glob("*.db*"))) == (
        None,
        [elsewhere.with_name("journal.db.lock")],
    )
    done = restore(copy, elsewhere, replace=False)
    assert done.info is not None
    assert (done.had.seq, done.events, done.aside, done.info.prev_epoch) == (4, 4, None, done.had.epoch)
    assert done.info.reason == "restored from copy.db"
    journal = await SqliteJournal.open(elsewhere)
    appended = await journal.append([event()])
    await journal.aclose()
    assert (appended.epoch, appended.first_seq) == (done.info.epoch, 1)
    journals.assert_no_seq_means_two_events(journals.seen_in(path), journals.seen_in(elsewhere))
    assert verify(elsewhere).problems == []


async def test_beside_its_high_water_mark_it_says_which_seqs_are_lost(path: Path) -> None:
    copy = await written(path, 4, more=3)
    epoch = journals.seen_in(path)[0][0]
    journals.lose(path)
    done = restore(copy, path, replace=False)
    assert done.info is not None
    assert (done.had, done.info.lost) == (Position(epoch, 4), (5, 7))
    said: list[str] = []
    journal = await SqliteJournal.open(path, notify=said.append)
    epochs = await journal.epochs()
    await journal.aclose()
    assert (said, len(epochs)) == ([], 2), "it was rotated once"


async def test_a_journal_that_is_there_is_moved_aside_whole_and_only_where_that_is_said(path: Path) -> None:
    copy = await written(path, 2, more=1)
    before = journals.seen_in(path)
    with pytest.raises(Refused, match="already"):
        restore(copy, path, replace=False)
    done = restore(copy, path, replace=True)
    assert done.aside is not None
    assert journals.seen_in(done.aside) == before
    assert journals.seen_in(path) == before[:2]


async def test_a_journal_that_is_open_is_left_alone(path: Path) -> None:
    copy = await written(path, 2)
    journal = await SqliteJournal.open(path)
    with pytest.raises(Refused, match="writes to this journal"):
        restore(copy, path, replace=True)
    await journal.aclose()


async def test_what_does_not_hold_together_or_is_of_another_journal_changes_nothing(
    path: Path, tmp_path: Path
) -> None:
    copy = await written(path, 3)
    journals.lose(path)
    mark = highwater.path_of(path).read_bytes()
    with contextlib.closing(sqlite3.connect(copy)) as database:
        database.execute("DELETE FROM events WHERE pos = (SELECT min(pos) + 1 FROM events)")
        database.commit()
    with pytest.raises(Wanting, match="does not hold together"):
        restore(copy, path, replace=False)
    copy.write_bytes(b"this is no database, and it is long enough to look at" * 40)
    with pytest.raises(Usage):
        restore(copy, path, replace=False)
    other = tmp_path / "other" / "journal.db"
    other.parent.mkdir()
    with pytest.raises(Refused, match="another's"):
        restore(await written(other, 1), path, replace=False)
    with pytest.raises(Refused, match="the journal itself"):
        restore(other, other, replace=True)
    assert (path.exists(), highwater.path_of(path).read_bytes()) == (False, mark)
