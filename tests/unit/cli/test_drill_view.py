"""A drill's figures on a terminal: with units, and with names that can be read at any width."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migctl.cli import output
from migctl.cli.drill_view import draw, print_result
from migctl.drills.sampling import Sample
from tests.kit.drilled import NOTHING, fault, whole


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
    assert "fail: nobody\n  nobody\n  available 99.5 %, without grace 95.45 %\n" in printed
    assert "  seed 11: --seed 11 draws the same faults again\n  page: drills/x.html\n" in printed
    assert max(len(line) for line in printed.splitlines()) <= columns


def test_of_several_faults_each_has_its_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    faults = [fault("refused", 5, 15), fault("subscriber stopped", 1100, 1103)]
    print_result(msgspec.structs.replace(whole("nobody"), faults=faults), Path("drills/x.html"))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["5", "s", "refused", "80", "ms", "35", "ms", "-"] in rows
    assert ["1,100", "s", "subscriber", "80", "ms", "35", "ms", "-"] in rows


def test_while_it_runs_it_shows_who_is_how_far_behind_and_what_is_armed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sample = Sample(at=1, head=1200, table_head=1000)
    output.console().print(draw(12.3, sample, ["reset"], {"whole:realtime-1": 1200}))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["load", "12", "s", "armed:", "reset"],
        ["journal", "1,200"],
        ["table", "1,000", "200", "behind"],
        ["whole:realtime-1", "1,200"],
    ]
    output.console().print(draw(12.3, Sample(at=1, away=True), [], {"whole:realtime-1": 1200}))
    printed = capsys.readouterr().out
    assert "serve does not answer" in printed
    assert "behind" not in printed


def test_one_that_did_not_begin_has_a_verdict_and_no_empty_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(NOTHING, Path("drills/x.html"))
    printed = capsys.readouterr().out
    assert "inconclusive: Supabase is out" in printed
    assert "OBJECTIVE" not in printed
    assert "SUBSCRIBER" not in printed
