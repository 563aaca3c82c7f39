"""Supabase's own command line owns the schema, and migctl records: what either does leaves the other content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from migctl import clock
from migctl.schema import apply, plan, verify
from migctl.schema.exporting import export
from migctl.schema.files import load
from tests.kit.node import packages

HERE = Path(__file__).parent
Cli = Callable[..., str]


@pytest.fixture
def cli(tmp_path: Path, database: str) -> Cli:
    """`supabase` in a project's folder, on this database; its stdout."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, tmp_path)
    packages(tmp_path, "Supabase's command line")
    (tmp_path / "supabase").mkdir()
    # On another port than that of its own containers a database is a project's.
    (tmp_path / "supabase" / "config.toml").write_text('project_id = "t"\n\n[db]\nport = 1\n')

    def run(*words: str) -> str:
        done = subprocess.run(
            [
                tmp_path / "node_modules" / ".bin" / "supabase",
                *words,
                "--db-url",
                f"{database}?sslmode=disable",
            ],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "SUPABASE_TELEMETRY_DISABLED": "1"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.slow
async def test_push_list_reset_and_advisors_are_content_and_apply_only_records(
    cli: Cli, tmp_path: Path, database: str
) -> None:
    files = load()
    (tmp_path / "supabase" / "migrations").mkdir()
    written = export(tmp_path / "supabase", files, "public", now=clock.now()).written
    assert len(written) == len(files)

    async def recorded() -> int:
        assert (await plan(database, "public")).pending == ()
        done = await apply(database, "public", who="a test")
        assert done.done == ()
        assert await verify(database, "public") == []
        return len(done.recorded)

    cli("db", "push", "--yes")
    assert await recorded() == len(files)
    listed = cli("migration", "list")
    for path in written:
        assert listed.count(path.name.partition("_")[0]) == 2, "here and there"

    cli("db", "push", "--yes")
    assert await recorded() == 0

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into monitoring_heads (epoch, writer_id, started_at) values ('e', 'w', now())"
        )
    cli("db", "reset", "--yes")
    assert await recorded() == len(files)
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from monitoring_heads").fetchone() == (0,)

    found = json.loads(cli("db", "advisors") or "[]")
    assert [one["detail"] for one in found] == []
