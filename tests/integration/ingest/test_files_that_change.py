"""Files of a machine that runs: rotated, cut, replaced, half written, packed. Each line once, whatever becomes of its file."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from migctl.ingest import Mapper
from migctl.ingest.file import FileSource, Follow
from migctl.ingest.rejected import Rejected
from tests.integration.ingest.conftest import Refusing
from tests.kit.conditions import until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def line(number: int) -> bytes:
    return b'{"type":"x","data":{"n":%d}}\n' % number


def lines(*numbers: int) -> bytes:
    return b"".join(map(line, numbers))


def source_of(path: Path, *, follow: Follow | None = None, waits: bool = False) -> FileSource:
    rejected = Rejected(path.parent / "rejected.ndjson")
    return FileSource(str(path), mapper=Mapper(), rejected=rejected, follow=follow, waits=waits)


async def read(path: Path, journal: Refusing) -> FileSource:
    source = source_of(path)
    await source.run(journal)
    return source


async def numbers(journal: Refusing) -> list[int]:
    return [json.loads(entry.event.data)["n"] for entry in await journal.read(0, limit=100_000)]


@asynccontextmanager
async def running(source: FileSource, journal: Refusing) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(source.run(journal))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def replaced(path: Path, text: bytes) -> None:
    """Another file in its place, which may get the inode of the one before."""
    other = path.with_name("other")
    other.write_bytes(text)
    other.replace(path)


def written_over(path: Path, text: bytes) -> None:
    path.write_bytes(text)


@pytest.mark.parametrize("change", [replaced, written_over])
@pytest.mark.parametrize(
    "after",
    [lines(0), lines(0, 7), lines(0, 1, 7), lines(7, 8), lines(0, 7, 8, 9, 10), b"\n" + lines(0, 1, 2)],
    ids=["cut", "cut, and another end", "same beginning", "other", "longer", "blank"],
)
async def test_another_file_under_the_name_is_read_from_its_beginning(
    path: Path, journal: Refusing, change: Callable[[Path, bytes], None], after: bytes
) -> None:
    path.write_bytes(lines(0, 1, 2))
    await read(path, journal)
    change(path, after)
    source = await read(path, journal)
    await read(path, journal)
    wanted = [json.loads(text)["data"]["n"] for text in after.split()]
    assert await numbers(journal) == [0, 1, 2, *wanted]
    assert source.status().begun_anew == 1


async def test_files_that_begin_with_a_blank_line_are_not_one_file(path: Path, journal: Refusing) -> None:
    path.write_bytes(b"\n" + lines(0, 1, 2))
    await read(path, journal)
    replaced(path, b"\n" + lines(3, 4, 5, 6))
    await read(path, journal)
    assert await numbers(journal) == [0, 1, 2, 3, 4, 5, 6]


async def test_one_name_after_another_never_gives_two_lines_one_id(path: Path, journal: Refusing) -> None:
    for turn in range(5):
        path.unlink(missing_ok=True)  # the next one may well get its inode
        path.write_bytes(lines(turn, 100))
        await read(path, journal)
    assert await numbers(journal) == [number for turn in range(5) for number in (turn, 100)]


async def test_what_was_rotated_away_while_nobody_read_is_read_first(path: Path, journal: Refusing) -> None:
    path.write_bytes(lines(0, 1))
    await read(path, journal)
    with path.open("ab") as file:
        file.write(lines(2))
    for number in (3, 4):
        os.utime(path, ns=(number * 10**9, number * 10**9))
        path.rename(path.with_name(f"a.log.{number}"))
        path.write_bytes(lines(number))
    path.with_name("a.log.bak").write_bytes(lines(99))
    await read(path, journal)
    await read(path, journal)
    assert await numbers(journal) == [0, 1, 2, 3, 4]


async def test_half_a_line_is_left_and_read_once_it_is_whole(path: Path, journal: Refusing) -> None:
    path.write_bytes(lines(0) + line(1)[:12])
    source = await read(path, journal)
    assert (source.status().unfinished_bytes, source.status().rejected, source.status().offset_bytes) == (
        12,
        0,
        len(line(0)),
    )
    with path.open("ab") as file:
        file.write(line(1)[12:])
    source = await read(path, journal)
    assert (await numbers(journal), source.status().unfinished_bytes) == ([0, 1], 0)


async def test_half_a_line_is_waited_for_where_there_is_time(path: Path, journal: Refusing) -> None:
    path.write_bytes(lines(0) + line(1)[:12])
    source = source_of(path, waits=True)
    async with running(source, journal) as task:
        await until(lambda: source.status().state == "waiting")
        assert source.status().waiting_for == "the end of its last line"
        with path.open("ab") as file:
            file.write(line(1)[12:].rstrip())
        await task
    assert await numbers(journal) == [0, 1]


async def test_padding_of_zeros_is_no_event_and_hides_none(path: Path, journal: Refusing) -> None:
    path.write_bytes(bytes(100) + line(0) + bytes(5) + b"\n" + line(1) + bytes(5000))
    source = await read(path, journal)
    assert (await numbers(journal), source.status().rejected, source.status().unfinished_bytes) == (
        [0, 1],
        0,
        0,
    )
    with path.open("r+b") as file:  # as who made the file long in advance
        file.seek(105 + 1 + len(line(0)) + len(line(1)))
        file.write(line(2))
    await read(path, journal)
    assert await numbers(journal) == [0, 1, 2]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
async def test_a_packed_file_is_read_as_what_is_in_it_and_only_once(
    path: Path, journal: Refusing, pack: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(pack(lines(*range(3000))) + pack(lines(3000)))
    await read(path, journal)
    source = await read(path, journal)
    assert await numbers(journal) == list(range(3001))
    assert (source.status().accepted, source.status().duplicates) == (0, 0)
    replaced(path, pack(lines(*range(20_000), 5))[:-3])
    source = await read(path, journal)
    kept = (path.parent / "rejected.ndjson").read_text()
    assert (source.status().rejected, "unpacked" in kept) == (1, True)
    assert (await numbers(journal))[3001:3051] == list(range(50))


async def test_a_file_that_is_followed_is_read_on_over_rotations_and_cuts(
    path: Path, journal: Refusing
) -> None:
    path.write_bytes(lines(0))
    source = source_of(path, follow="name")

    async def has(*wanted: int) -> None:
        await until(lambda: journal.head >= len(wanted))
        assert await numbers(journal) == list(wanted)

    async with running(source, journal):
        await has(0)
        with path.open("ab") as writer:
            writer.write(line(1)[:9])
            writer.flush()
            await until(lambda: source.status().unfinished_bytes == 9)
            writer.write(line(1)[9:])
            writer.flush()
            await has(0, 1)
            path.rename(path.with_name("a.log.1"))
            writer.write(lines(2))  # who writes has it open still
        path.write_bytes(lines(3))
        await has(0, 1, 2, 3)
        path.write_bytes(b"")  # as `copytruncate` does
        await until(lambda: source.status().begun_anew == 1)
        with path.open("ab") as writer:
            writer.write(lines(4))
        await has(0, 1, 2, 3, 4)
    await read(path, journal)
    assert await numbers(journal) == [0, 1, 2, 3, 4]


async def test_by_its_descriptor_a_file_is_followed_wherever_it_goes(path: Path, journal: Refusing) -> None:
    path.write_bytes(lines(0))
    moved = path.with_name("a.log.1")
    async with running(source_of(path, follow="descriptor"), journal):
        await until(lambda: journal.head == 1)
        path.rename(moved)
        path.write_bytes(lines(9))
        with moved.open("ab") as writer:
            writer.write(lines(1))
        await until(lambda: journal.head == 2)
    with moved.open("ab") as writer:
        writer.write(lines(2))
    async with running(source_of(path, follow="descriptor"), journal):
        await until(lambda: journal.head == 3)
    assert await numbers(journal) == [0, 1, 2]
