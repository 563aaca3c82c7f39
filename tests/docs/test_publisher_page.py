"""The code of docs/publisher.md runs as it is shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.journal.sqlite.files import read_file
from tests.kit.serve_process import environment, serving_process

PAGE = (Path(__file__).parents[2] / "docs" / "publisher.md").read_text()
BLOCKS = {
    re.split(r"\W", block.splitlines()[0].removeprefix("# "))[0]: block
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
}


def run(block: str, folder: Path) -> str:
    (folder / "shown.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "shown.py"],
        cwd=folder,
        env=environment(folder / ".migctl", {"MIGCTL_LISTEN": "127.0.0.1:0"}),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_is_one_that_a_test_runs_or_the_code_that_is_replaced() -> None:
    assert list(BLOCKS) == ["before", "after", "threads", "in"]
    compile(BLOCKS["before"], "before", "exec")


@pytest.mark.parametrize(
    ("name", "stored"), [("after", ["cache_metrics", "cpu", "cpu"]), ("threads", ["redis"] * 4)]
)
def test_what_is_shown_for_a_running_serve_publishes(name: str, stored: list[str], tmp_path: Path) -> None:
    with serving_process(tmp_path / "serve", "--mode", "websocket") as serve:
        block = BLOCKS[name].replace("http://127.0.0.1:8080", serve.url)
        assert block != BLOCKS[name]
        said = run(block, tmp_path)
    entries = list(read_file(tmp_path / "serve" / "journal.db"))
    assert [entry.event.event_type for entry in entries] == stored
    if name == "after":
        assert said.split() == [entries[0].epoch, "1", entries[0].event.id]
        assert entries[0].event.source == "billing"
    else:
        # Four threads print at once, and what they print may come in pieces.
        assert said.count("durable at") == 4
        assert sorted(re.findall(r"\d", said)) == ["1", "2", "3", "4"]


def test_what_is_shown_for_one_process_publishes(tmp_path: Path) -> None:
    said = run(BLOCKS["in"], tmp_path)
    assert re.fullmatch(r"dashboards connect to http://127\.0\.0\.1:\d+/ws\n", said)
    assert [json.loads(entry.event.data) for entry in read_file(tmp_path / "journal.db")] == [{"hits": 7}]


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"^\| `(\w+)`", PAGE.partition("## Errors")[2], re.MULTILINE)))
)
def test_every_error_that_is_listed_is_one_of_ours(name: str) -> None:
    import migctl.errors
    import migctl.journal
    import migctl.publisher

    rooms = (migctl.errors, migctl.journal, migctl.publisher)
    error = next(getattr(room, name) for room in rooms if hasattr(room, name))
    assert issubclass(error, migctl.errors.MigctlError)
