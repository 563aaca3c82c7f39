"""`migctl flags experiment report`: a log and minutes of a known truth, from this folder and from the record."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migctl.config import Settings, Target
from migctl.experiments import lines
from migctl.flags.record import Record
from migctl.runtime.flags import target_name
from migctl.validate.witness.minute import Minute
from migctl.validate.witness.state import KEPT
from tests.kit.deadletters import Commands
from tests.kit.serve_process import environment
from tests.kit.targets import environment_of
from tests.unit.experiments.test_report import DAY, day, line

DAYS = ("--since", DAY.isoformat(), "--until", DAY.isoformat())
REPORT = ("flags", "experiment", "report")


def log(folder: Path, opened: int = 4) -> None:
    """800 users, of whom one in so many has Realtime, and one who was braked; the last line is torn."""
    of = [line(user, "realtime" if user % opened == 0 else "websocket") for user in range(800)]
    of.append(line(900, "websocket", reason="BRAKED", drawn=False))
    path = lines.day_file(folder / lines.FOLDER, DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(lines.encode, of)) + b'{"at": "20')


def keep(folder: Path, minutes: Iterable[Minute]) -> None:
    (folder / KEPT).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in minutes))


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Mode websocket without a target: the folder is all there is."""
    return Commands(tmp_path, {"MIGCTL_MODE": "websocket", "NO_COLOR": "1"}, monkeypatch, capsys)


def test_what_this_folder_keeps_is_compared(alone: Commands, tmp_path: Path) -> None:
    log(tmp_path)
    keep(tmp_path, day(1, -4.0))
    done = alone(*REPORT, "transport", *DAYS)
    assert done.returncode == 0, done.stderr
    assert " ms lower (95 % CI " in " ".join(done.stdout.split())
    assert "realtime" in done.stdout
    assert "BRAKED 1" in done.stderr
    assert "1 line of the exposure log can't be read" in done.stderr
    made = json.loads(alone(*REPORT, *DAYS, "--output", "json").stdout)
    assert (made["schema"], made["verdict"], made["away"]) == ("migctl.experiment/1", "pass", None)
    assert made["users"]["variants"] == {"realtime": 200, "websocket": 600}
    p99 = next(one for one in made["comparisons"] if one["figure"] == "latency_p99_ms")
    assert p99["interval"]["low"] < -4 < p99["interval"]["high"]


def test_users_who_count_by_an_older_share_are_named(alone: Commands, tmp_path: Path) -> None:
    log(tmp_path)
    path = lines.day_file(tmp_path / lines.FOLDER, DAY)
    text = path.read_bytes()
    assert b"older share" not in alone(*REPORT, *DAYS).stderr.encode()
    path.write_bytes(text.replace(b'"kept":false', b'"kept":true', 300))
    assert "300 count by an older share than that of the day" in " ".join(
        alone(*REPORT, *DAYS).stderr.split()
    )
    assert json.loads(alone(*REPORT, *DAYS, "--output", "json").stdout)["users"]["kept"] == 300


def test_too_little_and_users_who_do_not_fit_are_exit_code_1(alone: Commands, tmp_path: Path) -> None:
    done = alone(*REPORT, *DAYS)
    assert done.returncode == 1
    assert "Too little for a verdict: 0 of 100 users of websocket" in " ".join(done.stdout.split())
    log(tmp_path, opened=2)
    done = alone(*REPORT, *DAYS)
    assert done.returncode == 1
    assert "Nothing is compared: the users do not fit the share" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("menu",), "menu is no experiment in "),
        (("--since", "soon"), "--since soon: no day"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "2026-03-02 is after 2026-03-01"),
    ],
)
def test_what_can_not_be_reported_is_exit_code_2(
    alone: Commands, words: tuple[str, ...], message: str
) -> None:
    done = alone(*REPORT, *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_without_scipy_it_is_exit_code_2_with_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['scipy'] = None; from migctl.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *REPORT], capture_output=True, text=True, cwd=tmp_path, timeout=180, check=False,
        env=environment(tmp_path, {"MIGCTL_MODE": "websocket"}),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install 'migctl[experiments]'" in done.stderr


def test_minutes_are_those_of_the_record(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, environment_of(standin), monkeypatch, capsys)
    log(tmp_path)
    minutes = day(1, 6.0, minutes=600)

    async def write() -> None:
        record = Record(standin, "public", target_name(Settings(), standin))
        try:
            await record.write_minutes(minutes[:500])
        finally:
            await record.aclose()

    asyncio.run(write())
    keep(tmp_path, minutes[450:])  # what the record does not have yet, and some that it has
    done = run(*REPORT, *DAYS, "--output", "json")
    assert done.returncode == 0, done.stderr
    made: Any = json.loads(done.stdout)
    assert made["minutes"] == 600
    assert " ms higher (95 % CI " in made["sentence"]
