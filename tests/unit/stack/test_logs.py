"""What the parts of a stack have written: the last lines, and what comes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from migctl.stack import logs


def write(state: Path, text: str, *, mode: str = "a") -> Path:
    where = logs.path(state, "valkey")
    where.parent.mkdir(parents=True, exist_ok=True)
    with where.open(mode) as file:
        file.write(text)
    return where


@pytest.mark.parametrize(("lines", "found"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_last_lines_are_the_last_ones_in_order(tmp_path: Path, lines: int, found: list[str]) -> None:
    write(tmp_path, "a\nb\nc\n")
    assert logs.last(tmp_path, "valkey", lines) == found


def test_last_lines_of_a_long_log_are_found_across_blocks(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"{number} {'x' * 1000}\n" for number in range(500)))
    found = logs.last(tmp_path, "valkey", 200)
    assert [line.split()[0] for line in found] == [str(number) for number in range(300, 500)]


def test_part_that_wrote_nothing_has_no_lines(tmp_path: Path) -> None:
    assert logs.last(tmp_path, "postgres", 10) == []


def test_following_goes_on_in_the_log_that_was_begun_anew(tmp_path: Path) -> None:
    where = write(tmp_path, "old\n")
    found = logs.follow(tmp_path, ["valkey"], 1)
    assert next(found) == ("valkey", "old")
    write(tmp_path, "more\n")
    assert next(found) == ("valkey", "more")
    where.rename(where.with_suffix(".log.1"))
    write(tmp_path, "new\nhalf a li")
    assert list(islice(found, 1)) == [("valkey", "new")]
    write(tmp_path, "ne\n")
    assert next(found) == ("valkey", "half a line")
