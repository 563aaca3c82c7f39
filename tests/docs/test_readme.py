"""What the README shows exists: commands, options, variables, files, keys."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.stack.launcher import any_free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MIGCTL = (sys.executable, "-m", "migctl")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in BLOCKS for line in block.splitlines()]
    found = {line.removeprefix("./dev ").removesuffix(" &") for line in lines if "migctl " in line}
    return sorted(line for line in found if line.startswith("migctl "))


def test_there_are_exactly_two_set_up_commands() -> None:
    assert BLOCKS[:2] == ["./dev migctl demo\n", "./dev test\n"]
    assert sum(block.count("./dev") for block in BLOCKS) == 2


@pytest.mark.parametrize("line", commands())
def test_every_command_shown_has_its_options(line: str) -> None:
    words = line.split()[1:]
    group = words[:2] if words[0] in ("stack", "schema", "validate") else words[:1]
    said = subprocess.run(
        [sys.executable, "-m", "migctl", *group, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    ).stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in said, f"{line}: {option}"


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"(?:\]\(|python )((?:docs|configs|benchmarks)/[\w./-]+|\w+\.md)", README)))
)
def test_every_file_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_stream_of_your_own_runs_as_it_is_shown(tmp_path: Path) -> None:
    block = next(block for block in BLOCKS if "schema apply" in block)
    shown = block.replace("--seconds 20", "--seconds 3").replace("--seconds 25", "--seconds 6")
    assert shown != block
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))
    }
    (tmp_path / ".venv").symlink_to(sys.prefix)  # as it is in a checkout
    environ["MIGCTL_LISTEN"] = f"127.0.0.1:{any_free_port()}"
    with (tmp_path / "stderr").open("w") as stderr:
        shell = subprocess.Popen(
            ["bash", "-c", f"set -e\n{shown}"],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    try:
        shell.wait(120)
        said = (tmp_path / "stderr").read_text()
    finally:
        # The server goes on, as it would for a reader of the page; it and what it started end here.
        os.killpg(shell.pid, signal.SIGTERM)
        stdout, _ = shell.communicate(timeout=180)
        subprocess.run([*MIGCTL, "stack", "down"], cwd=tmp_path, env=environ, check=True, timeout=180)
    assert shell.returncode == 0, said
    assert "PASS" in stdout, stdout + said


def test_the_map_of_the_documents_has_each_of_them_and_leads_nowhere_else() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "README.md").read_text()
    linked = {(root / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#]+)", page)}
    written = {path for folder in ("docs", "runbooks") for path in (root / folder).glob("*.md")}
    assert linked >= written - {root / "docs" / "README.md"}
    assert all(path.exists() for path in linked)


def test_every_command_is_in_the_readme() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "migctl", "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^  (\w+)  ", said.split("Commands:")[1], re.MULTILINE)
    assert listed
    for command in listed:
        assert f"`migctl {command}" in README, command
