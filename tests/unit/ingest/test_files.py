"""Which file it is, what may be read, and how."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.ingest.files import File, Lost, check, find, known_of
from migctl.ingest.reading import Unpackable, of_file
from migctl.journal import Bookmark

TEXT = b'{"type":"x","data":{}}\n' * 400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    return path


def read_to(path: Path, offset: int) -> Bookmark:
    file = File.open(path)
    file.begin(b"first")
    try:
        return file.bookmark("file:a", offset)
    finally:
        file.close()


def found(path: Path, bookmark: Bookmark) -> list[File]:
    known = known_of(bookmark)
    assert known is not None
    files = find(File.open(path), bookmark, known)
    for file in files:
        file.close()
    return files


def test_a_file_that_grew_is_the_same_and_has_the_same_ids(path: Path) -> None:
    bookmark = read_to(path, 5000)
    with path.open("ab") as file:
        file.write(TEXT)
    (same,) = found(path, bookmark)
    assert (same.offset, same.turn, bool(same.token)) == (5000, 0, True)


@pytest.mark.parametrize("at", [0, 4999], ids=["at its beginning", "where reading ended"])
def test_one_byte_of_what_was_read_makes_another_file_of_it(path: Path, at: int) -> None:
    bookmark = read_to(path, 5000)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\0")
    with pytest.raises(Lost, match="written over"):
        found(path, bookmark)


def test_what_was_rotated_is_found_by_its_inode_and_read_before_what_came_after_it(path: Path) -> None:
    bookmark = read_to(path, 100)
    for name in ("a.log.2", "a.log-20261127"):
        path.rename(path.with_name(name))
        os.utime(path.with_name(name), ns=(1, 1) if name == "a.log.2" else (2, 2))
        path.write_bytes(TEXT)
    path.with_name("a.log.old").write_bytes(TEXT)
    files = found(path, bookmark)
    assert [(file.path.name, file.offset, file.turn) for file in files] == [
        ("a.log.2", 100, 0),
        ("a.log-20261127", 0, 1),
        ("a.log", 0, 2),
    ]
    path.with_name("a.log.2").unlink()
    with pytest.raises(Lost, match="is gone"):
        found(path, bookmark)


def test_a_bookmark_that_is_not_ours_is_none() -> None:
    assert known_of(None) is known_of(Bookmark("file:a", 5, "")) is known_of(Bookmark("a", 5, "{}")) is None


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_of_another_coding_is_refused_by_its_name(path: Path, coding: str) -> None:
    path.write_bytes(TEXT.decode().encode(coding))
    with pytest.raises(Usage, match="UTF-16") as caught:
        check(str(path), follows=False)
    assert "iconv" in str(caught.value.do)


def test_what_has_no_end_or_does_not_grow_is_not_followed(path: Path) -> None:
    path.write_bytes(gzip.compress(TEXT))
    check(str(path), follows=False)
    with pytest.raises(Usage, match="packed"):
        check(str(path), follows=True)
    os.mkfifo(path.with_name("pipe"))
    with pytest.raises(Usage, match="no file"):
        check(str(path.with_name("pipe")), follows=True)


async def test_of_a_packed_file_that_is_cut_comes_what_can_come(path: Path) -> None:
    for cut in (False, True):
        path.write_bytes(gzip.compress(TEXT)[: -3 if cut else None])
        file, text = File.open(path), bytearray()
        file.offset = 23
        try:
            async for piece in of_file(file):
                text += piece
        except Unpackable:
            assert cut
        finally:
            file.close()
        assert TEXT[23:].startswith(text) and text
