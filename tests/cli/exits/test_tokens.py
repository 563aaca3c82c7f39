"""A `serve` that asks for a token: whoever has none, or a wrong one, ends with the same code and is told what to set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migctl.exits import Exit
from tests.kit.serve_process import run, serving_process

COMMANDS = [
    "status --url {url}",
    "sources --url {url}",
    "subscribers --url {url}",
    "tail --url {url}",
    "tail -t dual --url {url}",
    "capture -t websocket --out c --url {url}",
    "capture -t dual --out c --url {url}",
]


@pytest.mark.slow
def test_each_command_that_talks_to_it_says_so_with_the_same_code(tmp_path: Path) -> None:
    entry = json.loads(
        run(tmp_path, "token", "mint", "--purpose", "admin", "--name", "a", "-o", "json").stdout
    )["entry"]
    with serving_process(tmp_path / "serve", "--mode", "websocket", more={"MIGCTL_TOKENS": entry}) as serve:
        for words in COMMANDS:
            for more in ({}, {"MIGCTL_TOKEN": "wrong"}):
                ended = run(tmp_path, *words.format(url=serve.url).split(), more=more)
                assert (ended.returncode, "set MIGCTL_TOKEN" in ended.stderr) == (Exit.UNUSABLE, True), (
                    words,
                    more,
                    ended,
                )
