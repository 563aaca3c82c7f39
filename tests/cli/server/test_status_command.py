"""`migctl status` against real processes: well, degraded, stopped, killed, never there."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from migctl.status import json_schema
from tests.kit.serve_process import environment, run, serving_process
from tests.kit.statuses import document


@pytest.mark.slow
def test_status_tells_the_truth_of_a_serve_that_lives_is_stopped_and_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 12) / ("deeper" * 12)  # deeper than the address of a socket may be
    folder.mkdir(parents=True)
    never = run(folder, "status")
    assert (never.returncode, never.stdout) == (3, "")
    assert "no serve runs in" in never.stderr

    with serving_process(folder, "--mode", "websocket") as serve:
        assert stat.S_IMODE((folder / "serve.sock").stat().st_mode) == 0o600
        httpx.post(f"{serve.url}/events", json={"event_type": "x", "data": {}}).raise_for_status()
        text = run(folder, "status")
        assert text.returncode == 0, text.stderr
        assert "healthy" in text.stdout
        assert "head 1, tail 1" in text.stdout
        assert max(map(len, text.stdout.splitlines())) <= 80
        found = json.loads(run(folder, "status", "--output", "json").stdout)
        assert (found["pid"], found["url"], found["health"]) == (
            serve.process.pid,
            serve.url,
            {"status": "ok", "problems": []},
        )
        assert run(folder, "status", "--url", serve.url).returncode == 0

        serve.send(signal.SIGSTOP)
        stopped = run(folder, "status")
        assert stopped.returncode == 3
        assert f"pid {serve.process.pid}" in stopped.stderr
        assert "does not answer" in stopped.stderr

        serve.send(signal.SIGKILL)
        assert (folder / "serve.sock").exists()
        killed = run(folder, "status")
        assert killed.returncode == 3
        assert "is gone, and did not end by itself" in killed.stderr
        assert run(folder, "status", "--url", serve.url).returncode == 3

    with serving_process(folder, "--mode", "websocket") as serve:  # what was left behind is no obstacle
        assert run(folder, "status").returncode == 0
        serve.send(signal.SIGTERM)
        assert serve.process.wait(60) == 0
        assert not (folder / "serve.sock").exists()
        assert "no serve runs in" in run(folder, "status").stderr


def test_supabase_that_is_away_is_degraded_with_the_reason_and_exit_1(tmp_path: Path) -> None:
    away = {
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_ANON_KEY": "a",
        "SUPABASE_SERVICE_ROLE_KEY": "s",
        "SUPABASE_JWT_SECRET": "j",
    }
    with serving_process(tmp_path, "--mode", "dual", more=away) as serve:
        httpx.post(f"{serve.url}/events", json={"event_type": "x", "data": {}}).raise_for_status()
        deadline = time.monotonic() + 10
        while True:
            told = run(tmp_path, "status")
            if (
                "retrying" in told.stdout and "connect" in told.stdout.lower()
            ) or time.monotonic() > deadline:
                break
        assert told.returncode == 1, told.stderr
        assert "degraded" in told.stdout
        assert "table: connecting" in told.stdout
        assert "heads: retrying" in told.stdout
        assert "broadcast: connecting" in told.stdout
        assert max(map(len, told.stdout.splitlines())) <= 80
        assert "backlog 1" in told.stdout
        ready = httpx.get(f"{serve.url}/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert {"table", "heads", "broadcast"} <= set(ready.json()["degraded"])
        second = run(
            tmp_path, "serve", "--mode", "websocket", more={"MIGCTL_JOURNAL": str(tmp_path / "other.db")}
        )
        assert second.returncode == 4
        assert "another serve uses" in second.stderr


def test_status_from_afar_needs_a_token_and_says_which(tmp_path: Path) -> None:
    minted = json.loads(
        run(tmp_path, "token", "mint", "--purpose", "admin", "--name", "me", "-o", "json").stdout
    )
    with serving_process(tmp_path, "--mode", "websocket", more={"MIGCTL_TOKENS": minted["entry"]}) as serve:
        refused = run(tmp_path, "status", "--url", serve.url)
        assert refused.returncode == 2
        assert "purpose subscribe or admin" in refused.stderr
        assert run(tmp_path, "status").returncode == 0  # the control socket asks for none
        assert (
            run(tmp_path, "status", "--url", serve.url, more={"MIGCTL_TOKEN": minted["token"]}).returncode
            == 0
        )
        logged = serve.stop()
    assert '"event": "stopped"' in logged
    assert minted["token"] not in logged


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """The address of something that answers this to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_serve_of_a_later_version_is_understood_and_its_keys_are_handed_on(tmp_path: Path) -> None:
    later = {**document("websocket-file"), "version": "9.0.0", "shards": {"a": 1}}
    with answering(json.dumps(later).encode()) as url:
        assert run(tmp_path, "status", "--url", url).returncode == 0
        assert json.loads(run(tmp_path, "status", "--url", url, "--output", "json").stdout) == later


