"""What the README shows exists: commands, options, variables, files, keys."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
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
        timeout=30,
    ).stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in said, f"{line}: {option}"


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"(?:\]\(|python )((?:docs|configs|benchmarks)/[\w./-]+|\w+\.md)", README)))
)
def test_every_file_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


def test_every_command_is_in_the_readme() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "migctl", "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^  (\w+)  ", said.split("Commands:")[1], re.MULTILINE)
    assert listed
    for command in listed:
        assert f"`migctl {command}" in README, command
