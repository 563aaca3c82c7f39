"""Toxiproxy's JSON file: read as it is, and each mistake named with file, line, key and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config.problems import Faulty
from migctl.errors import Usage
from migctl.faults.api import named, read_config

# As the README of Toxiproxy has it, but for the hosts.
EXAMPLE = """\
[
\t{
\t\t"name": "web_dev_frontend_1",
\t\t"listen": "[::1]:18080",
\t\t"upstream": "localhost:8080",
\t\t"enabled": true
\t},
\t{
\t\t"name": "web\\/dev\\u005f\\ud83d\\ude00",
\t\t"upstream": "127.0.0.1:3306",
\t\t"enabled": false,
\t\t"toxics": [{"type": "latency", "attributes": {"latency": 5}}]
\t}
]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "toxiproxy.json"
    path.write_text(text)
    return path


def wrong(folder: Path, text: str, *, elsewhere: bool = False) -> list[str]:
    path = write(folder, text)
    with pytest.raises(Faulty) as caught:
        read_config(path, elsewhere=elsewhere)
    assert all(problem.do for problem in caught.value.problems)
    return [str(problem).removeprefix(f"{path}") for problem in caught.value.problems]


def test_the_file_of_the_readme_is_read(tmp_path: Path) -> None:
    frontend, mysql = read_config(write(tmp_path, EXAMPLE), elsewhere=False)
    assert (frontend.new.name, frontend.new.listen) == ("web_dev_frontend_1", "[::1]:18080")
    assert (frontend.new.upstream, frontend.new.enabled) == ("localhost:8080", True)
    assert frontend.place == f"{tmp_path}/toxiproxy.json:4: "
    assert (mysql.new.name, mysql.new.listen, mysql.new.enabled) == ("web/dev_\U0001f600", "", False)
    assert mysql.new.toxics is not None
    assert mysql.new.toxics[0].attributes == {"latency": 5}


def test_every_mistake_is_named_at_once_with_its_line_and_key(tmp_path: Path) -> None:
    text = """[
      {"name": "a",
       "upstrem": "127.0.0.1:1"},
      {"name": 5,
       "upstream": "127.0.0.1:1", "enabled": "yes"}
    ]"""
    assert wrong(tmp_path, text) == [
        ":2: proxies.0.upstream: is not there, and has no default",
        ":3: proxies.0.upstrem: no such key",
        ":4: proxies.1.name: input should be a valid string, got 5",
        ":5: proxies.1.enabled: input should be a valid boolean, got 'yes'",
    ]


def test_what_can_not_be_is_named_with_its_line_too(tmp_path: Path) -> None:
    text = """[
      {"name": "a", "listen": "0.0.0.0:1",
       "upstream": "db.example.org:5432"},
      {"name": "a", "upstream": "127.0.0.1:0",
       "toxics": [
         {"type": "latency"},
         {"type": "latency", "attributes": {"rate": 1}, "name": "other"}]}
    ]"""
    found = wrong(tmp_path, text)
    assert [line.split(": ")[1] for line in found] == [
        "proxies.0.listen", "proxies.0.upstream", "proxies.1.name", "proxies.1.upstream", "proxies.1.toxics.1",
    ]  # fmt: skip
    assert [line.split(":")[1] for line in found] == ["2", "3", "4", "4", "7"]
    assert "is there twice, first on line 2" in found[2]
    assert "latency has no attribute 'rate'" in found[4]


def test_another_machine_is_passed_to_where_that_is_asked_for(tmp_path: Path) -> None:
    text = '[{"name": "a", "upstream": "db.example.org:5432"}]'
    assert len(wrong(tmp_path, text)) == 1
    (wanted,) = read_config(write(tmp_path, text), elsewhere=True)
    assert wanted.new.upstream == "db.example.org:5432"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[\n{"name": "a",}]', ":2: not JSON: "),
        ('{"name": "a"}', ":1: expected a list of proxies"),
        ("", ":1: not JSON: "),
        ("[" * 100_000, ":1: not JSON that can be read: "),
        ('[{"name": "a",\n "name": "b", "upstream": "127.0.0.1:1"}]', ":2: proxies.0.name: is there twice"),
    ],
)
def test_what_is_no_list_of_proxies_is_refused_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    assert wrong(tmp_path, text)[0].startswith(what)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match=r"nowhere\.json: No such file"):
        read_config(tmp_path / "nowhere.json", elsewhere=False)


def test_a_proxy_is_one_word() -> None:
    new = named("redis=127.0.0.1:26379,[::1]:6379").new
    assert (new.name, new.listen, new.upstream) == ("redis", "127.0.0.1:26379", "[::1]:6379")
    assert named("redis=,localhost:6379").new.listen == ""


@pytest.mark.parametrize("text", ["redis", "=a,b", "redis=127.0.0.1:1", "redis=127.0.0.1:1,"])
def test_what_is_no_such_word_is_refused_with_how_it_is_written(text: str) -> None:
    with pytest.raises(Usage, match="is not NAME=LISTEN,UPSTREAM"):
        named(text)
