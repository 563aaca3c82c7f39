"""The main job as an operator runs it: the demo, and each recorded stream replayed, on real parts in processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit import needs
from tests.kit.serve_process import begin

pytestmark = pytest.mark.usefixtures("real_starts")

DATA = Path(__file__).parents[3] / "shared" / "data"

MAPPINGS = {
    "github-events": [
        "id=.id",
        "event_type=.type",
        "timestamp=.created_at",
        "source=.repo.name",
        "data=.payload",
    ],
    "cloudtrail": [
        "id=.eventID",
        "event_type=.eventName",
        "timestamp=.eventTime",
        "source=.eventSource",
        "data=.",
    ],
    "nab-cloudwatch-metrics": ["event_type=.file", "timestamp=.timestamp", "source=.file", "data=."],
}
COUNTS = {"github-events": 800, "cloudtrail": 310, "nab-cloudwatch-metrics": 23_734}


def migctl(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "migctl", *arguments],
        cwd=cwd,
        env={**env, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that still speak of this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("dual", "old"),
        *(
            pytest.param(mode, keys, marks=pytest.mark.slow)
            for mode, keys in (("websocket", "old"), ("realtime", "old"), ("dual", "new"))
        ),
    ],
)
def test_the_demo_loses_nothing_while_the_stand_in_is_killed(tmp_path: Path, mode: str, keys: str) -> None:
    ended = migctl("demo", "--seconds", "8", "--mode", mode, "--keys", keys, "--output", "json", cwd=tmp_path)
    names = ["websocket", "realtime"] if mode == "dual" else [mode]
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    assert said["schema"] == "migctl.demo/1"
    assert (said["lost"], said["duplicates"], said["match_percent"], said["verdict"]) == (0, 0, 100.0, "pass")
    assert said["published"] > 200
    assert list(said["transports"]) == names
    for transport in said["transports"].values():
        assert transport["received"] == said["published"]
        assert transport["latency_ms"]["n"] > 0
    folder = (tmp_path / said["report"]).parent
    sent = ids(folder / "journal.ndjson")
    assert len(sent) == said["published"]
    # What the report says is looked at with other eyes: plain lists of ids, in order.
    for name in names:
        assert ids(folder / f"{name}.ndjson") == sent
    if "realtime" in names:
        # The outage happened: part of it came from the table.
        vias = {json.loads(line)["via"] for line in (folder / "realtime.ndjson").read_text().splitlines()}
        assert vias >= {"live", "table"}
    assert left_running(tmp_path) == []


@pytest.mark.slow
def test_a_demo_whose_subscriber_is_killed_has_no_verdict(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    demo = begin(tmp_path, "demo", "--seconds", "6", "--mode", "websocket", out=out, err=err)
    try:
        while not (captures := _captures(demo.pid)) or "publishing" not in err.read_text():
            assert demo.poll() is None, err.read_text()
            time.sleep(0.05)
        for capture in captures:
            capture.kill()
        assert demo.wait(120) == 3, out.read_text() + err.read_text()
    finally:
        demo.kill()
    assert "PASS" not in out.read_text()
    assert left_running(tmp_path) == []


@pytest.mark.slow
def test_a_demo_whose_evidence_was_cut_fails(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    demo = begin(tmp_path, "demo", "--seconds", "6", "--mode", "websocket", out=out, err=err)
    try:
        while not (found := list(tmp_path.glob(".migctl/demo-*/websocket.ndjson"))) or _lines(found[0]) < 50:
            assert demo.poll() is None, err.read_text()
            time.sleep(0.05)
        os.truncate(found[0], 0)
        assert demo.wait(120) == 1, out.read_text() + err.read_text()
    finally:
        demo.kill()
    assert "PASS" not in out.read_text()
    assert left_running(tmp_path) == []


def _lines(path: Path) -> int:
    """Of a file that is being written."""
    return path.read_bytes().count(b"\n")


def _captures(pid: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(pid).children(recursive=True) if "capture" in one.cmdline()]


@pytest.mark.slow
def test_what_the_demo_proposes_next_runs_as_it_is_printed(tmp_path: Path) -> None:
    called = f"{shlex.quote(sys.executable)} -m migctl"  # as `./dev migctl` says it of itself
    ended = migctl(
        "demo", "--seconds", "6", "--mode", "websocket", cwd=tmp_path, _MIGCTL_AS=called, COLUMNS=""
    )
    assert ended.returncode == 0, ended.stderr
    proposed = [line.strip() for line in ended.stdout.partition("\nnext:\n")[2].splitlines()]
    assert len(proposed) == 4
    assert all(line.startswith(called) for line in proposed)
    report = subprocess.run(
        ["sh", "-c", proposed[0]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert report.returncode == 0, report.stderr


@pytest.mark.parametrize("name", sorted(MAPPINGS))
def test_a_recorded_stream_is_replayed_whole_through_both_transports(tmp_path: Path, name: str) -> None:
    recording = needs.recording(DATA / f"{name}.ndjson")
    options = [option for mapping in MAPPINGS[name] for option in ("--map", mapping)]
    ended = migctl(
        "replay", str(recording), "--speed", "max", "--out", "out", "--output", "json", *options, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    assert (said["events"], said["published"], said["lost"]) == (COUNTS[name], COUNTS[name], 0)
    assert said["verdict"] == "pass"
    assert not any(said["discrepancies"].values())
    out = tmp_path / "out"
    sent = ids(out / "journal.ndjson")
    assert ids(out / "websocket.ndjson") == sent
    assert ids(out / "realtime.ndjson") == sent
    assert left_running(tmp_path) == []


@pytest.mark.parametrize("where", [None, "elsewhere.yaml"])
@pytest.mark.slow
def test_a_rehearsal_has_the_schema_of_the_settings_and_a_journal_of_its_own(
    tmp_path: Path, where: str | None
) -> None:
    """Tables outside public; and the journal that the settings name is that of the operator's `serve`."""
    (tmp_path / (where or "migctl.yaml")).write_text(
        "supabase: {schema: panels}\njournal: {path: kept.db}\n", encoding="utf-8"
    )
    lines = [f'{{"event_type":"a","data":{{"n":{n}}}}}\n' for n in range(20)]
    (tmp_path / "a.ndjson").write_text("".join(lines))
    config = ["--config", where] if where else []
    ended = migctl("replay", "a.ndjson", "--speed", "max", "--output", "json", *config, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    assert (said["published"], said["lost"], said["verdict"]) == (20, 0, "pass")
    assert not list(tmp_path.glob("kept.db*"))


def test_a_truncated_recording_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "cut.ndjson").write_text(
        '{"event_type":"a","data":{}}\n{"event_type":"a","da\n{"event_type":"a","data":{}}\n'
    )
    ended = migctl("replay", "cut.ndjson", cwd=tmp_path)
    assert ended.returncode == 2
    assert "cut.ndjson:2:" in ended.stderr
    assert "--skip-bad" in ended.stderr


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({}, 2, "SUPABASE_URL"),
        (
            {
                "SUPABASE_URL": "http://127.0.0.1:9",
                "SUPABASE_ANON_KEY": "a",
                "SUPABASE_SERVICE_ROLE_KEY": "b",
            },
            4,
            "--yes",
        ),
    ],
)
def test_a_target_is_only_replayed_to_when_it_is_named_and_confirmed(
    tmp_path: Path, environ: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "a.ndjson").write_text('{"event_type":"a","data":{}}\n')
    ended = migctl("replay", "a.ndjson", "--on-target", cwd=tmp_path, **environ)
    assert ended.returncode == code
    assert said in ended.stderr
    assert not (tmp_path / ".migctl").exists()


def test_an_existing_folder_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "websocket.ndjson").write_text("evidence of yesterday\n")
    (tmp_path / "a.ndjson").write_text('{"event_type":"a","data":{}}\n')
    ended = migctl("replay", "a.ndjson", "--out", "out", cwd=tmp_path)
    assert ended.returncode == 4
    assert (tmp_path / "out" / "websocket.ndjson").read_text() == "evidence of yesterday\n"
