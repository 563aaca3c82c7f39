"""Files and pipes into a real journal."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.events import Entry
from migctl.ingest import Mapper, parse_map
from migctl.ingest.file import BATCH_EVENTS, FileSource
from migctl.ingest.rejected import Rejected
from migctl.journal.sqlite import read_file
from tests.integration.ingest.conftest import Refusing
from tests.kit.conditions import until


def source_of(path: Path | str, state: Path, mapper: Mapper | None = None) -> FileSource:
    return FileSource(str(path), mapper=mapper or Mapper(), rejected=Rejected(state / "rejected.ndjson"))


async def held(journal: Refusing) -> list[Entry]:
    return list(await journal.read(0, limit=1_000_000))


def numbers(entries: list[Entry]) -> list[int]:
    return [json.loads(entry.event.data)["n"] for entry in entries]


def line(number: int) -> bytes:
    return b'{"type":"x","data":{"n":%d}}\n' % number


async def test_a_file_is_read_in_order_and_the_last_line_needs_no_newline(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(
        b"\xef\xbb\xbf" + line(0) + b"\n" + line(1).replace(b"\n", b"\r\n") + line(2).rstrip(b"\n")
    )
    source = source_of(path, tmp_path)
    await source.run(journal)
    entries = await held(journal)
    assert numbers(entries) == [0, 1, 2]
    assert {entry.event.source for entry in entries} == {"a.ndjson"}
    status = source.status()
    assert (status.accepted, status.rejected, status.state) == (3, 0, "finished")
    assert status.offset_bytes == path.stat().st_size


async def test_unicode_line_ends_are_part_of_a_line(tmp_path: Path, journal: Refusing) -> None:
    path = tmp_path / "a.ndjson"
    text = '{"type":"x","data":{"n":1,"t":"a\u2028b\u0085c\u2029d"}}\n'
    path.write_text(text, encoding="utf-8", newline="")
    await source_of(path, tmp_path).run(journal)
    (entry,) = await held(journal)
    assert json.loads(entry.event.data)["t"] == "a\u2028b\u0085c\u2029d"


async def test_a_file_that_has_grown_is_read_on_from_where_it_ended(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line(0) + line(1).rstrip(b"\n"))
    await source_of(path, tmp_path).run(journal)
    with path.open("ab") as file:
        file.write(b"\n" + line(2))
    again = source_of(path, tmp_path)
    await again.run(journal)
    assert numbers(await held(journal)) == [0, 1, 2]
    assert again.status().accepted == 1
    assert again.status().resumed_from_bytes > 0


async def test_another_file_under_the_same_name_begins_anew(tmp_path: Path, journal: Refusing) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line(0) + line(1))
    await source_of(path, tmp_path).run(journal)
    path.write_bytes(line(7))
    await source_of(path, tmp_path).run(journal)
    assert numbers(await held(journal)) == [0, 1, 7]


async def test_lines_that_do_not_fit_are_kept_and_the_rest_goes_on(tmp_path: Path, journal: Refusing) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(
        line(0) + b"garbage\n" + b'{"type":"stats"}\n' + b'{"type":"x","data":[]}\n' + line(1) + b'{"type":'
    )
    source = source_of(path, tmp_path, parse_map(ignore=["stats"]))
    await source.run(journal)
    assert numbers(await held(journal)) == [0, 1]
    assert source.status().unfinished_bytes == len(b'{"type":')
    kept = [json.loads(text) for text in (tmp_path / "rejected.ndjson").read_text().splitlines()]
    whole = path.read_bytes()
    assert [record["text"] for record in kept] == ["garbage", '{"type":"x","data":[]}']
    assert all(whole[record["offset"] :].startswith(record["text"].encode()) for record in kept)
    assert (source.status().rejected, source.status().ignored) == (2, 1)


async def test_an_id_that_comes_again_with_another_body_is_set_aside_alone(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "a.ndjson"
    lines = [b'{"id":"%d","type":"x","data":{"n":%d}}\n' % (number % 5, number % 7) for number in range(10)]
    path.write_bytes(b"".join(lines) + lines[0])
    source = source_of(path, tmp_path)
    await source.run(journal)
    assert numbers(await held(journal)) == [0, 1, 2, 3, 4]
    status = source.status()
    assert (status.accepted, status.duplicates, status.rejected) == (5, 1, 5)
    assert status.offset_bytes == path.stat().st_size


async def test_lines_without_id_that_look_alike_are_each_an_event(tmp_path: Path, journal: Refusing) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line(1) * 2500)
    await source_of(path, tmp_path).run(journal)
    assert len(await held(journal)) == 2500


async def test_a_journal_that_is_full_stops_the_reading_and_nothing_is_lost(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(line(number) for number in range(3 * BATCH_EVENTS)))
    journal.full = True
    source = source_of(path, tmp_path)
    running = asyncio.create_task(source.run(journal))
    await until(lambda: journal.refused >= 3)
    status = source.status()
    assert (status.state, status.waiting_for) == ("waiting", "the journal's disk is full")
    assert status.lines <= BATCH_EVENTS
    journal.full = False
    await running
    assert numbers(await held(journal)) == list(range(3 * BATCH_EVENTS))
    assert source.status().waiting_for is None


async def test_a_line_above_the_bound_is_rejected_and_the_next_is_read(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "a.ndjson"
    with path.open("wb") as file:
        file.write(b'{"type":"x","data":{"n":0,"t":"')
        file.seek(17 << 20)
        file.write(b'"}}\n' + line(1))
    source = source_of(path, tmp_path)
    await source.run(journal)
    assert numbers(await held(journal)) == [1]
    assert source.status().rejected == 1


async def test_a_pipe_that_is_quiet_can_be_left_at_once_and_what_came_is_kept(
    tmp_path: Path, journal: Refusing
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    source = source_of(path, tmp_path)
    running = asyncio.create_task(source.run(journal))
    await until(lambda: source.status().state == "reading")
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, line(0) + line(1)[:10])
    await until(lambda: journal.head == 1)
    os.write(fd, line(1)[10:])
    await until(lambda: journal.head == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await running
    os.close(fd)
    assert numbers(await held(journal)) == [0, 1]
    assert source.status().resumable is False


READER = """
import asyncio, sys
from pathlib import Path
from migctl import telemetry
from migctl.ingest import open_source
from migctl.journal.sqlite import SqliteJournal

