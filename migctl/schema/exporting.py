"""Exporting: the files as migrations of the Supabase CLI, for a project whose schema that owns.

Each becomes `TIMESTAMP_migctl_NNNN_name.sql` below `supabase/migrations`, after all that are there, filled in for one schema. The
CLI runs them (`supabase db push`), and `apply` then recognises what they made, and only records it. A file that is there already
is never written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migctl.errors import Refused, Usage
from migctl.schema.files import Migration, render

_STAMP = "%Y%m%d%H%M%S"
_DIGITS = 14


@dataclass(frozen=True, slots=True)
class Exported:
    """written: by this call, or what would be by a dry run; kept: of those that were there already."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def export(
    folder: Path, files: Sequence[Migration], schema: str, *, now: datetime, dry_run: bool = False
) -> Exported:
    """folder: that of the CLI, `supabase`, or the project's that it lies in. now: aware; the timestamps begin there.

    Raises Usage for another folder, or one that can't be written; Refused for a file of ours that has another text by now.
    """
    migrations = _migrations_of(folder)
    at = _after([path.name for path in migrations.glob("*.sql")], now)
    written: list[Path] = []
    kept: list[Path] = []
    for one in files:
        text = _text(one, schema)
        there = sorted(migrations.glob(f"*_{_title(one, schema)}.sql"))
        if there:
            if any(path.read_text(encoding="utf-8") != text for path in there):
                raise Refused(
                    f"{there[0]} is not what this migctl would write",
                    do="where it was not pushed yet delete it and export again; else use the migctl that wrote it",
                )
            kept += there
            continue
        path = migrations / f"{at:{_STAMP}}_{_title(one, schema)}.sql"
        at += timedelta(seconds=1)
        if not dry_run:
            try:
                migrations.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise Usage(f"{path}: {error.strerror}", do="make the folder writable") from None
        written.append(path)
    return Exported(tuple(written), tuple(kept))


def _migrations_of(folder: Path) -> Path:
    for base in (folder, folder / "supabase"):
        if (base / "config.toml").is_file() or (base / "migrations").is_dir():
            return base / "migrations"
    raise Usage(
        f"{folder}: no folder of the Supabase CLI: there is neither config.toml nor migrations in it",
        do="name the folder `supabase` of your project; `supabase init` makes one",
    )


def _after(names: Sequence[str], now: datetime) -> datetime:
    """The first moment for a name: now, or after the last that is there."""
    first = now.astimezone(UTC).replace(microsecond=0)
    for name in names:
        stamp = name[:_DIGITS]
        if len(stamp) == _DIGITS and stamp.isdecimal():
            try:
                first = max(
                    first, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1)
                )
            except ValueError:
                continue
    return first


def _title(one: Migration, schema: str) -> str:
    of = "" if schema == "public" else f"{schema}_"
    return f"migctl_{of}{one.version:04d}_{one.name}"


def _text(one: Migration, schema: str) -> str:
    made = f"-- sql/{one.file} of migctl for schema {schema}, sha256 {one.sha256}."
    return f"{made} Don't edit: `migctl schema apply` records it.\n\n{render(one.up, schema)}"
