"""What the command line prints: results on stdout, the rest on stderr, and no secret in the rest."""

from __future__ import annotations

import json

import pytest

from migctl import redaction
from migctl.cli import context, output
from migctl.errors import Refused, Transient
from migctl.exits import Exit

SECRET = "planted-for-the-screen-1"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    redaction.know(SECRET)


def test_an_error_is_what_and_below_it_the_way_out_at_any_width(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(f"{'long ' * 20}and [bold]{SECRET}[/bold]", "do this")
    said = capsys.readouterr()
    assert said.err == f"error: {'long ' * 20}and [bold]***[/bold]\n  do this\n"
    assert said.out == ""


def test_a_remark_holds_no_secret_and_a_result_is_what_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.note(f"key {SECRET}")
    output.plain(SECRET)
    output.document({"key": SECRET, "ü": 1})
    output.line({"key": SECRET})
    said = capsys.readouterr()
    assert said.err == "key ***\n"
    plain_, *rest = said.out.splitlines()
    assert plain_ == SECRET
    assert json.loads("".join(rest[:-1])) == {"key": SECRET, "ü": 1}
    assert rest[-1] == f'{{"key":"{SECRET}"}}'


def test_a_table_folds_rather_than_hides_and_its_cells_are_no_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table(("name", ("count", "right")), [["[red]x[/red]", 1], ["y" * 60, 20]])
    said = capsys.readouterr().out
    assert "[red]x[/red]" in said
    assert said.replace("\n", "").count("y") == 60
    output.table(("", ""), [["a", "b"]])
    assert "name" not in capsys.readouterr().out


def test_a_bug_is_never_hidden_by_an_error_that_came_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("MIGCTL_STATE_DIR", f"{tmp_path}/state")
    code = context.report(ExceptionGroup("", [Transient("away", do="wait"), KeyError(SECRET)]))
    said = capsys.readouterr().err
    assert code == Exit.OURS
    assert "an error of ours: KeyError: '***'" in said
    assert f"{tmp_path}/state/error.log" in said.replace("\n", "")


def test_an_error_of_ours_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert context.report(ExceptionGroup("", [Refused("no", do="name it")])) == 4
    assert context.report(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "error: no\n  name it\ninterrupted\n"


def test_in_a_pipe_nothing_is_wrapped_or_padded_unless_a_width_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["a", "word " * 60, "x"], ["bc", "short", ""]]
    monkeypatch.delenv("COLUMNS", raising=False)
    output.table(["ONE", "TWO", "THREE"], rows)
    wide = capsys.readouterr().out.splitlines()
    assert any("word " * 59 + "word" in line for line in wide)
    assert all(line == line.rstrip() for line in wide)
    monkeypatch.setenv("COLUMNS", "80")
    output.table(["ONE", "TWO", "THREE"], rows)
    narrow = capsys.readouterr().out.splitlines()
    assert max(map(len, narrow)) <= 80
    assert all(line == line.rstrip() for line in narrow)