def test_an_answer_that_is_no_status_is_refused_with_exit_3_the_address_and_the_field(tmp_path: Path) -> None:
    changed = document("websocket-file")
    changed["journal"]["head"] = "six"
    with answering(json.dumps(changed).encode()) as url:
        other = run(tmp_path, "status", "--url", url)
    assert (other.returncode, other.stdout) == (3, "")
    assert f"{url}/api/status answered what is no status" in other.stderr
    assert "$.journal.head" in other.stderr
    with answering(b"<html>hello</html>") as url:
        stranger = run(tmp_path, "status", "--url", url)
    assert (stranger.returncode, stranger.stdout) == (3, "")
    assert f"{url}/api/status answered what is no status" in stranger.stderr


def test_the_schema_is_printed_without_a_serve(tmp_path: Path) -> None:
    printed = run(tmp_path, "status", "--schema")
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout) == json_schema()


def test_one_line_says_what_it_does_its_state_and_what_is_left(tmp_path: Path) -> None:
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        httpx.post(f"{serve.url}/events", json={"event_type": "x", "data": {}}).raise_for_status()
        line = run(tmp_path, "status", "--line", "--exit-status")
        assert line.returncode == 0, line.stderr
        (only,) = line.stdout.splitlines()
        assert only.startswith("Serve: websocket; ")
        assert "; State: healthy; Left: journal never full at this rate" in only
        asked = run(tmp_path, "status", "--exit-status")
        assert (asked.returncode, asked.stdout.splitlines()[-1]) == (0, "safe to go on")
        assert "\x1b" not in asked.stdout
        found = json.loads(run(tmp_path, "status", "--exit-status", "-o", "json").stdout)
        assert found["go_on"] == {"safe": True, "reasons": []}
    gone = run(tmp_path, "status", "--exit-status")
    assert (gone.returncode, gone.stdout) == (3, "")


def test_it_is_not_safe_to_go_on_without_evidence_and_each_reason_is_said(tmp_path: Path) -> None:
    """Its target is away, so the rollout is not known either."""
    away = {
        "SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_ANON_KEY": "a", "SUPABASE_SERVICE_ROLE_KEY": "s",
        "SUPABASE_JWT_SECRET": "j", "MIGCTL_WITNESS": "on",
    }  # fmt: skip
    with serving_process(tmp_path, "--mode", "dual", more=away):
        asked = run(tmp_path, "status", "--exit-status", more=away)
        assert asked.returncode == 1
        reasons = " ".join(asked.stdout.split("not safe to go on")[1].split())
        assert "witness: no window of evidence yet" in reasons
        assert "rollout: the record is away" in reasons
        assert "table: connecting" in reasons
        waited = run(tmp_path, "status", "--watch", "--exit-status", "--timeout", "0", more=away)
        assert waited.returncode == 1 and "Safe to go on: no" in waited.stdout


def test_a_watch_in_a_pipe_prints_a_line_for_each_change_and_none_for_figures(tmp_path: Path) -> None:
    def lines() -> list[str]:
        return (tmp_path / "watched").read_text().splitlines()

    def wait(count: int) -> None:
        deadline = time.monotonic() + 60
        while len(lines()) < count:
            assert time.monotonic() < deadline, lines()
            time.sleep(0.05)

    with (tmp_path / "watched").open("w") as out:
        watching = subprocess.Popen(
            [sys.executable, "-m", "migctl", "status", "--watch"],
            stdout=out, env=environment(tmp_path), cwd=tmp_path,
        )  # fmt: skip
        try:
            wait(1)
            with serving_process(tmp_path, "--mode", "websocket") as serve:
                wait(2)
                httpx.post(f"{serve.url}/events", json={"event_type": "x", "data": {}}).raise_for_status()
                deadline = time.monotonic() + 60
                while json.loads(run(tmp_path, "status", "-o", "json").stdout)["rates"] is None:
                    assert time.monotonic() < deadline
                serve.send(signal.SIGKILL)
                # Where the kill came while it was asked, that is a line before this one.
                deadline = time.monotonic() + 60
                while "is gone, and did not end by itself" not in lines()[-1]:
                    assert time.monotonic() < deadline, lines()
                    time.sleep(0.05)
        finally:
            watching.send_signal(signal.SIGINT)
            assert watching.wait(60) == 130
    first, second, *between, _ = lines()
    assert "State: not running: no serve runs in" in first
    assert "Serve: websocket;" in second and "; State: healthy; Left: " in second
    assert all("went away while it was asked" in one for one in between) and len(between) <= 1
