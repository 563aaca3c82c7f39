"""Small rules of the stack: what was done in words, which folder is closed above, and that no password stands in a file of ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.stack.detached import Up
from migctl.stack.postgres import Postgres, bootstrap_sql
from migctl.stack.standin_process import StandinOptions
from migctl.stack.unprivileged import closed_above
from migctl.stack.valkey import Valkey

TARGET = Target(supabase_url="http://127.0.0.1:54321", embedded=True)


def test_nothing_done_is_nothing_said() -> None:
    assert Up(TARGET, started=False).words is None


def test_what_was_started_again_and_changed_is_said_in_one_line() -> None:
    words = Up(TARGET, started=False, restarted=("valkey",), changed=StandinOptions(rates="free")).words
    assert words is not None
    assert "started again: valkey" in words
    assert "rates free" in words
    assert "\n" not in words


def test_no_role_gets_a_password_from_a_file_that_everybody_has() -> None:
    assert re.findall(r"\bpassword\s+(?:'|%|null)", bootstrap_sql(), re.IGNORECASE) == []


def test_two_servers_that_were_told_no_password_have_different_ones(tmp_path: Path) -> None:
    urls = {Postgres(tmp_path, 1).url(), Postgres(tmp_path, 1).url(), Postgres(tmp_path, 1).admin_url()}
    assert len(urls) == 3
    assert Valkey(tmp_path, 1).url != Valkey(tmp_path, 1).url


@pytest.mark.parametrize(("mode", "closed"), [(0o700, False), (0o755, False), (0o600, True)])
def test_folder_of_ours_is_closed_only_where_even_we_may_not_pass(
    tmp_path: Path, mode: int, closed: bool
) -> None:
    above = tmp_path / "above"
    (above / "stack").mkdir(parents=True)
    above.chmod(mode)
    try:
        assert closed_above(above / "stack", os.geteuid()) == (above if closed else None)
    finally:
        above.chmod(0o700)
