"""A rollout that walks: stages with short soaks, a walker in a process of its own, and what the record has of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from migctl.rollout.stages import WALKED
from tests.kit.serve_process import environment

ROOT = Path(__file__).parents[2]
WINDOW_S = 2.0
# The journal is read up to a second ago, and on a slow machine a request takes another.
GRACE_S = 4.0
OPENS = {"2a-internal": 0, "2b-25": 25, "2b-50": 50, "2b-75": 75, "2b-100": 100}


def stage(
    name: str, *, soak_minutes: int = 2, drills: Sequence[str] = (), **more: object
) -> dict[str, object]:
    """A stage's file: that of a rehearsal, with short windows."""
    return {
        "stage": name,
        "title": name,
        "open": {"percent": OPENS[name], "segments": {"internal": 100}},
        "soak_minutes": soak_minutes,
        "max_evidence_age_minutes": 0.2,
        "move_timeout_s": 5,
        "settle_timeout_s": 20,
        "drills": list(drills),
        "gates": [
            {"max_lost": 0, "min_events": 5},
            {"min_match_percent": 50, "min_events": 5, "failure_limit": 3},
            {"max_delay_p99_ms": 60_000, "min_events": 5},
        ],
        **more,
    }


def last_stage(*, rampdown_minutes: float = 0, drain_minutes: float = 0) -> str:
    """The file of the stage that `complete` goes by."""
    of = {
        "stage": "2c-deprecate",
        "title": "a test",
        "open": {"percent": 100},
        "soak_minutes": 5,
        "gates": [{"max_lost": 0}],
        "rampdown_minutes": rampdown_minutes,
        "drain_minutes": drain_minutes,
    }
    return json.dumps(of)


def write_stages(folder: Path, **changed: Mapping[str, object]) -> None:
    """Into the folder in which the walker runs. changed: by stage, with `_` for `-`."""
    place = folder / "configs" / "stages"
    place.mkdir(parents=True, exist_ok=True)
    for name in WALKED:
        of = changed.get("s" + name.replace("-", "_"), {})
        (place / f"{name}.yaml").write_text(json.dumps(stage(name, **of)))  # type: ignore[arg-type]


def write_settings(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "migctl.yaml").write_text(f"evidence: {{ window_s: {WINDOW_S}, grace_s: {GRACE_S} }}\n")


@dataclass
class WalkerProcess:
    """`migctl rollout run`, in the folder of the serve or in one of its own."""

    folder: Path
    more: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None
    _lives: int = 0
    _logs: list[Path] = field(default_factory=list)

    def begin(self, *options: str, point: str = "", passes: int = 1) -> None:
        """point, passes: where it kills itself."""
        self._lives += 1
        log = self.folder / f"walker-{self._lives}.log"
        self._logs.append(log)
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.kit.walker_process", "run", point, str(passes)),
                    *("--reason", "a test", "--yes", "-o", "json", *options),
                ],
                stdout=out,
                stderr=out,
                env={**environment(self.folder, self.more), "PYTHONPATH": str(ROOT)},
                cwd=self.folder,
            )

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)

    def end(self) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def log(self) -> str:
        return "".join(f"--- {path.name}\n{path.read_text()}" for path in self._logs)


@dataclass(frozen=True)
class Ledger:
    """What the database has of a rollout. database: its URL."""

    database: str

    def state(self) -> dict[str, Any]:
        rows = self._rows("select state from monitoring_rollouts where flag = 'transport'")
        return (rows[0][0] or {}) if rows else {}

    def completions(self) -> list[str | None]:
        """The phase of the completion in each state that was written, in order."""
        rows = self._rows("select after from monitoring_audit where action like 'rollout.%' order by id")
        return [(row[0].get("completing") or {}).get("phase") for row in rows]

    def phases(self) -> list[tuple[str, str]]:
        """(stage, phase) of each state that was written, in order."""
        rows = self._rows("select after from monitoring_audit where action like 'rollout.%' order by id")
        return [(row[0]["stage"], row[0]["phase"]) for row in rows]

    def versions(self) -> list[int]:
        rows = self._rows("select after from monitoring_audit where action like 'rollout.%' order by id")
        return [row[0]["version"] for row in rows]

    def reasons(self) -> list[str]:
        rows = self._rows("select after from monitoring_audit where action like 'rollout.%' order by id")
        return [row[0]["reason"] or "" for row in rows]

    def opened(self) -> list[int]:
        """The share of all in each row of the flags, in order."""
        rows = self._rows("select document from monitoring_flags order by n")
        return [_share(row[0]) for row in rows]

    def evidence(self, first: str, last: str) -> list[str]:
        """Digests of the windows between these that are evidence, in order."""
        rows = self._rows(
            "select sha256 from monitoring_evidence where verdict = 'pass'"
            f" and started_at between '{first}' and '{last}' order by started_at"
        )
        return [row[0] for row in rows]

    def brakes(self) -> list[str]:
        return [row[0] for row in self._rows("select id from monitoring_brakes order by recorded_at")]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]


def _share(document: dict[str, Any]) -> int:
    rule = document["flags"]["transport"]["targeting"]
    while "if" in rule:
        rule = rule["if"][-1]
    (_, weight), (_, rest) = rule["fractional"]
    return round(100 * weight / (weight + rest))
