"""Who refers to rows that go is named, with what would become of it."""

from __future__ import annotations

import pytest

from migctl.schema.referring import Key


@pytest.mark.parametrize(
    ("then", "rows", "words"),
    [
        ("c", 1, "1 row refers to rows of monitoring_events that are old enough to go (fk), which would be deleted with them"),
        ("a", 2_000, "2,000 rows refer to rows of monitoring_events that are old enough to go (fk), which refuses it"),
    ],
)  # fmt: skip
def test_one_row_and_many(then: str, rows: int, words: str) -> None:
    refused = Key("fk", ("theirs", "notes"), then, "monitoring_events", ("about",), ("id",)).refused(rows)
    assert refused.what == f"theirs.notes: {words}"
    assert refused.exit_code == 4
    assert "alter table theirs.notes drop constraint fk" in refused.do
