"""`migctl ctl` against a real serve: settings asked and set, the relay throttled, and a rollout aborted meanwhile."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from migctl.config import Target
from tests.kit.conditions import PATIENCE_S
from tests.kit.deadletters import Commands, environ_of, post, waiting_for
from tests.kit.serve_process import serving_process


@pytest.mark.slow
def test_settings_are_asked_set_refused_and_lost_at_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(tmp_path, {"NO_COLOR": "1"}, monkeypatch, capsys)
    assert run("ctl", "get").returncode == 3  # nobody runs
    assert "nothing was changed" in run("ctl", "history").stderr
    (tmp_path / "migctl.yaml").write_text("journal:\n  max_bytes: 2000000000\n")

    def one(name: str) -> dict[str, Any]:
        (found,) = json.loads(run("ctl", "get", name, "-o", "json").stdout)["settings"]
        assert isinstance(found, dict)
        return found

    with serving_process(tmp_path, "--mode", "websocket", "--log-level", "warning") as serve:
        table = run("ctl", "get")
        assert table.returncode == 0 and max(map(len, table.stdout.splitlines())) <= 80
        assert "\x1b" not in table.stdout
        assert one("log_level")["origin"] == "--log-level"
        assert one("journal.max_bytes")["origin"].endswith("migctl.yaml:2")
        assert one("relay.high.max_events")["origin"] == "default"
        for value, code in (("0", 2), ("", 2), ("1048576000ms", 2)):
            refused = run("ctl", "set", "journal.max_bytes", value)
            assert (refused.returncode, refused.stdout) == (code, "")
        assert run("ctl", "set", "journal.path", "x").returncode == 2
        assert one("journal.max_bytes")["value"] == 2_000_000_000

        done = run("ctl", "set", "log_level", "debug", "--reason", "to watch it")
        assert (
            done.returncode == 0
            and "warning -> debug" in done.stdout
            and "until serve restarts" in done.stdout
        )
        httpx.get(f"{serve.url}/healthz", trust_env=False)
        set_ = one("log_level")
        assert (set_["value"], set_["origin"], set_["reason"], set_["without_ctl"]) == (
            "debug", "ctl", "to watch it", "warning",
        )  # fmt: skip
        assert "set by" in run("ctl", "get", "log_level").stdout
        # A full journal has room again without a restart.
        post(serve.url, *({"text": "x" * 2000} for _ in range(600)))
        assert run("ctl", "set", "journal.max_bytes", "1048576").returncode == 0
        _until_posted(serve.url, 503)
        assert run("ctl", "unset", "journal.max_bytes").returncode == 0
        _until_posted(serve.url, 201)
        assert run("ctl", "unset", "journal.max_bytes").returncode == 2
        throttled = run("ctl", "throttle", "vacuum")
        assert throttled.returncode == 4 and "no relay" in throttled.stderr
        assert '"path": "/healthz"' in serve.stop()
    history = json.loads(run("ctl", "history", "-o", "json").stdout)["entries"]
    assert [(one["act"], one["name"]) for one in history] == [
        ("unset", "journal.max_bytes"), ("set", "journal.max_bytes"), ("set", "log_level"),
    ]  # fmt: skip
    assert history[-1]["before"] == "warning" and "@" in history[-1]["by"]
    assert "to watch it" in run("ctl", "history").stdout
    with serving_process(tmp_path, "--mode", "websocket"):
        assert one("log_level")["value"] == "info"


def _until_posted(url: str, status: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client(trust_env=False) as http:
        while http.post(f"{url}/events", json={"event_type": "x", "data": {}}).status_code != status:
            assert time.monotonic() < deadline, f"no {status}"
            time.sleep(0.05)


def _relay_at(url: str, backlog: int) -> dict[str, Any]:
    """What the relay says, once so much waits for it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, Any] = httpx.get(f"{url}/api/status", trust_env=False).json()["relay"]
        if found["backlog"] == backlog:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.slow
def test_a_throttled_serve_says_so_survives_kill_and_loses_nothing_and_an_abort_is_not_held(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environ_of(standin)
    run = Commands(tmp_path, environ, monkeypatch, capsys)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        post(serve.url, {"n": 0})
        waiting_for(serve.url, 0)
        assert run("ctl", "throttle", "").returncode == 2
        held = run("ctl", "throttle", "nightly vacuum")
        assert held.returncode == 0 and "nightly vacuum" in held.stdout
        post(serve.url, *({"n": number} for number in range(1, 51)))
        status = run("status")
        assert status.returncode == 1
        assert "relay: throttled" in status.stdout and "nightly vacuum" in status.stdout
        assert "migctl ctl no-throttle" in status.stdout
        assert "migctl_relay_throttled 1" in httpx.get(f"{serve.url}/metrics", trust_env=False).text
        # Down is brought to every process, throttled or not.
        aborted = run("rollout", "abort", "--reason", "a rehearsal")
        assert aborted.returncode == 0 and "1 of 1 process confirmed" in aborted.stdout, aborted.stderr
        serve.send(signal.SIGKILL)
    with serving_process(tmp_path, "--mode", "dual", more=environ) as serve:
        assert _relay_at(serve.url, 50)["throttled"]["reason"] == "nightly vacuum"
        lifted = run("ctl", "no-throttle", "-o", "json")
        assert json.loads(lifted.stdout)["before"]["reason"] == "nightly vacuum"
        waiting_for(serve.url, 0)
        assert "it was not throttled" in run("ctl", "no-throttle").stdout
    with psycopg.connect(standin.need("database_url")) as connection:
        rows = connection.execute("select seq from monitoring_events order by seq").fetchall()
    assert [row[0] for row in rows] == list(range(1, 52))
    acts = [one["act"] for one in json.loads(run("ctl", "history", "-o", "json").stdout)["entries"]]
    assert acts == ["no-throttle", "no-throttle", "throttle"]
