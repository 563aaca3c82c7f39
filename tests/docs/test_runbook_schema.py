"""The runbook's commands run, in the order of the page, on a real target."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import psycopg
import pytest

from migctl.cli.main import main
from migctl.config import Target
from migctl.schema import files

PAGE = (Path(__file__).parents[2] / "runbooks/schema.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_every_command_of_the_page_ends_well_on_a_target_that_is_well(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("MIGCTL_", "SUPABASE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUPABASE_URL", standin.supabase_url)
    monkeypatch.setenv("SUPABASE_ANON_KEY", standin.need("anon_key"))
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", standin.need("service_role_key"))
    monkeypatch.setenv("SUPABASE_JWT_SECRET", standin.need("jwt_secret"))
    monkeypatch.setenv("DATABASE_URL", standin.need("database_url"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_text("")  # as `supabase init` leaves it

    assert len(COMMANDS) > 10
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "migctl", line
        if "reverted" in words:  # it is said of objects that somebody dropped
            with psycopg.connect(standin.need("database_url"), autocommit=True) as connection:
                down = next(
                    migration.down for migration in files.load() if migration.version == int(words[2])
                )
                assert down is not None
                connection.execute(files.render(down, "public").encode())
        assert main(words) == 0, f"{line}\n{capsys.readouterr()}"
