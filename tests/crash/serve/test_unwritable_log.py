"""A log that can't be written costs lines, never an event and never `serve`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.exposition import read, value
from tests.kit.serve_process import ServeProcess, environment, run, serving_process

PAGE = 4096
# At level debug each request is a line: far more than a pipe of this size holds.
REQUESTS = 200


@contextlib.contextmanager
def unwritable(kind: str) -> Iterator[int]:
    """A descriptor that takes nothing: a disk that is full, a pipe whose reader is gone, or one that is there and reads nothing."""
    if kind == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
        yield descriptor
        os.close(descriptor)
        return
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PAGE)
    if kind == "closed pipe":
        os.close(reading)
    yield writing
    os.close(writing)
    if kind != "closed pipe":
        os.close(reading)


async def shown(status: Callable[[], Awaitable[dict[str, Any]]], serve: ServeProcess, folder: Path) -> None:
    """The lines that were lost are in the status, in the metrics and in `migctl status`; each asks later, and sees no fewer."""
    async with asyncio.timeout(20):
        while (lost := (await status())["log"]["lost_lines"]) < REQUESTS:
            await asyncio.sleep(0.02)
    async with httpx.AsyncClient(trust_env=False, timeout=180) as http:
        page = (await http.get(f"{serve.url}/metrics")).text
    assert lost <= value(read(page.encode()), "migctl_log_lines_lost_total")
    said = await asyncio.to_thread(run, folder, "status")
    count = re.search(
        r"^log +([0-9,]+) lines could not be written, and are lost *$", said.stdout, re.MULTILINE
    )
    assert count is not None, said.stdout + said.stderr
    assert lost <= int(count[1].replace(",", ""))


@pytest.mark.parametrize("kind", ["full disk", "closed pipe", "pipe that nobody reads"])
async def test_events_are_taken_and_serve_ends_as_it_should(kind: str, tmp_path: Path) -> None:
    options = ("--mode", "websocket", "--log-level", "debug")
    with unwritable(kind) as stderr, serving_process(tmp_path, *options, stderr=stderr) as serve:
        async with httpx.AsyncClient(trust_env=False, timeout=180) as http:
            for number in range(REQUESTS):
                event = {"event_type": "cpu", "data": {"used": number}}
                answer = await http.post(f"{serve.url}/events", json=event)
                assert answer.status_code == 201, answer.text

            async def status() -> dict[str, Any]:
                found: dict[str, Any] = (await http.get(f"{serve.url}/api/status")).json()
                return found

            assert (await status())["journal"]["head"] == REQUESTS
            if kind != "pipe that nobody reads":  # there, they still wait
                await shown(status, serve, tmp_path)
        serve.send(signal.SIGTERM)
        assert serve.process.wait(60) == 0


async def test_a_reader_that_comes_back_gets_the_lines_that_waited(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PAGE)
    options = ("--mode", "websocket", "--log-level", "debug")
    with serving_process(tmp_path, *options, stderr=writing) as serve:
        os.close(writing)
        async with httpx.AsyncClient(trust_env=False, timeout=180) as http:
            for _ in range(REQUESTS):
                assert (await http.get(f"{serve.url}/healthz")).status_code == 200
        serve.send(signal.SIGTERM)
        with os.fdopen(reading, "rb") as pipe:
            said = [json.loads(line) for line in pipe if line.startswith(b"{")]
        assert serve.process.wait(60) == 0
    assert sum(line.get("path") == "/healthz" for line in said) == REQUESTS
    assert said[-1]["event"] == "stopped"


@pytest.mark.parametrize("kind", ["full disk", "closed pipe"])
def test_a_command_keeps_its_exit_code_though_nobody_hears_why(kind: str, tmp_path: Path) -> None:
    with unwritable(kind) as stderr:
        ended = subprocess.run(
            [sys.executable, "-m", "migctl", "status"],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            timeout=180,
            check=False,
            env=environment(tmp_path),
            cwd=tmp_path,
        )
    assert ended.returncode == 3
