"""The commands of docs/drills.md run as they are shown."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from migctl.drills.document import HttpProvider, ProcessProvider
from migctl.drills.objectives import NAMES
from tests.kit.serve_process import run

PAGE = (Path(__file__).parents[2] / "docs" / "drills.md").read_text()
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
# Those that run a drill: half a minute each.
DRILLS = [words for words in COMMANDS if words[1] not in ("list", "show", "history")]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words not in DRILLS], ids=" ".join)
def test_what_only_shows_something_ends_well(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", DRILLS, ids=" ".join)
def test_a_drill_ends_as_the_page_says(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words, "--output", "json")
    found = json.loads(done.stdout)
    assert found["schema"] == "migctl.drill/1"
    if "--without" in words:
        assert done.returncode == 1
        assert found["lost_ids"]
    else:
        assert (found["lost"], found["duplicates"]) == (0, 0)
        assert (tmp_path / "drills" / f"{found['id']}.json").exists()


def test_every_measure_and_every_key_of_a_provider_is_on_the_page() -> None:
    for name in NAMES:
        assert f"`{name.partition('_')[2]}`" in PAGE, name
    for model in (ProcessProvider, HttpProvider):
        for key in model.model_fields.keys() - {"type"}:
            assert f"`{key}`" in PAGE, key


def test_a_copy_of_a_drill_is_a_beginning(tmp_path: Path) -> None:
    (tmp_path / "configs" / "drills").mkdir(parents=True)
    shown = run(tmp_path, "drill", "show", "failover", "--yaml")
    (tmp_path / "configs" / "drills" / "mine.yaml").write_text(shown.stdout)
    assert run(tmp_path, "config", "check").returncode == 0
    listed = json.loads(run(tmp_path, "drill", "list", "--output", "json").stdout)["drills"]
    assert "mine" in [one["drill"] for one in listed]
