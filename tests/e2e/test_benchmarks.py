"""The documented load commands run, print their figures, and lose nothing. How quick they are is not asked here."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit import needs
from tests.kit.serve_process import environment

ROOT = Path(__file__).parents[2]


def run(folder: Path, name: str, *options: str, timeout_s: float = 100) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *options, "--output", "json"],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=folder,
        env=environment(folder),
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


@pytest.mark.slow
def test_latency_prints_percentiles_of_both_transports_and_of_the_floor(tmp_path: Path) -> None:
    options = ("--seconds", "2", "--rate", "50", "--rtt-ms", "30", "--aim-ms", "60000")
    code, found = run(tmp_path, "latency.py", *options)
    assert found["lost"] == {"realtime": 0, "websocket": 0}
    assert found["published"] >= 100
    for name in ("realtime", "websocket", "ping"):
        figures = found["latency_ms"][name]
        assert figures["n"] > 0
        assert figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["max"]
    assert found["latency_ms"]["ping"]["p50"] >= 30
    assert found["latency_ms"]["realtime"]["p50"] >= 30  # through the proxy, there and back
    assert code == 0


@pytest.mark.slow
def test_adopting_prints_the_longest_waits_of_both_ways(tmp_path: Path) -> None:
    _, found = run(tmp_path, "adopting.py", "--rows", "5000")
    for way in ("online", "plain"):
        assert found[way]["duration_s"] > 0
        for who in ("reader", "writer"):
            assert found[way][who]["longest_s"] >= found[way][who]["median_s"] > 0
    assert found["online"]["writer"]["refused"] == 0
    assert found["ratio"] > 0


@pytest.mark.slow
def test_restart_prints_what_a_kill_takes_beside_a_start(tmp_path: Path) -> None:
    _, found = run(tmp_path, "restart.py", "--mode", "websocket", "--kills", "1")
    assert len(found["kills_ms"]) == 1
    assert found["median_ms"] == found["kills_ms"][0] > 0
    assert found["ratio"] == found["median_ms"] / found["start_ms"]


@pytest.mark.slow
def test_page_prints_frames_of_the_dashboard_beside_those_of_an_empty_page(tmp_path: Path) -> None:
    needs.chromium()
    _, found = run(tmp_path, "page.py", "--seconds", "1", "--rounds", "2", "--rate", "100")
    assert found["events_per_s"] > 0
    for name in ("empty page", "dashboard"):
        of = found["pages"][name]
        assert of["frames_per_s"] > 0
        assert of["between_frames_ms"]["n"] > 0
    assert len(found["memory"]) == 2
    assert all(one["heap_mib"] > 0 and one["nodes"] > 100 for one in found["memory"])


@pytest.mark.slow
def test_outage_prints_the_drain_beside_the_raw_limit(tmp_path: Path) -> None:
    options = ("--seconds", "2", "--rate", "100", "--rtt-ms", "10", "--aim-s", "60")
    code, found = run(tmp_path, "outage.py", *options)
    assert found["missing"] == 0
    assert found["backlog"] >= 100
    assert found["detection_s"] > 0
    assert found["drain_s"] >= 0
    assert found["raw_s"] > 0
    assert code == 0


@pytest.mark.slow
def test_receiving_prints_what_an_event_costs_over_the_raw_limit_of_each_transport(tmp_path: Path) -> None:
    options = ("--subscribers", "2", "--rate", "50", "--seconds", "2", "--most", "1000")
    code, found = run(tmp_path, "receiving.py", *options)
    for way in ("socket", "websocket", "broadcast", "realtime", "official"):
        assert found["ways"][way]["events"] > 50
        assert found["ways"][way]["cpu_us_per_event"] > 0
    assert set(found["over_raw_limit"]) == {"websocket", "realtime"}
    assert (code, found["verdict"]) == (0, "pass")


def test_nothing_is_left_of_a_run_that_is_interrupted(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [sys.executable, str(ROOT / "benchmarks" / "latency.py"), "--keep", str(kept)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.DEVNULL) as run:
        try:
            while not (kept / "acknowledged.ndjson").exists():
                assert run.poll() is None
                time.sleep(0.05)
            started = psutil.Process(run.pid).children(recursive=True)
            assert len(started) >= 6
            run.send_signal(signal.SIGINT)
            run.wait(60)
        finally:
            run.kill()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
    assert not (kept / "stack").exists()


@pytest.mark.slow
def test_users_move_to_realtime_and_back_without_losing_an_event(tmp_path: Path) -> None:
    _, found = run(
        tmp_path,
        "moving.py",
        "--subscribers",
        "9",
        "--official",
        "3",
        "--rate",
        "40",
        "--joins-per-s",
        "3",
        timeout_s=400,
    )
    assert (found["up"]["moved"], found["down"]["moved"], found["complete"]) == (9, 9, 12)
    assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0)
    # How late events were, and how many joins a machine that was busy let through at once, is not asked here.
    assert sum(found["reports"].values()) == 9
    assert {"flawed", "error", "terminated"}.isdisjoint(found["reports"])
    assert found["most_joins_per_s"] > 0
    assert found["joins_limit_per_s"] == 6


@pytest.mark.slow
def test_proxy_prints_what_each_toxic_costs_beside_a_direct_connection(tmp_path: Path) -> None:
    _, found = run(tmp_path, "proxy.py", "--mib", "8", "--trips", "20", "--rounds", "1")
    assert list(found)[:2] == ["direct", "no toxic"]
    assert {"latency", "bandwidth", "slow_close", "slicer", "limit_data"} < set(found)
    assert found["direct"]["throughput_ratio"] == found["direct"]["trip_ratio"] == 1.0
    assert all(one["mib_per_s"] > 0 and one["trip_us"] > 0 for one in found.values())
