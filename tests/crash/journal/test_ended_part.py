"""A part of the journal that ends on an error of ours: `serve` ends with it, with 70, and takes nothing more."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.kit.serve_process import serving_process


async def test_serve_ends_with_70_and_the_bug_when_its_housekeeper_dies(tmp_path: Path) -> None:
    with serving_process(tmp_path, more={"MIGCTL_MODE": "websocket"}) as serve:
        await serve.post(3)
        with sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as database:
            database.execute("DROP TABLE cursors")
        assert serve.process.wait(60) == 70
    said = (tmp_path / "serve.log").read_text()
    assert "error: an error of ours: OperationalError: no such table: cursors" in said
    assert "Traceback" in (tmp_path / "error.log").read_text()
    assert "disk" not in said
