"""Logs: of an application nothing is touched; a program's lines hold no secret, whatever is logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

APPLICATION = """
import asyncio, logging, sys, warnings
import structlog

structlog.configure(processors=[structlog.processors.JSONRenderer()])

def state():
    root = logging.getLogger()
    return structlog.get_config(), root.handlers[:], root.level, warnings.showwarning, logging.getLogger("aiohttp").handlers[:]

before = state()
import migctl
from migctl import Publisher, Subscriber

async def main():
    async with Publisher(journal="journal.db", serve="websocket") as publisher:
        await publisher.publish("cpu", {"used": 1})
        async with Subscriber(publisher.url, wait_s=5):
            pass

asyncio.run(main())
from migctl.telemetry import get_logger
get_logger("anywhere").error("nobody asked for this")
assert state() == before, (state(), before)
"""

PROGRAM = """
import logging, sys
from migctl import redaction, telemetry

telemetry.configure(level="info", pretty=len(sys.argv) > 1)
redaction.know("a-key-of-the-project")
log = telemetry.get_logger("room")
error = ValueError("a-key-of-the-project")
log.info("said", reason="refused a-key-of-the-project", seq=7, inner={"list": ["a-key-of-the-project"]}, error=error)
log.debug("not said")
try:
    raise ValueError("Illegal header value b'a-key-of-the-project\\\\r'")
except ValueError:
    log.exception("an error of ours")
logging.getLogger("httpx").info("not said either")
logging.getLogger("aiohttp.server").error("in another library: %s", "a-key-of-the-project")
telemetry.remark("a remark on a-key-of-the-project")

class Strange:
    def __repr__(self):
        raise RuntimeError

log.info("strange", value=Strange())
assert telemetry.lost_lines() == 0
"""


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "MIGCTL_LISTEN": "127.0.0.1:0",
        },  # whoever runs the tests may have a serve of their own
    )


def test_an_application_that_publishes_and_subscribes_keeps_its_own_logging(tmp_path: Path) -> None:
    ended = python(APPLICATION, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_an_application_gets_our_lines_from_the_standard_library_if_it_wants_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from migctl.telemetry import get_logger

    with caplog.at_level("INFO", "migctl"):
        get_logger("relay").info("batch written", first=1, last=50)
    assert [(each.name, each.getMessage()) for each in caplog.records] == [
        ("migctl.relay", "batch written first=1 last=50")
    ]


def test_a_program_has_one_json_line_for_each_thing_that_was_said_and_no_secret_in_any(
    tmp_path: Path,
) -> None:
    ended = python(PROGRAM, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "a-key-of-the-project" not in ended.stderr
    said = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [(line["room"], line["level"], line["event"]) for line in said] == [
        ("room", "info", "said"),
        ("room", "error", "an error of ours"),
        ("aiohttp.server", "error", "in another library: ***"),
        ("room", "info", "strange"),
    ]
    first = said[0]
    assert (first["reason"], first["seq"], first["inner"]) == ("refused ***", 7, {"list": ["***"]})
    assert first["timestamp"].endswith("Z")
    assert "Traceback" in said[1]["exception"]
    assert said[3]["unreadable"] == "RuntimeError"
    assert "a remark on ***\n" in ended.stderr


def test_for_a_terminal_it_is_the_same_in_another_form(tmp_path: Path) -> None:
    ended = python(PROGRAM, tmp_path, "pretty")
    assert ended.returncode == 0, ended.stderr
    assert "a-key-of-the-project" not in ended.stderr
    assert "refused ***" in ended.stderr
    assert "Traceback" in ended.stderr


def test_a_stream_that_was_closed_before_the_start_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    code = """
import sys
sys.stderr = None
from migctl import telemetry
telemetry.configure()
telemetry.get_logger("room").warning("to nobody")
telemetry.remark("to nobody")
telemetry.flush()
assert telemetry.lost_lines() == 2
"""
    ended = python(code, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
