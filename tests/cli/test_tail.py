"""`migctl tail` as an operator has it: what is wanted of what came, and an end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.stack.launcher import any_free_port
from tests.kit.serve_process import ServeProcess, environment, run, serving_process


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[ServeProcess]:
    listen = f"127.0.0.1:{any_free_port()}"
    with serving_process(tmp_path / "serve", "--mode", "websocket", "--listen", listen) as serve:
        asyncio.run(serve.post(5))
        yield serve


def test_what_is_wanted_comes_in_order_as_text_and_as_lines_of_json(
    serve: ServeProcess, tmp_path: Path
) -> None:
    words = ("tail", "--url", serve.url, "--after", "2", "--count", "3")
    text = run(tmp_path, *words)
    shown = [line.split()[1:3] for line in text.stdout.splitlines()]
    assert (text.returncode, shown) == (0, [["3", "cpu"], ["4", "cpu"], ["5", "cpu"]])
    lines = run(tmp_path, *words, "--type", "c*", "--output", "json")
    assert [json.loads(line)["seq"] for line in lines.stdout.splitlines()] == [3, 4, 5]

    command = [sys.executable, "-m", "migctl", "tail", "--url", serve.url, "--after", "0", "--source", "127*"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline().split()[1] for _ in range(5)] == ["1", "2", "3", "4", "5"]
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (130, "interrupted\n")

    wrong = run(tmp_path, "tail", "--url", serve.url, "--after", "soon")
    assert (wrong.returncode, "EPOCH:SEQ" in wrong.stderr) == (2, True)
