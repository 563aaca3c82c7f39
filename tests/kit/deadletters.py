"""A table that refuses some events, and a serve that buries them, for tests of commands."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.cli.main import main
from migctl.config import Target
from tests.kit.conditions import PATIENCE_S

REFUSE_COLD = "alter table monitoring_events add constraint cold check ((data->>'cold') is null) not valid"
ALLOW_COLD = "alter table monitoring_events drop constraint cold"
COLD: dict[str, Any] = {"cold": True}
NUL: dict[str, Any] = {"a": "\0"}


def environ_of(target: Target) -> dict[str, str]:
    """The environment that names this target, as a hosted one."""
    return {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
        "DATABASE_URL": target.need("database_url"),
        "NO_COLOR": "1",
    }


def post(url: str, *data: dict[str, Any]) -> None:
    events = [{"event_type": "cpu", "data": each} for each in data]
    httpx.post(f"{url}/events", json=events, trust_env=False).raise_for_status()


def waiting_for(url: str, count: int, *, within_s: float = PATIENCE_S, **more: Any) -> dict[str, Any]:
    """The status, once so many dead letters wait, all is in the table, and `dead_letters` says what else is given here."""
    deadline = time.monotonic() + within_s
    while True:
        said: dict[str, Any] = httpx.get(f"{url}/api/status", trust_env=False).json()
        letters = said["dead_letters"]
        settled = more or said["relay"]["backlog"] == 0
        if letters["waiting"] == count and settled and all(bool(letters[key]) for key in more):
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


@dataclass
class Commands:
    """Commands of migctl in this process, in a folder and an environment of their own: quick where a test runs many."""

    folder: Path
    environ: Mapping[str, str]
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        for name in [name for name in os.environ if name.startswith(("MIGCTL_", "SUPABASE_", "DATABASE_"))]:
            self.monkeypatch.delenv(name)
        for name, value in {
            **self.environ,
            "MIGCTL_STATE_DIR": str(self.folder),
            "MIGCTL_WITNESS": "off",
            "COLUMNS": "80",
        }.items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.chdir(self.folder)

    def __call__(self, *words: str) -> Ended:
        self.capsys.readouterr()
        code = main(list(words))
        said = self.capsys.readouterr()
        return Ended(code, said.out, said.err)
