"""What a service that publishes or subscribes has to import, and what not: whatever is in it is in the service's start too."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Of the command line, of settings, of the server, of other sides that are not asked.
HEAVY = (
    "typer", "pydantic", "yaml", "structlog", "supabase", "realtime", "duckdb", "psycopg", "redis", "aiohttp",
    "uvloop", "psutil", "prometheus_client", "openfeature",
)  # fmt: skip


def imported(code: str) -> set[str]:
    """What a fresh process has in it after this."""
    said = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )  # fmt: skip
    return set(said.stdout.split())


@pytest.mark.parametrize(
    "name",
    [
        "Publisher",
        "Subscriber",
        "NewEvent",
        "Published",
        "Position",
        "Release",
        "Discontinuity",
        "__version__",
    ],
)
def test_what_a_service_imports_brings_nothing_that_it_does_not_need(name: str) -> None:
    found = imported(f"from migctl import {name}")
    assert sorted(found.intersection(HEAVY)) == []
    assert "migctl.config.settings" not in found


def test_a_publisher_and_a_subscriber_that_are_made_are_as_light() -> None:
    found = imported(
        "from migctl import Publisher, Subscriber\n"
        "Publisher(url='http://127.0.0.1:1')\n"
        "Subscriber('http://127.0.0.1:1', user='u')"
    )
    assert sorted(found.intersection(HEAVY)) == []


@pytest.mark.parametrize(
    "name", ["MODES", "Mode", "Settings", "Target", "flag", "from_environment", "load", "secret"]
)
def test_settings_are_had_by_name_all_the_same(name: str) -> None:
    assert "migctl.config" in imported(f"from migctl.config import {name}")


def test_a_name_that_settings_do_not_have_is_an_error_as_in_any_module() -> None:
    code = "import migctl.config\ntry: migctl.config.nothing\nexcept AttributeError as error: assert 'nothing' in str(error)"
    assert "migctl.config" in imported(code)


def test_going_down_loads_neither_the_server_nor_a_library_of_a_store() -> None:
    found = imported("import migctl.cli.rollout_change, migctl.runtime.rollout_moves, migctl.config.person")
    needless = (
        "aiohttp",
        "prometheus_client",
        "psycopg",
        "redis",
        "duckdb",
        "supabase",
        "openfeature",
        "uvloop",
    )
    assert sorted(found.intersection(needless)) == []
