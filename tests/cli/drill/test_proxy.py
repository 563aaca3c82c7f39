"""`migctl drill proxy`: where it listens, what it begins with, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.proxying import proxying
from tests.kit.serve_process import environment, run


@pytest.fixture
def answering() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_in_one_line_where_it_is_and_runs_until_a_signal(
    tmp_path: Path, answering: int, number: signal.Signals
) -> None:
    config = tmp_path / "toxiproxy.json"
    config.write_text(json.dumps([{"name": "one", "upstream": f"127.0.0.1:{answering}", "enabled": False}]))
    with proxying(tmp_path, "--config", str(config), "--proxy", f"two=,localhost:{answering}") as (
        process,
        ready,
    ):
        assert (ready["schema"], [one["name"] for one in ready["proxies"]]) == (
            "migctl.proxy/1",
            ["one", "two"],
        )
        assert httpx.get(f"{ready['api']}/proxies", trust_env=False).json() == {
            one["name"]: one for one in ready["proxies"]
        }
        host, _, port = ready["proxies"][1]["listen"].rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
        process.send_signal(number)
        rest, log = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert "proxy created" in log
    assert "Traceback" not in log


def test_for_people_it_names_each_proxy_with_where_it_leads(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "migctl",
        "drill",
        "proxy",
        "--listen",
        ":0",
        "--proxy",
        "db=,127.0.0.1:5432",
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=environment(tmp_path),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Toxiproxy's API on http://127.0.0.1:")
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("  db: 127.0.0.1:")
    assert line.endswith(" -> 127.0.0.1:5432\n")


def test_a_port_that_is_taken_ends_it_with_3_and_the_way_out(tmp_path: Path, answering: int) -> None:
    done = run(tmp_path, "drill", "proxy", "--listen", f"127.0.0.1:{answering}")
    assert done.returncode == 3
    assert f"port {answering} on 127.0.0.1 is taken" in done.stderr
    assert "--listen HOST:PORT" in done.stderr
    proxy = f"db=127.0.0.1:{answering},127.0.0.1:5432"
    done = run(tmp_path, "drill", "proxy", "--listen", "127.0.0.1:0", "--proxy", proxy)
    assert done.returncode == 3
    assert f"--proxy {proxy}: listen tcp 127.0.0.1:{answering}: bind: address already in use" in done.stderr


def test_a_mistake_in_the_file_is_named_with_file_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "toxiproxy.json").write_text('[{"name": "db",\n  "upstream": "db.example.org:5432"}]')
    done = run(tmp_path, "drill", "proxy", "--config", "toxiproxy.json")
    assert done.returncode == 2
    assert "toxiproxy.json:2: proxies.0.upstream: 'db.example.org:5432' is not this machine" in done.stderr
    assert "--any-upstream" in done.stderr


def test_nobody_else_reaches_it_and_it_reaches_nobody_else_unless_asked(tmp_path: Path) -> None:
    assert run(tmp_path, "drill", "proxy", "--listen", "0.0.0.0:0").returncode == 2
    far = "far=,192.0.2.1:80"
    done = run(tmp_path, "drill", "proxy", "--listen", ":0", "--proxy", far)
    assert done.returncode == 2
    assert "--any-upstream" in done.stderr
    with proxying(tmp_path, "--proxy", far, "--any-upstream") as (_, ready):
        assert ready["proxies"][0]["upstream"] == "192.0.2.1:80"


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    twice = ["--proxy", "a=,127.0.0.1:1"] * 2
    done = run(tmp_path, "drill", "proxy", "--listen", ":0", *twice)
    assert done.returncode == 2
    assert "proxy already exists" in done.stderr


def test_help_has_an_example(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "proxy", "--help")
    assert "migctl drill proxy --proxy redis=127.0.0.1:26379,127.0.0.1:6379" in " ".join(done.stdout.split())