async def main():
    folder = Path(sys.argv[1])
    journal = await SqliteJournal.open(folder / "other.db")
    await open_source("-", state_dir=folder).run(journal)
    await journal.aclose()

telemetry.configure()
if sys.argv[2] == "uvloop":  # as serve runs it
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", ["pipe", "file", "nothing"])
def test_stdin_is_read_to_its_end_and_says_that_it_can_t_resume(kind: str, loop: str, tmp_path: Path) -> None:
    text = b"" if kind == "nothing" else b"".join(line(number) for number in range(5000))
    command = [sys.executable, "-c", READER, str(tmp_path), loop]
    if kind == "file":
        (tmp_path / "in").write_bytes(text)
        with (tmp_path / "in").open("rb") as file:
            done = subprocess.run(command, stdin=file, capture_output=True, timeout=180, check=True)
    elif kind == "nothing":
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=True)
    else:
        done = subprocess.run(command, input=text, capture_output=True, timeout=180, check=True)
    assert b"can't resume" in done.stderr
    entries = list(read_file(tmp_path / "other.db"))
    assert numbers(entries) == list(range(0 if kind == "nothing" else 5000))
    assert len({entry.event.id for entry in entries}) == len(entries)
    assert {entry.event.source for entry in entries} <= {"stdin"}


@pytest.mark.parametrize("name", ["missing.ndjson", "."])
def test_a_source_that_can_t_be_read_is_named_before_anything_runs(name: str, tmp_path: Path) -> None:
    with pytest.raises(Usage) as caught:
        source_of(tmp_path / name, tmp_path)
    assert str(tmp_path / name) in caught.value.what
    assert caught.value.do
