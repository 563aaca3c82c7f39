"""The journal's files are for their owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.copies import backup, export, write_lines
from tests.kit.entries import event


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())}


NAMES = ("journal.db", "journal.db-shm", "journal.db-wal", "journal.db.high-water", "journal.db.lock")


async def test_what_is_made_is_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "made" / "here" / "journal.db"
    journal = await SqliteJournal.open(path)
    await journal.append([event()])
    assert modes(path.parent) == dict.fromkeys(NAMES, 0o600)
    assert modes(tmp_path) == {"made": 0o700}
    assert modes(tmp_path / "made") == {"here": 0o700}
    await journal.aclose()


async def test_what_others_could_read_is_mended_when_it_is_opened_and_a_folder_of_others_is_left(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    path = folder / "journal.db"
    await (await SqliteJournal.open(path)).aclose()
    for each in folder.iterdir():
        each.chmod(0o644)
    journal = await SqliteJournal.open(path)
    await journal.append([event()])
    assert modes(folder) == dict.fromkeys(NAMES, 0o600)
    assert modes(tmp_path) == {"theirs": 0o755}
    await journal.aclose()


async def test_a_backup_is_private_and_an_export_is_as_any_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "journal.db"
    journal = await SqliteJournal.open(path)
    await journal.append([event()])
    out = tmp_path / "out"
    out.mkdir()
    backup(path, out / "copy.db")
    write_lines(export(path), out / "events.ndjson")
    assert modes(out) == {"copy.db": 0o600, "events.ndjson": 0o644}
    await journal.aclose()
