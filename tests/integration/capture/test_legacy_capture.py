"""`migctl capture --transport legacy` of a real serve, and the report that has it; and of an old service that breaks off."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from migctl.errors import TokenRefused, Usage
from migctl.events import encode_entry
from migctl.ingest import parse_map
from migctl.ingest.frames import contents
from migctl.journal.sqlite import read_file
from migctl.validate.capture_file import CaptureFile
from migctl.validate.legacy_capture import LegacyCapture
from tests.kit.conditions import until
from tests.kit.old_service import old_service
from tests.kit.serve_process import begin, run, serving_process


async def test_all_that_an_old_dashboard_gets_is_in_the_report(tmp_path: Path) -> None:
    with serving_process(tmp_path / "serve", "--mode", "websocket") as server:
        out, captured = tmp_path / "out.txt", tmp_path / "captured"
        await server.post(2)  # before it is there
        words = ("capture", "--transport", "legacy", "--out", str(captured), "--url", server.url)
        capture = begin(tmp_path, *words, out=out, err=out)
        try:
            await until(lambda: out.exists() and "ready: legacy" in out.read_text())
            await server.post(5)
            path = captured / "legacy.ndjson"
            await until(lambda: path.read_bytes().count(b"\n") == 5)
            capture.send_signal(signal.SIGTERM)
            assert capture.wait(60) == 0, out.read_text()
        finally:
            capture.kill()
        lines = [encode_entry(entry) for entry in read_file(server.folder / "journal.db")]
        (captured / "websocket.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    summary = json.loads((captured / "legacy.summary.json").read_bytes())
    assert (summary["received"], summary["reconnects"], summary["complete"]) == (5, 0, True)
    judged = run(
        tmp_path,
        *("validate", "report", str(captured), "--journal", str(tmp_path / "serve" / "journal.db")),
        *("--max-legacy-missing", "0"),
    )
    assert judged.returncode == 0, judged.stderr
    said = "legacy: 5 of 5 events in 5 frames, 0 missing, 0 repeated, 0 unknown"
    assert judged.stdout.splitlines()[1] == said


async def test_a_capture_that_lost_its_socket_goes_on_and_is_not_complete(tmp_path: Path) -> None:
    file, stop = CaptureFile(tmp_path, "legacy"), asyncio.Event()
    read = contents(parse_map(ignore=["initial_stats"]), "envelope")
    async with old_service() as old:
        with pytest.raises(Usage, match="HTTP 404"):
            await LegacyCapture(old.url.replace("/ws", "/gone"), file, read).run(stop, stop)
        with pytest.raises(TokenRefused, match="HTTP 403") as refused:
            await LegacyCapture(old.url.replace("/ws", "/stranger"), file, read).run(stop, stop)
        assert "ws:// gets no token" in refused.value.do
        running = asyncio.create_task(LegacyCapture(old.url, file, read).run(stop, asyncio.Event()))
        await until(lambda: file.lines == 1)  # its greeting
        await old.publish('{"type":"cpu","data":{"n":1}}')
        await until(lambda: file.lines == 2)
        old.cut()
        await until(lambda: file.lines == 3)
        stop.set()
        summary = await running
    assert (summary.received, summary.reconnects, summary.complete) == (3, 1, False)
    greeting, event, _ = [json.loads(line) for line in file.path.read_bytes().splitlines()]
    assert greeting["events"] == [] and "initial_stats" in greeting["text"]
    assert event["events"] == [{"event_type": "cpu", "data": {"n": 1}}]
