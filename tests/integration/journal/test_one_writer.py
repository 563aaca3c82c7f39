"""One writer a journal, by whatever name it is opened; and no name that means another file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from migctl.journal import SecondWriter
from migctl.journal.sqlite import SqliteJournal
from tests.kit import journals
from tests.kit.entries import event

OPEN = """
import asyncio, sys
from pathlib import Path
from migctl.errors import MigctlError
from migctl.journal.sqlite import SqliteJournal
try:
    asyncio.run(SqliteJournal.open(Path(sys.argv[1])))
except MigctlError as error:
    sys.exit(f"{type(error).__name__} {error.exit_code}: {error.what}")
"""


def symlinked(path: Path) -> Path:
    other = path.parent / "elsewhere" / "other.db"
    other.parent.mkdir()
    other.symlink_to(path)
    return other


def in_a_linked_folder(path: Path) -> Path:
    folder = path.parent.parent / "linked"
    folder.symlink_to(path.parent)
    return folder / path.name


def hard_linked(path: Path) -> Path:
    other = path.with_name("other.db")
    os.link(path, other)
    return other


@pytest.mark.parametrize("named", [lambda path: path, symlinked, in_a_linked_folder, hard_linked])
@pytest.mark.parametrize("elsewhere", [True, False], ids=["another process", "the same process"])
async def test_a_second_writer_is_refused_by_whatever_name(
    tmp_path: Path, named: Callable[[Path], Path], elsewhere: bool
) -> None:
    path = tmp_path / "first" / "journal.db"
    journal = await SqliteJournal.open(path)
    await journal.append([event()])
    other = named(path)
    if elsewhere:
        done = subprocess.run(
            [sys.executable, "-c", OPEN, other], capture_output=True, text=True, check=False
        )
        assert done.stderr.startswith("SecondWriter 4: "), done.stderr
        assert other.stat().st_nlink > 1 or f"process {os.getpid()} (since " in done.stderr
    else:
        with pytest.raises(SecondWriter):
            await SqliteJournal.open(other)
    # Whoever looked and left took no lock of ours with him.
    assert (await journal.append([event()])).last_seq == 2
    with pytest.raises(SecondWriter):
        await SqliteJournal.open(other)
    await journal.aclose()
    assert [seq for _, seq, _ in journals.seen_in(path)] == [1, 2]


async def test_a_symlink_is_the_journal_that_it_points_to(tmp_path: Path) -> None:
    path = tmp_path / "first" / "journal.db"
    first = await SqliteJournal.open(path)
    await first.append([event()])
    epoch = first.epoch
    await first.aclose()
    second = await SqliteJournal.open(symlinked(path))
    assert (second.epoch, second.head, second.location) == (epoch, 1, str(path))
    await second.aclose()
    assert sorted(each.name for each in (path.parent / "elsewhere").iterdir()) == ["other.db"]


async def test_a_journal_with_two_names_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await SqliteJournal.open(path)).aclose()
    hard_linked(path)
    said: list[str] = []
    await (await SqliteJournal.open(path, notify=said.append)).aclose()
    assert "hard links" in said[0]


@pytest.mark.parametrize("name", ["a%41.db", "a%2Fb.db", "100%.db", "a#b.db", "a?mode=ro.db", "ä b&c=d.db"])
async def test_a_path_is_a_path_whatever_it_would_mean_in_a_uri(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a %41 folder?" / name
    sent = event()
    journal = await SqliteJournal.open(path)
    await journal.append([sent])
    assert (await journal.get(sent.id)) is not None
    await journal.aclose()
    assert sorted(each.name for each in path.parent.iterdir()) == [
        name,
        f"{name}.high-water",
        f"{name}.lock",
    ]
    assert [id_ for _, _, id_ in journals.seen_in(path)] == [sent.id]


async def test_two_journals_whose_names_a_uri_would_make_one_are_two(tmp_path: Path) -> None:
    paths = [tmp_path / "a%41.db", tmp_path / "aA.db"]
    opened = [await SqliteJournal.open(path) for path in paths]
    for number, journal in enumerate(opened, 1):
        await journal.append([event() for _ in range(number)])
    assert [journal.head for journal in opened] == [1, 2]
    for journal in opened:
        await journal.aclose()
    assert [len(journals.seen_in(path)) for path in paths] == [1, 2]
