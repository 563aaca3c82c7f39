"""docs/proxy.md: its commands run as they stand, and its tables have what there is."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from migctl.faults.api import named, read_config
from migctl.faults.toxics import ATTRIBUTES
from tests.kit.proxying import proxying

PAGE = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text()
START, REQUESTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
(FILE,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def free_ports(text: str) -> str:
    """Where it listens is no matter, and may be taken on the machine of a test."""
    return re.sub(r"127\.0\.0\.1:2\d{4}", "127.0.0.1:0", text)


def test_the_command_of_the_page_starts_what_it_names(tmp_path: Path) -> None:
    program, *words = shlex.split(START)
    assert program == "migctl"
    assert words[:3] == ["drill", "proxy", "--proxy"]
    with proxying(tmp_path, "--proxy", free_ports(words[3])) as running:
        (proxy,) = running.ready["proxies"]
    assert (proxy["name"], proxy["upstream"]) == ("redis", "127.0.0.1:6379")
    assert named(words[3]).new.listen == "127.0.0.1:26379"


def test_every_request_of_the_page_is_obeyed(tmp_path: Path) -> None:
    with proxying(tmp_path) as running:
        done = subprocess.run(
            ["bash", "-euxc", REQUESTS.replace("curl -s", "curl -s --fail-with-body --noproxy '*'")],
            capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "API": running.url},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[1]["attributes"] == {"latency": 100, "jitter": 10}
    assert answers[2]["toxicity"] == 0.5
    assert answers[3]["enabled"] is False
    assert (answers[4]["db"]["enabled"], answers[4]["db"]["toxics"]) == (True, [])
    assert [one["name"] for one in answers[5]["proxies"]] == ["redis"]
    assert len(answers) == 7


def test_the_file_of_the_page_is_read(tmp_path: Path) -> None:
    path = tmp_path / "toxiproxy.json"
    path.write_text(free_ports(FILE))
    (wanted,) = read_config(path, elsewhere=False)
    assert (wanted.new.name, wanted.new.enabled, len(wanted.new.toxics or [])) == ("db", True, 1)
    with proxying(tmp_path, "--config", str(path)) as running:
        assert running.ready["proxies"][0]["toxics"][0]["attributes"] == {"latency": 20, "jitter": 0}


def test_each_type_stands_there_with_its_attributes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*?) \|", PAGE, re.MULTILINE)
    found = {kind: tuple(re.findall(r"`(\w+)`", attributes)) for kind, attributes in rows}
    assert found == ATTRIBUTES


def test_each_option_of_the_command_stands_there(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "migctl", "drill", "proxy", "--help"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"}
    )
    options = set(re.findall(r"^\W+(--[a-z-]+)", done.stdout, re.MULTILINE)) - {"--help", "--output"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE))
