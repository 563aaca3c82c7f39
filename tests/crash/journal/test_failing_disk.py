"""A disk whose fsync, or every write, fails: `serve` ends with 70 at once, and what it acknowledged is there after a restart."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from migctl import NewEvent, Publisher
from migctl.config import Settings
from migctl.errors import MigctlError, Systemic
from migctl.journal import JournalBroken
from migctl.journal.sqlite import read_file
from migctl.publisher.inprocess import own_journal
from migctl.stack.launcher import any_free_port
from tests.kit import needs
from tests.kit.entries import event

PLAIN = {key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))}

NO_BOUND = Settings.model_validate({"journal": {"min_free_bytes": 0}})


# Of linux/ext4.h: the file system refuses everything from now on, and what it had not written is not written any more.
SHUTDOWN, WITHOUT_A_FLUSH = 0x8004587D, 2


def prepare(steps: Sequence[Sequence[str]]) -> None:
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            needs.program(step[0])
        if done.returncode:
            needs.right(f"to mount, by a loop device too: {done.stderr.strip()}")


@pytest.fixture
def overbooked(tmp_path: Path) -> Iterator[Path]:
    """A file system that promises 64 MiB on a device that has 8: writes are taken, and the fsync finds no room below."""
    below, above = tmp_path / "below", tmp_path / "above"
    below.mkdir()
    above.mkdir()
    image = below / "image"
    try:
        prepare(
            [
                ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(below)],
                ["truncate", "-s", "64m", str(image)],
                ["mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", str(image)],
                ["mount", "-o", "loop", str(image), str(above)],
            ]
        )
        yield above
    finally:
        for folder in (above, below):
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


class Disk:
    """A file system of its own, which can be made to fail every write, and looked at again as after a loss of power."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        self._image = folder / "image"
        self._mount = [["mount", "-o", "loop", str(self._image), str(self.folder)]]

    def begin(self) -> None:
        image = str(self._image)
        prepare([["truncate", "-s", "1g", image], ["mkfs.ext4", "-q", image], *self._mount])

    def fail(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_A_FLUSH))
        finally:
            os.close(descriptor)

    def mend(self) -> None:
        self.end()
        prepare(self._mount)

    def end(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    found = Disk(tmp_path)
    try:
        found.begin()
        yield found
    finally:
        found.end()


def started(folder: Path, url: str, journal: Path) -> subprocess.Popen[str]:
    """A `serve` in mode websocket that has said that it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "migctl", "serve", "--listen", url],
        cwd=folder,
        env={**PLAIN, "MIGCTL_MODE": "websocket", "MIGCTL_JOURNAL": str(journal)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while not process.stderr.readline().startswith("serving:"):
        assert process.poll() is None
    return process


def test_a_failed_fsync_ends_serve_with_70_and_what_was_acknowledged_is_there(
    overbooked: Path, tmp_path: Path
) -> None:
    url = f"127.0.0.1:{any_free_port()}"
    journal = overbooked / "journal.db"
    (tmp_path / "migctl.yaml").write_text("journal:\n  min_free_bytes: 0\n")
    process = started(tmp_path, url, journal)
    acknowledged: set[str] = set()
    try:
        body = [{"id": None, "event_type": "t", "data": {"pad": "x" * 4000}} for _ in range(20)]
        with httpx.Client(trust_env=False, timeout=180) as http:
            for number in range(2000):
                sent = [{**each, "id": f"{number}-{place}"} for place, each in enumerate(body)]
                try:
                    answer = http.post(f"http://{url}/events", json=sent)
                except httpx.TransportError:
                    break
                if answer.status_code != 201:
                    assert answer.status_code == 503
                    assert "disk failed" in answer.text
                    break
                acknowledged |= {each["id"] for each in sent}
        _, said = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 70, said
    assert "the journal's disk failed" in said
    assert acknowledged
    # What is below has 8 MiB, so the file is read as the page cache has it, as the next start would.
    assert acknowledged <= {str(entry.event.source_id) for entry in read_file(journal)}


def test_a_disk_that_fails_each_write_ends_serve_with_70_and_what_was_acknowledged_outlives_it(
    disk: Disk, tmp_path: Path
) -> None:
    """As when it is pulled out: nothing is written any more, and what was not on it by then is gone."""
    url, journal = f"127.0.0.1:{any_free_port()}", disk.folder / "journal.db"
    process = started(tmp_path, url, journal)
    acknowledged = 0
    try:
        with httpx.Client(trust_env=False, timeout=180) as http:
            for number in range(60):
                if number == 40:
                    disk.fail()
                events = [{"event_type": "t", "data": {"pad": "x" * 4000}}] * 5
                try:
                    answer = http.post(f"http://{url}/events", json=events)
                except httpx.TransportError:
                    break
                assert answer.status_code == (201 if number < 40 else 503), answer.text
                acknowledged += answer.json().get("accepted", 0)
        _, said = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 70, said
    assert "the journal's disk failed" in said
    assert acknowledged == 200
    disk.mend()
    assert len(list(read_file(journal))) == acknowledged


async def test_a_failed_fsync_is_told_to_who_publishes_in_process_and_is_not_tried_again(
    overbooked: Path,
) -> None:
    path = overbooked / "journal.db"
    acknowledged: list[str] = []
    async with own_journal(path, NO_BOUND) as journal:
        with pytest.raises(Systemic, match="the journal's disk failed") as told:
            while True:
                events = [event(b'{"pad":"%b"}' % (b"x" * 4000)) for _ in range(20)]
                await journal.append(events)
                acknowledged += [each.id for each in events]
        assert "start again" in told.value.do
        with pytest.raises(Systemic, match="the journal's disk failed"):
            await journal.append([event()])
    assert acknowledged
    assert set(acknowledged) <= {entry.event.id for entry in read_file(path)}


async def test_a_failed_fsync_ends_a_service_in_process_and_its_publisher_says_so(
    overbooked: Path, tmp_path: Path
) -> None:
    settings = NO_BOUND.model_copy(
        update={"mode": "websocket", "listen": "127.0.0.1:0", "state_dir": str(tmp_path / "state")}
    )
    path = overbooked / "journal.db"
    acknowledged: list[str] = []

    async def publish_until_it_fails(publisher: Publisher) -> None:
        while True:
            events = [NewEvent(event_type="t", data={"pad": "x" * 4000}) for _ in range(20)]
            acknowledged.extend([each.id for each in await publisher.publish_many(events)])

    with pytest.raises(JournalBroken, match="the journal's disk failed"):
        async with Publisher(journal=path, serve=settings) as publisher:
            with pytest.raises(MigctlError, match="the journal's disk failed"):
                await publish_until_it_fails(publisher)
            with pytest.raises(MigctlError, match="the journal's disk failed"):
                await publisher.publish("t", {})
    assert acknowledged
    assert set(acknowledged) <= {entry.event.id for entry in read_file(path)}
