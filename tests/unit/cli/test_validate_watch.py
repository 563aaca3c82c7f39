"""What `validate watch` shows: a line a window, wherever it is shown."""

from __future__ import annotations

import json

import pytest

from migctl.cli.validate_watch import Shown
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.trouble import Bounds
from tests.unit.witness.test_trouble import BAD, GOOD, QUIET_ONE, UNSEEN

VERDICTS = [(GOOD, "pass"), (BAD, "fail"), (UNSEEN, "inconclusive"), (QUIET_ONE, "inconclusive")]


@pytest.mark.parametrize(("minute", "verdict"), VERDICTS)
def test_a_pipe_gets_a_line_a_window(
    minute: Minute, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Shown(Bounds(), "text", quiet=False) as shown:
        shown.add(minute)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"window 12:00:00  verdict {verdict}")
    assert line.endswith(shown.fault(minute) or "avail % 100.00")


def test_json_is_a_line_a_window_and_the_summary_last(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown(Bounds(), "json", quiet=False) as shown:
        for minute, _ in VERDICTS:
            shown.add(minute)
        shown.end()
    *windows, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["verdict"] for each in windows] == [verdict for _, verdict in VERDICTS]
    assert summary["verdicts"] == {"pass": 1, "fail": 1, "inconclusive": 2}


def test_a_terminal_of_80_columns_has_a_line_a_window() -> None:
    from rich.console import Console

    shown = Shown(Bounds(), "text", quiet=True)
    shown.minutes = [minute for minute, _ in VERDICTS]
    console = Console(width=80, record=True, file=None, quiet=True)
    lines = console.render_lines(shown.table(), pad=False)
    text = ["".join(segment.text for segment in line) for line in lines]
    rows = [line for line in text if line.strip().startswith("12:00:00")]
    assert [row.split()[1] for row in rows] == [verdict for _, verdict in VERDICTS]
    assert "no event was committed" in text[-1]


def test_the_witness_that_serve_keeps_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown(Bounds(), "text", quiet=True) as shown:
        shown.add(BAD)
        shown.end()
    assert capsys.readouterr().out == ""
