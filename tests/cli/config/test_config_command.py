"""`migctl config` as it is typed: exit codes, one document on stdout, and no secret anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "hunter2hunter2hunter2"


def migctl(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "migctl", "config", *words],
        cwd=folder, env={**clean, **environ}, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


@pytest.mark.slow
def test_check_lists_what_it_looked_at_or_every_problem(tmp_path: Path) -> None:
    good = migctl(tmp_path, "check")
    assert (good.returncode, "2b-25.yaml" in good.stdout, "no migctl.yaml here" in good.stderr) == (
        0,
        True,
        True,
    )
    (tmp_path / "migctl.yaml").write_text("mode: both\nrelay: {hihg: {}}\n")
    bad = migctl(tmp_path, "check")
    assert bad.returncode == 2
    assert bad.stdout.splitlines() == [
        "migctl.yaml:1: mode: input should be 'websocket', 'realtime' or 'dual', got 'both'",
        "  it is one of websocket, realtime, dual",
        "migctl.yaml:2: relay.hihg: no such key",
        "  did you mean high?",
    ]
    assert "2 problems" in bad.stderr
    said = migctl(tmp_path, "check", "--output", "json")
    assert said.returncode == 2
    problem = json.loads(said.stdout)["problems"][0]
    assert problem == {
        "file": "migctl.yaml", "line": 1, "key": "mode", "problem": "input should be 'websocket', 'realtime' or 'dual', got 'both'",
        "expected": "one of websocket, realtime, dual", "do": "it is one of websocket, realtime, dual",
    }  # fmt: skip


def test_check_of_one_file_that_is_not_there_is_a_problem_of_it(tmp_path: Path) -> None:
    done = migctl(tmp_path, "check", "none.yaml")
    assert (done.returncode, done.stdout.splitlines()[0]) == (2, "none.yaml: No such file or directory")


@pytest.mark.slow
def test_show_says_what_holds_and_from_where_and_never_a_secret(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text(f"listen: 127.0.0.1:9\nalerts: {{webhook: 'https://h/{SECRET}'}}\n")
    environ = {
        "SUPABASE_JWT_SECRET": SECRET,
        "DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
        "MIGCTL_WITNESS": "off",
    }
    for words in (("show",), ("show", "--resolved"), ("show", "--resolved", "--output", "json"), ("check",)):
        done = migctl(tmp_path, *words, **environ)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
    said = json.loads(
        migctl(
            tmp_path,
            "show",
            "--resolved",
            "--stage",
            "2a-internal",
            "--mode",
            "websocket",
            "-o",
            "json",
            **environ,
        ).stdout
    )
    assert said["origins"]["mode"] == "--mode"
    assert said["origins"]["witness"] == "MIGCTL_WITNESS"
    assert said["origins"]["listen"] == "migctl.yaml:1"
    where, _, line = said["origins"]["fallback.to_realtime"].rpartition(":")
    assert Path(where).read_text().splitlines()[int(line) - 1] == "    to_realtime: false"
    assert said["settings"]["fallback"]["to_realtime"] is False
    assert said["secrets"]["SUPABASE_JWT_SECRET"] == {"set": True, "from": "SUPABASE_JWT_SECRET"}
    assert said["secrets"]["REDIS_URL"] == {"set": False, "from": None}


def test_a_stage_that_is_none_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    done = migctl(tmp_path, "show", "--stage", "2b-26")
    assert (done.returncode, "did you mean 2b-25?" in done.stderr) == (2, True)


def test_schema_is_one_document(tmp_path: Path) -> None:
    assert (
        json.loads(migctl(tmp_path, "schema", "stage").stdout)["title"]
        == "configs/stages/NAME.yaml of migctl"
    )
    assert migctl(tmp_path, "schema", "nothing").returncode == 2
