"""What outlives a witness: its name, its windows, its word."""

from __future__ import annotations

from pathlib import Path

import msgspec

from migctl.status import WitnessStatus
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import (
    BOUNDS,
    KEPT,
    LOCK,
    Kept,
    holding,
    read_bounds,
    read_state,
    write_bounds,
    write_state,
)
from migctl.validate.witness.trouble import Bounds
from tests.kit.witnessing import at


def minute(number: int) -> Minute:
    return Minute(id=f"m{number}", started_at=at(60 * number), epoch="E1", first_seq=1, last_seq=1)


def test_windows_are_there_again_after_a_kill_and_leave_once_they_are_written(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for number in range(3):
        kept.add(minute(number))
    again = Kept(tmp_path)
    assert again.first(2) == (minute(0), minute(1))
    again.written(again.first(2))
    assert Kept(tmp_path).first(9) == (minute(2),)
    assert (tmp_path / KEPT).stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    Kept(tmp_path).add(minute(0))
    with (tmp_path / KEPT).open("ab") as file:
        file.write(msgspec.json.encode(minute(1))[:20])
    assert Kept(tmp_path).first(9) == (minute(0),)


def test_the_oldest_is_dropped_and_counted_where_too_many_wait(tmp_path: Path) -> None:
    kept = Kept(tmp_path, most=2)
    for number in range(5):
        kept.add(minute(number))
    assert (len(kept), kept.dropped) == (2, 3)
    assert Kept(tmp_path).first(9) == (minute(3), minute(4))


def test_one_process_is_the_witness_of_a_folder_and_the_next_has_its_name(tmp_path: Path) -> None:
    with holding(tmp_path) as name, holding(tmp_path) as other:
        assert name
        assert other is None
    with holding(tmp_path) as again:
        assert again == name
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600


def test_what_it_said_is_read_and_what_is_none_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    said = WitnessStatus(pid=1, at=at(0), state="watching", markers={"E1/7": ["realtime"]})
    write_state(tmp_path, said)
    assert read_state(tmp_path) == said
    (tmp_path / "witness.json").write_text("{")
    assert read_state(tmp_path) is None


def test_bounds_come_from_the_serve_that_keeps_it_and_what_can_not_be_read_or_believed_changes_none(
    tmp_path: Path,
) -> None:
    own = Bounds(max_lost=3)
    assert read_bounds(tmp_path, own) == own
    write_bounds(tmp_path, Bounds(min_match_percent=99.0, max_lost=1))
    assert read_bounds(tmp_path, own) == Bounds(min_match_percent=99.0, max_lost=1)
    path = tmp_path / BOUNDS
    path.chmod(0o666)
    assert read_bounds(tmp_path, own) == own
    path.chmod(0o600)
    path.write_text('{"max_lost":')
    assert read_bounds(tmp_path, own) == own
