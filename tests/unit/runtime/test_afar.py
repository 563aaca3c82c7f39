"""A serve elsewhere: what became of a move there, in a line."""

from __future__ import annotations

import msgspec
import pytest

from migctl.runtime.afar import Moved, line_of


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"processes": None}, "abort on T: done"),
        ({"processes": {"known": 2, "confirmed": [{}, {}]}}, "abort on T: done; 2 of 2 processes confirmed"),
        (
            {"processes": {"known": 2, "confirmed": [{}]}, "wrong": {"what": "not by B", "do": "see to it"}},
            "abort on T: done; 1 of 2 processes confirmed; not by B; see to it",
        ),
        (
            {"processes": {"known": 0}, "state_unmoved": "the record is away"},
            "abort on T: done; the record is away",
        ),
    ],
)
def test_what_was_done_and_what_is_wanting_are_both_told(more: dict[str, object], line: str) -> None:
    document = {
        "schema": "migctl.rollout.change/1",
        "target": "T",
        "command": "abort",
        "dry_run": False,
        **more,
    }
    assert line_of(msgspec.convert(document, Moved)) == line
