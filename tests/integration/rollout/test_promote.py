"""`rollout promote` on what a real witness wrote: gates are cited by their digests; nothing is promoted without."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migctl.config import Target
from tests.kit.conditions import until
from tests.kit.serve_process import run, serving_process
from tests.kit.sources import Source
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger, write_settings, write_stages

WHY = ("--yes", "--reason", "a test")
WITHIN_S = 120.0


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_step_is_promoted_on_evidence_alone_or_by_force_with_a_reason(
    target: Target, migrated: str, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(migrated)
    write_settings(folder)
    too_strict = {"max_delay_p99_ms": 0.001, "min_events": 5}
    write_stages(
        folder,
        s2b_25={"soak_minutes": 1, "max_evidence_age_minutes": 5},
        s2b_50={
            "soak_minutes": 1,
            "max_evidence_age_minutes": 5,
            "gates": [{"max_lost": 0, "min_events": 5}, too_strict],
        },
        s2b_75={"soak_minutes": 1, "max_evidence_age_minutes": 5},
    )
    more = {**environment_of(target), "MIGCTL_WITNESS": "on"}

    async def rollout(*words: str) -> tuple[int, dict[str, Any], str]:
        done = await asyncio.to_thread(run, folder, "rollout", *words, "--output", "json", more=more)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    async def of_gates(*words: str) -> dict[str, Any]:
        """What the gates say once each of them has evidence."""

        async def judged() -> dict[str, Any] | None:
            _, found, _ = await rollout("promote", *words, "--dry-run")
            return found if all(one["missing"] is None for one in found["gates"]["gates"]) else None

        found: dict[str, Any] = await until(judged, within_s=WITHIN_S)
        return found

    with serving_process(folder, "--mode", "dual", more=more) as serve:
        code, found, words = await rollout("set", "25", *WHY)
        assert code == 0, (found, words)
        # A gate without evidence is none that passes, whoever agrees.
        code, found, message = await rollout("promote", *WHY)
        assert (code, found["changed"]) == (1, False), found
        assert "max_lost: 5 more events" in message
        assert {one["verdict"] for one in found["gates"]["gates"]} == {"inconclusive"}

        async with Source(serve).running():
            found = await of_gates("--yes")
            cited = found["gates"]["evidence"]
            written = digests(migrated)
            assert {one["sha256"] for one in cited} <= written
            joined = "\n".join(one["sha256"] for one in cited).encode()
            digest = hashlib.sha256(joined).hexdigest()
            assert {one["sha256"] for one in found["gates"]["gates"]} == {digest}
            assert {one["verdict"] for one in found["gates"]["gates"]} == {"pass"}
            # Whoever agrees is shown each of them.
            shown = await asyncio.to_thread(run, folder, "rollout", "promote", *WHY, "--dry-run", more=more)
            for one in found["gates"]["gates"]:
                assert one["name"] in shown.stdout + shown.stderr
            code, found, message = await rollout("promote", *WHY)
            assert (code, found["state"]["stage"]) == (0, "2b-50"), message
            assert ledger.state()["passed"] == ["2b-25"]

            found = await of_gates("--yes")
            assert [one["verdict"] for one in found["gates"]["gates"]] == ["pass", "fail"]
            code, found, message = await rollout("promote", *WHY)
            assert (code, found["changed"]) == (1, False)
            assert "max_delay_p99_ms" in message
            assert "bound 0.001" in message
            assert (await rollout("promote", "--force", "--yes"))[0] == 2
            assert ledger.state()["stage"] == "2b-50"
            forced = ("promote", "--force", "--yes", "--reason", "the bound is a mistake")
            code, found, message = await rollout(*forced)
            assert (code, found["state"]["stage"]) == (0, "2b-75"), message
            assert ledger.state()["passed"] == ["2b-25"]
    _, history, _ = await rollout("history")
    audited = [(one["action"], one["reason"]) for one in history["entries"]]
    assert ("rollout.promote-forced", "the bound is a mistake") in audited
    assert ("rollout.promote", "a test") in audited
    assert ledger.opened() == [25, 50, 75]


def digests(database: str) -> set[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("select document ->> 'sha256' from monitoring_evidence").fetchall()
    return {row[0] for row in rows}
