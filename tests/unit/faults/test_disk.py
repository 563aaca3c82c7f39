"""A small disk: the kernel has no room for who writes there while it is full, and nobody else notices."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.errors import Transient
from migctl.faults.disk import SmallDisk
from migctl.faults.lacking import Lacking
from migctl.stack.launcher import launch
from tests.kit import needs

SIZE = 4 << 20
WRITES = """
import sys
try:
    with open(sys.argv[1], "wb") as file:
        file.write(bytes(int(sys.argv[2])))
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        made = SmallDisk(tmp_path / "disk", SIZE, tmp_path / "disk.log")
    except Lacking as error:
        needs.right(f"to mount: {error.what}")
    yield made
    made.discard()


def written(disk: SmallDisk, name: str, size: int) -> int:
    """0, or why a process on this disk could not write."""
    program = [*disk.entering, sys.executable, "-c", WRITES, str(disk.folder / name), str(size)]
    return launch(program, log=disk.folder.with_name("writes.log"), death=signal.SIGKILL).wait(20)


def test_who_entered_it_has_no_room_while_it_is_full_and_room_again_afterwards(disk: SmallDisk) -> None:
    assert written(disk, "before", 1 << 20) == 0
    assert 0 < disk.fill() < SIZE
    assert disk.free_bytes == 0
    assert written(disk, "meanwhile", 8192) == errno.ENOSPC
    (disk.folder / "elsewhere").write_bytes(bytes(2 * SIZE))
    disk.empty()
    disk.empty()
    assert written(disk, "afterwards", 1 << 20) == 0


def test_one_that_runs_low_has_what_was_left_and_no_more(disk: SmallDisk) -> None:
    disk.fill(leave=1 << 20)
    assert (1 << 20) - 8192 <= disk.free_bytes <= 1 << 20
    assert written(disk, "fits", 512 << 10) == 0
    assert written(disk, "does not", 1 << 20) == errno.ENOSPC
    disk.fill(leave=1 << 20)
    assert disk.free_bytes < 1 << 20  # there was less already


def test_what_is_on_it_is_there_for_others_once_it_was_brought_out_and_gone_with_its_keeper(
    disk: SmallDisk,
) -> None:
    assert written(disk, "kept", 5) == 0
    assert list(disk.folder.iterdir()) == []
    disk.bring_out()
    assert (disk.folder / "kept").read_bytes() == bytes(5)
    disk.discard()
    disk.bring_out()
    with pytest.raises(Transient, match="small file system"):
        disk.fill()


def test_where_none_can_be_made_it_is_lacking_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="no disk can be full: mounting: mount: ") as caught:
        SmallDisk(tmp_path / "disk", -1, tmp_path / "disk.log")
    assert "user namespaces" in caught.value.do
