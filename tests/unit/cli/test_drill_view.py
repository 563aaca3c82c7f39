"""A drill's figures on a terminal: with units, and with names that can be read at any width."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.cli.drill_view import print_result
from tests.kit.drilled import NOTHING, whole


@pytest.mark.parametrize("columns", [60, 80])
def test_names_and_objectives_are_whole_on_narrow_terminals(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_result(whole("nobody"), Path("drills/x.html"))
    printed = capsys.readouterr().out
    assert "whole:realtime-1" in printed
    assert "at most 2,000 ms" in printed
    assert "99.5 %" in printed
    assert "fail: nobody\n  nobody\n  page: drills/x.html\n" in printed
    assert max(len(line) for line in printed.splitlines()) <= columns


def test_one_that_did_not_begin_has_a_verdict_and_no_empty_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(NOTHING, Path("drills/x.html"))
    printed = capsys.readouterr().out
    assert "inconclusive: Supabase is out" in printed
    assert "OBJECTIVE" not in printed
    assert "SUBSCRIBER" not in printed
