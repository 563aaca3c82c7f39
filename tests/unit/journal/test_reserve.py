"""Room that is kept for a start on a full disk. That it is enough is seen on one, in tests/security."""

from __future__ import annotations

from pathlib import Path

from migctl.journal.sqlite.reserve import SIZE, Reserve


def test_it_is_kept_where_there_is_room_and_takes_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "journal.db.reserve"
    Reserve(path).keep()
    found = path.stat()
    assert (found.st_size, found.st_blocks * 512 >= SIZE, found.st_mode & 0o777) == (SIZE, True, 0o600)


def test_what_was_given_up_is_made_whole_where_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.db.reserve"
    path.write_bytes(b"")
    reserve = Reserve(path)
    reserve.give_up()
    assert reserve.full is None
    reserve.keep()
    assert path.stat().st_size == SIZE


def test_with_room_on_the_disk_it_is_not_given_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.db.reserve"
    reserve = Reserve(path)
    reserve.keep()
    reserve.give_up()
    assert (path.exists(), reserve.full) == (True, None)


def test_what_can_not_be_made_is_no_reason_not_to_go_on(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "nowhere" / "journal.db.reserve")
    reserve.give_up()
    reserve.keep()
    assert reserve.full is None


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    path = tmp_path / "journal.db.reserve"
    path.symlink_to(other)
    reserve = Reserve(path)
    reserve.give_up()
    reserve.keep()
    assert other.read_text() == "mine"
