"""migctl-client: which modules are in it, and that it asks for what they import, in the same versions as migctl."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from client import parts

ROOT = Path(__file__).parents[2]
# Distributions by what is imported of them.
NAMED = {"jwt": "pyjwt"}
# Imported where `serve` makes its log, and where DATABASE_URL is read: an application has a log of its own, and no database.
NOT_ASKED = {"structlog", "psycopg"}


def project(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return found


def by_name(requirements: list[str]) -> dict[str, str]:
    return {each.replace("[", ">").partition(">")[0]: each.replace("[crypto]", "") for each in requirements}


def test_it_has_what_publishes_and_subscribes_and_neither_server_nor_command_line() -> None:
    names = set(parts.modules(ROOT))
    assert {"migctl.publisher.post", "migctl.subscriber.realtime.official", "migctl.events.model"} <= names
    rooms = {name.split(".")[1] for name in names if "." in name}
    assert not rooms & {
        "cli",
        "server",
        "runtime",
        "stack",
        "ingest",
        "delivery",
        "schema",
        "drills",
        "dashboard",
    }
    assert not any(name.startswith("migctl.journal.sqlite") for name in names)


def test_it_asks_for_what_it_imports_as_migctl_does() -> None:
    imported = {
        name.partition(".")[0]
        for path in parts.modules(ROOT).values()
        for name in parts.imported(ROOT / path)
    }
    foreign = {NAMED.get(name, name) for name in imported - sys.stdlib_module_names - NOT_ASKED - {"migctl"}}
    asked, by_all = by_name(project("client")["dependencies"]), by_name(project("")["dependencies"])
    assert set(asked) == foreign
    assert asked == {name: by_all[name] for name in asked}


def test_it_is_of_the_same_version() -> None:
    both = [project(folder) for folder in ("", "client")]
    for key in ("version", "license", "requires-python", "authors"):
        assert both[0][key] == both[1][key]
