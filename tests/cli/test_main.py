"""The command line as a whole: quick help, exit codes, one way of telling an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "supabase",
    "realtime",
    "duckdb",
    "psycopg",
    "redis",
    "aiohttp",
    "pydantic",
    "structlog",
    "rich.console",
    "uvloop",
)


def migctl(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "migctl", *arguments],
        cwd=cwd,
        env={**env, **environ, "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from migctl.cli.main import main\n"
        "main(['--help'])\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert "LOADED []" in said


@pytest.mark.parametrize("command", ["stack", "schema", "serve", "capture", "validate", "replay", "demo"])
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    ended = migctl(command, "--help", cwd=tmp_path)
    assert ended.returncode == 0
    assert "Usage: migctl" in ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["rollout"], ["rollout", "set"]])
def test_help_is_a_word_too(tmp_path: Path, words: list[str]) -> None:
    asked, option = migctl("help", *words, cwd=tmp_path), migctl(*words, "--help", cwd=tmp_path)
    assert (asked.returncode, asked.stdout) == (0, option.stdout)
    assert migctl("help", "rolout", cwd=tmp_path).returncode == 2


def test_a_typo_is_told_with_what_was_meant(tmp_path: Path) -> None:
    ended = migctl("serv", cwd=tmp_path)
    assert ended.returncode == 2
    assert "serve" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (["serve", "--mode", "both"], {}, 2, "both"),
        (["serve", "--mode", "websocket", "--listen", "nowhere"], {}, 2, "--listen"),
        (["serve", "--config", "none.yaml"], {}, 2, "none.yaml"),
        (["serve", "--mode", "websocket", "--source", "none.ndjson"], {}, 2, "none.ndjson"),
        (["serve", "--mode", "websocket", "--listen", "0.0.0.0:0"], {}, 4, "token"),
        (["serve", "--mode", "websocket", "--source", "-", "--map", "kind=.a"], {}, 2, "kind"),
        (["serve"], {"SUPABASE_URL": "http://127.0.0.1:9"}, 2, "SUPABASE_ANON_KEY"),
        (["serve"], {"SUPABASE_URL": "nowhere"}, 2, "SUPABASE_URL"),
        (["schema", "plan"], {"SUPABASE_URL": "http://127.0.0.1:9"}, 2, "DATABASE_URL"),
        (
            ["schema", "plan"],
            {"SUPABASE_URL": "http://127.0.0.1:9", "DATABASE_URL": "postgresql://a:b@127.0.0.1:9/postgres"},
            3,
            "127.0.0.1:9",
        ),
        (["validate", "report", "none"], {}, 2, "none"),
        (["replay", "none.ndjson"], {}, 2, "none.ndjson"),
        (["replay", "none.ndjson", "--speed", "fast"], {}, 2, "--speed"),
        (
            [
                "capture",
                "--transport",
                "websocket",
                "--out",
                "x",
                "--url",
                "ws://127.0.0.1:9/ws",
                "--wait",
                "0.2",
            ],
            {},
            3,
            "127.0.0.1:9",
        ),
    ],
)
def test_bad_input_is_told_with_the_right_exit_code(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    ended = migctl(*arguments, cwd=tmp_path, **environ)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_bad_settings_file_is_told_with_file_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text("mode: websocket\nlegacy:\n  frame: whole\n")
    ended = migctl("serve", cwd=tmp_path)
    assert ended.returncode == 2
    assert "migctl.yaml:3: legacy.frame:" in ended.stderr
    assert "envelope" in ended.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = migctl("serve", "--mode", "websocket", "--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    assert ended.returncode == 3
    assert str(port) in ended.stderr
    assert "--listen" in ended.stderr


def test_a_reader_that_has_had_enough_is_no_verdict(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "migctl", "config", "schema", "settings"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")
