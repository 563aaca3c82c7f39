"""`migctl validate report` as an operator runs it: verdicts, exit codes, what is said where."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.kit.captures import Scene, summary, write


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MIGCTL_", "SUPABASE_", "COLUMNS", "NO_COLOR"))
    }
    return subprocess.run(
        [sys.executable, "-m", "migctl", "validate", "report", *words],
        cwd=folder,
        env=kept | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def spoiled() -> Scene:
    scene = Scene(60)
    del scene.websocket[5]
    scene.realtime.append(scene.realtime[3])
    scene.realtime[10] = scene.realtime[10] | {"data": scene.realtime[10]["data"] | {"n": 99}}
    return scene


def test_agreeing_captures_exit_0_and_say_pass_first(tmp_path: Path) -> None:
    Scene(30).write(tmp_path)
    done = run(tmp_path, ".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "PASS   30 of 30 events match (100 %), 0 lost"
    assert "no discrepancies" in done.stdout
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_what_fails_in_the_capture_of_the_whole_subscriber_is_said_beside_the_verdict(tmp_path: Path) -> None:
    scene = Scene(30)
    scene.write(tmp_path)
    write(tmp_path / "dual.ndjson", scene.websocket[1:])
    done = run(tmp_path, ".")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1] == "dual: fail, 29 of 30 events match, 1 missing"


def test_found_wanting_exits_1_and_names_what_is_wrong(tmp_path: Path) -> None:
    scene = spoiled()
    scene.write(tmp_path)
    done = run(tmp_path, ".")
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL   58 of 60 events match (96.6666 %), 0 lost")
    for sentence in (
        "1 missing on websocket",
        f"seq 6  {scene.journal[5]['id']}",
        "1 body differs",
        "data.n on realtime",
        "1 duplicate on realtime",
    ):
        assert sentence in done.stdout


def test_json_is_one_document_and_the_only_thing_on_stdout(tmp_path: Path) -> None:
    spoiled().write(tmp_path)
    done = run(
        tmp_path,
        ".",
        "--output",
        "json",
        "--out",
        "kept.json",
        "--discrepancies",
        "all.ndjson",
        "--examples",
        "1",
    )
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "kept.json").read_text())
    assert document["discrepancies"]["duplicate_realtime"] == 1
    kinds = sorted(json.loads(line)["kind"] for line in (tmp_path / "all.ndjson").read_text().splitlines())
    assert kinds == ["duplicate_realtime", "missing_websocket", "payload_mismatch"]


def test_files_are_named_one_by_one(tmp_path: Path) -> None:
    folder = Scene(30).write(tmp_path / "deep")
    done = run(
        tmp_path,
        *("--journal", str(folder / "journal.ndjson")),
        *("--websocket", str(folder / "websocket.ndjson")),
        *("--realtime", str(folder / "realtime.ndjson")),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("gate", "code", "verdict"),
    [
        (["--min-match-percent", "90"], 0, "PASS"),
        (["--min-match-percent", "97"], 1, "FAIL"),
        (["--min-match-percent", "90", "--min-events", "61"], 1, "INCONCLUSIVE"),
        (["--min-match-percent", "90", "--max-latency-p99-ms", "31"], 0, "PASS"),
        (["--min-match-percent", "90", "--max-latency-p99-ms", "29"], 1, "FAIL"),
    ],
)
def test_gates_are_options(tmp_path: Path, gate: list[str], code: int, verdict: str) -> None:
    spoiled().asked().write(tmp_path)
    done = run(tmp_path, ".", *gate)
    assert (done.returncode, done.stdout.split()[0]) == (code, verdict)


def test_inconclusive_says_how_much_is_missing(tmp_path: Path) -> None:
    scene = Scene(30)
    scene.realtime = []
    scene.summaries = {"realtime": summary("realtime")}
    scene.write(tmp_path)
    done = run(tmp_path, ".", "--min-events", "1000")
    assert done.returncode == 1
    assert done.stdout.startswith("INCONCLUSIVE")
    assert "realtime: the capture is empty, 0 of 30 expected events" in done.stdout
    assert "970 more events are needed (30 of 1,000)" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["."], "neither websocket.ndjson nor realtime.ndjson"),
        ([], "nothing to compare"),
        ([".", "--min-match-percent", "101"], "less than or equal to 100"),
        ([".", "--window", "all"], "all"),
    ],
)
def test_input_that_can_not_be_used_exits_2_and_says_the_way_out(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = run(tmp_path, *words, COLUMNS="200")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_bad_line_exits_2_with_file_and_line(tmp_path: Path) -> None:
    scene = Scene(30)
    scene.websocket[11] = '{"id":"half'
    scene.write(tmp_path)
    done = run(tmp_path, ".")
    assert done.returncode == 2
    assert done.stderr.startswith("error: websocket.ndjson:12: no JSON object")
    assert "mend or remove this line" in done.stderr


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("plain", [False, True])
def test_a_terminal_shows_no_line_longer_than_itself(tmp_path: Path, width: int, plain: bool) -> None:
    spoiled().write(tmp_path)
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")} | {
        "TERM": "xterm-256color"
    }
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "migctl", "validate", "report", "."],
        cwd=tmp_path,
        env=env | {"COLUMNS": str(width)} | ({"NO_COLOR": "1"} if plain else {}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said = b""
    try:
        while chunk := os.read(leader, 65536):
            said += chunk
    except OSError:  # the other end is closed: it is over
        pass
    os.close(leader)
    assert child.wait() == 1
    text = said.decode()
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", text)) is not plain
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= width
    assert any("missing" in line for line in lines)
    assert lines[0].startswith("FAIL   58 of 60") and lines[-1].startswith("FAIL   58 of 60")


def test_the_printed_schema_is_that_of_the_printed_report(tmp_path: Path) -> None:
    spoiled().write(tmp_path)
    schema = json.loads(run(tmp_path, "--schema").stdout)
    report = json.loads(run(tmp_path, ".", "--output", "json").stdout)
    Draft202012Validator(schema).validate(report)
    report["latency_ms"]["websocket"]["p99"] = "fast"
    with pytest.raises(ValidationError, match="fast"):
        Draft202012Validator(schema).validate(report)
