"""The files as migrations of the Supabase CLI."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from migctl.errors import Refused, Usage
from migctl.schema.exporting import export
from migctl.schema.files import load

NOW = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_text("")
    return tmp_path / "supabase"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "migrations").glob("*.sql"))


def test_each_file_is_a_migration_in_order_filled_in_for_the_schema(project: Path) -> None:
    done = export(project, load(), "public", now=NOW)
    assert names(project)[:2] == [
        "20260301120000_migctl_0001_events.sql",
        "20260301120001_migctl_0002_tombstones.sql",
    ]
    assert [path.name for path in done.written] == names(project)
    text = done.written[0].read_text()
    assert '"public".monitoring_events' in text and "{schema}" not in text


def test_they_come_after_those_that_are_there(project: Path) -> None:
    (project / "migrations").mkdir()
    (project / "migrations" / "20270101000000_theirs.sql").write_text("select 1;")
    (project / "migrations" / "99999999999999_no_moment.sql").write_text("select 1;")
    assert export(project, load(), "public", now=NOW).written[0].name.startswith("20270101000001_")


def test_twice_is_once_and_later_only_what_is_new_is_written(project: Path) -> None:
    export(project.parent, load()[:6], "public", now=NOW)
    again = export(project, load(), "public", now=NOW)
    assert ([path.name[15:] for path in again.written], len(again.kept)) == (
        ["migctl_0007_flags.sql", "migctl_0008_set_back.sql"],
        6,
    )
    assert export(project, load(), "public", now=NOW).written == ()


def test_another_schema_has_files_of_its_own(project: Path) -> None:
    export(project, load()[:1], "public", now=NOW)
    done = export(project, load()[:1], "events", now=NOW)
    assert [path.name for path in done.written] == ["20260301120001_migctl_events_0001_events.sql"]


def test_a_dry_run_writes_nothing(project: Path) -> None:
    assert len(export(project, load(), "public", now=NOW, dry_run=True).written) == 8
    assert not (project / "migrations").exists()


def test_one_that_was_changed_is_refused(project: Path) -> None:
    first = export(project, load(), "public", now=NOW).written[0]
    first.write_text(first.read_text() + "-- mine\n")
    with pytest.raises(Refused, match="0001_events"):
        export(project, load(), "public", now=NOW)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"config\.toml"):
        export(tmp_path, load(), "public", now=NOW)
