"""`migctl rejected`: what did not fit is listed, shown, put in after all or dismissed, each once, with serve running or not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.runtime.journals import read_file
from tests.kit.conditions import until
from tests.kit.deadletters import Commands
from tests.kit.serve_process import run, serving_process

LINES = (
    '{"type":"a","data":{"n":0},"timestamp":"2026-01-01T00:00:00Z"}',
    '{"kind":"b","id":"own-1","data":{"n":1},"timestamp":"2026-01-02T00:00:00Z"}',
    "no JSON",
    '{"kind":"b","data":{"n":2}}',
)
MENDED = ("--map", "event_type=.type|.kind", "--map", "id=.id")


def events(folder: Path) -> list[tuple[str | None, str, bytes]]:
    return [
        (entry.event.source_id, entry.event.event_type, entry.event.data)
        for entry in read_file(folder / "journal.db")
    ]


def test_lines_go_in_once_the_mapping_is_mended_and_never_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.ndjson").write_text("\n".join(LINES))
    source = ("--mode", "websocket", "--listen", "127.0.0.1:0", "--source", "in.ndjson", "--until-done")
    ended = run(tmp_path, "serve", *source)
    assert ended.returncode == 1
    assert "stopped at seq 1; 3 rejected: `migctl rejected list`" in ended.stderr

    migctl = Commands(tmp_path, {}, monkeypatch, capsys)

    def said(*words: str, code: int = 0) -> Any:
        done = migctl("rejected", *words, "-o", "json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    table = migctl("rejected", "list").stdout
    assert max(map(len, table.splitlines())) <= 80 and "expected a JSON object" in table
    assert [(one["line"], one["code"]) for one in said("list")["lines"]] == [
        (3, "missing"),
        (2, "json"),
        (1, "missing"),
    ]
    assert said("show", "2")["text"] == "no JSON"
    assert said("retry", "--all", "--dry-run", code=1)["refused"] == 3
    assert len(events(tmp_path)) == 1

    first = said("retry", "--all", *MENDED, code=1)["lines"]
    assert [(one["line"], one["result"], one["seq"]) for one in first] == [
        (1, "retried", 2), (2, "refused", None), (3, "retried", 3),
    ]  # fmt: skip
    # As after a kill between the journal and the mark: nothing says that they are in, and they are.
    (tmp_path / "rejected.settled.ndjson").unlink()
    again = said("retry", "--all", *MENDED, code=1)["lines"]
    assert [(one["line"], one["result"], one["seq"]) for one in again] == [
        (1, "retried", 2), (2, "refused", None), (3, "retried", 3),
    ]  # fmt: skip
    assert said("retry", "--all", *MENDED, code=1)["refused"] == len(said("list")["lines"]) == 1
    assert "own-1 (" in migctl("rejected", "show", "1").stdout
    assert events(tmp_path)[1:] == [
        ("own-1", "b", b'{"n":1}'),
        (None, "b", b'{"n":2}'),
    ]
    assert said("dismiss", "2", "--reason", "a greeting")["lines"][0]["line"] == 2
    assert "nothing waits" in migctl("rejected", "list").stderr
    assert migctl("rejected", "retry").returncode == migctl("rejected", "show", "9").returncode == 2


async def test_a_serve_that_runs_takes_them_and_is_well_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.ndjson").write_text(LINES[1] + "\n")
    with serving_process(tmp_path, "--mode", "websocket", "--source", str(tmp_path / "in.ndjson")) as serve:
        http = httpx.Client(base_url=serve.url, trust_env=False, headers={"Connection": "close"})

        def health() -> Any:
            return http.get("/api/status").json()["health"]

        sick = await until(lambda: found if (found := health())["problems"] else None)
        assert sick["problems"][0]["state"] == "rejects everything: 1 rejected"
        migctl = Commands(tmp_path, {}, monkeypatch, capsys)
        assert "migctl rejected list" in " ".join((await asyncio.to_thread(migctl, "status")).stdout.split())
        done = await asyncio.to_thread(migctl, "rejected", "retry", "1", *MENDED)
        assert (done.returncode, "seq 1" in done.stdout) == (0, True), done.stderr
        await until(lambda: health()["status"] == "ok")
        assert 'migctl_source_rejected_waiting{kind="file"} 0' in http.get("/metrics").text
    assert events(tmp_path) == [("own-1", "b", b'{"n":1}')]
