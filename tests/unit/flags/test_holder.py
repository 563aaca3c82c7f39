from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.flags.assignment import Switch
from migctl.flags.disk import SnapshotFile, snapshot_path
from migctl.flags.holder import Holder
from migctl.flags.snapshot import Brake, Row, Snapshot
from tests.unit.flags.test_shares import document, shares

SWITCH = Switch("transport", "realtime", "websocket")
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split="everything")
FULL = Row(n=5, id="r5", document=document(shares(100)))


def holder(folder: Path, **more: object) -> Holder:
    return Holder(SWITCH, "t", SnapshotFile(folder), **more)  # type: ignore[arg-type]


async def test_what_was_heard_is_there_after_a_kill(tmp_path: Path) -> None:
    one = holder(tmp_path)
    assert await one.hear(Snapshot(target="t").with_row(FULL).with_brake(BRAKE))
    again = holder(tmp_path)
    assert again.snapshot == one.snapshot
    assert again.blind
    again.reached_the_record()
    assert (again.assignments.assign("u").variant, again.assignments.assign("u").reason) == (
        "websocket",
        "BRAKED",
    )
    assert stat.S_IMODE((snapshot_path(tmp_path, "t")).stat().st_mode) == 0o600


async def test_a_restarted_process_is_blind_until_the_record_was_reached(tmp_path: Path) -> None:
    one = holder(tmp_path)
    await one.hear(Snapshot(target="t").with_row(FULL))
    assert (one.assignments.assign("u").variant, one.assignments.assign("u").reason) == ("websocket", "STALE")
    one.reached_the_record()
    assert one.assignments.assign("u").variant == "realtime"


async def test_a_change_wakes_and_news_that_are_none_do_not(tmp_path: Path) -> None:
    one = holder(tmp_path)
    waiting = asyncio.ensure_future(one.changed.wait())
    await asyncio.sleep(0)
    heard = Snapshot(target="t").with_row(FULL)
    assert await one.hear(heard)
    assert await waiting
    assert not await one.hear(heard)
    assert not await one.hear(Snapshot(target="t"))
    assert not await one.hear(Snapshot(target="another").with_brake(BRAKE))


async def test_what_can_not_be_kept_is_in_force_and_not_confirmed(tmp_path: Path) -> None:
    one = holder(tmp_path)
    (snapshot_path(tmp_path, "t")).mkdir()
    (snapshot_path(tmp_path, "t") / "in the way").touch()
    one.reached_the_record()
    with pytest.raises(Usage):
        await one.hear(Snapshot(target="t").with_row(FULL).with_brake(BRAKE))
    assert one.assignments.assign("u").variant == "websocket"
    # Told a second time it is no news any more, and on no disk either.
    with pytest.raises(Usage):
        await one.hear(Snapshot(target="t").with_brake(BRAKE))
    assert one.unkept is not None
    (snapshot_path(tmp_path, "t") / "in the way").unlink()
    snapshot_path(tmp_path, "t").rmdir()
    assert not await one.hear(Snapshot(target="t").with_brake(BRAKE))
    assert one.unkept is None
    assert holder(tmp_path).snapshot == one.snapshot


async def test_only_who_keeps_it_and_follows_it_confirms(tmp_path: Path) -> None:
    assert holder(tmp_path).confirms
    assert not Holder(SWITCH, "t", None).confirms
    assert not holder(tmp_path, override="realtime").confirms


def test_a_file_that_is_no_snapshot_is_not_passed_over(tmp_path: Path) -> None:
    (snapshot_path(tmp_path, "t")).write_text("{")
    with pytest.raises(Usage, match="no snapshot of flags"):
        holder(tmp_path)


async def test_a_snapshot_of_another_target_is_left(tmp_path: Path) -> None:
    await holder(tmp_path).hear(Snapshot(target="t").with_brake(BRAKE))
    file = SnapshotFile(tmp_path)
    assert file.read("another") == Snapshot(target="another")
    file.write(Snapshot(target="another"))
    assert file.read("t").brakes == {"b1": BRAKE}
