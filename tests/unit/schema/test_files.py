"""The numbered files: order, hash, placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.schema import files
from migctl.schema.expected import ALL


def write(folder: Path, name: str, text: str = "select 1;") -> None:
    (folder / name).write_bytes(text.encode())


def test_files_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("0002_b.up.sql", "0001_z.up.sql", "0003_a.up.sql", "0001_z.down.sql"):
        write(tmp_path, name)
    assert [m.file for m in files.load(tmp_path)] == ["0001_z.up.sql", "0002_b.up.sql", "0003_a.up.sql"]
    assert [m.down is None for m in files.load(tmp_path)] == [False, True, True]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["0001_a.up.sql", "0003_c.up.sql"], "expected a file with number 0002"),
        (["0001_a.up.sql", "0001_b.up.sql"], "expected a file with number 0002, found 0001_b.up.sql"),
        (["0002_b.up.sql"], "expected a file with number 0001"),
        (["0001_a.down.sql"], "has no up file"),
        (["1_a.up.sql"], "not named"),
        ([], "no SQL files"),
    ],
)
def test_a_hole_a_double_number_or_a_bad_name_is_refused(tmp_path: Path, names: list[str], told: str) -> None:
    for name in names:
        write(tmp_path, name)
    with pytest.raises(Usage, match=told):
        files.load(tmp_path)


def test_the_hash_changes_with_a_byte_but_not_with_line_ends_or_the_down_file(tmp_path: Path) -> None:
    write(tmp_path, "0001_a.up.sql", "select 1;\nselect 2;\n")
    first = files.load(tmp_path)[0].sha256
    write(tmp_path, "0001_a.up.sql", "select 1;\r\nselect 2;\r\n")
    write(tmp_path, "0001_a.down.sql", "select 3;")
    assert files.load(tmp_path)[0].sha256 == first
    write(tmp_path, "0001_a.up.sql", "select 1;\nselect 3;\n")
    assert files.load(tmp_path)[0].sha256 != first


def test_a_schema_that_is_a_reserved_word_is_quoted_as_a_name_and_as_text() -> None:
    text = files.render("{schema}.t {schema_text} {topic_text} {canary_topic_text} {receive_policy}", "user")
    assert text == (
        "\"user\".t 'user' 'user.monitoring_events' 'user.monitoring_events.canary' \"migctl_receive_user\""
    )


def test_an_unknown_placeholder_is_refused() -> None:
    with pytest.raises(Usage, match="no placeholder"):
        files.render("select {schemas}", "public")


def test_array_literals_are_no_placeholders() -> None:
    assert files.render("select '{}', '{1,2}'", "public") == "select '{}', '{1,2}'"


def test_every_file_of_ours_has_a_way_back_and_says_whose_rows_it_drops() -> None:
    ours = files.load()
    assert all(m.down is not None for m in ours)
    for migration in ours:
        dropped = tuple(
            table
            for table in (table.name for table in ALL)
            if f"drop table if exists {{schema}}.{table};" in (migration.down or "")
        )
        assert migration.drops_rows == dropped, migration.down_file


def test_the_receive_policy_fits_an_identifier_for_the_longest_schema() -> None:
    assert len(files.receive_policy("s" * 63)) == 63
