"""kill -9 of a real walker before and after each thing that it does: no step is skipped or done twice, one brake is pulled."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import httpx
import pytest

from migctl.config import Target
from tests.kit.conditions import until
from tests.kit.serve_process import serving_process
from tests.kit.sources import Source
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger, WalkerProcess, write_settings, write_stages

# Each life does at least one thing more than the one before it.
LIVES = [
    *[("before-write", 1), ("after-write", 1), ("before-open", 1), ("after-open", 1)],
    *[("before-write", 1), ("after-write", 1), ("before-mark", 1), ("after-mark", 1)],
    *[("before-write", 2), ("after-write", 2), ("after-write", 1), ("before-open", 1)],
    *[("after-open", 1), ("after-mark", 1), ("after-write", 3), ("before-write", 2)],
    *[("before-brake", 1), ("after-brake", 1), ("before-write", 1), ("after-write", 1)],
]
OF_A_STAGE = ["moving", "moving", "settling", "settling", "soaking", "judged"]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_walk_that_is_killed_everywhere_is_the_walk_that_it_would_have_been(
    standin: Target, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(standin.need("database_url"))
    write_settings(folder)
    too_strict = [{"max_delay_p99_ms": 0.001, "min_events": 5, "on_failure": "abort"}]
    write_stages(folder, s2b_50={"gates": too_strict})
    more = {**environment_of(standin), "MIGCTL_WITNESS": "on"}
    walker = WalkerProcess(folder, more)
    with serving_process(folder, "--mode", "dual", more=more) as serve:
        async with Source(serve).running(), httpx.AsyncClient(base_url=serve.url, trust_env=False) as http:
            for point, passes in LIVES:
                walker.begin(point=point, passes=passes)
                await until(lambda: walker.exit_code is not None)
                assert walker.exit_code == -signal.SIGKILL, (point, walker.log())
            walker.begin()
            await until(lambda: walker.exit_code is not None)
            assert walker.exit_code == 1, walker.log()
            assert "migctl rollout resume" in walker.log()
            for number in range(30):
                answer = await http.get("/api/transport", params={"user": f"user-{number}"})
                assert answer.json()["transport"] == "websocket"
            placed = await markers(http, ledger.state()["marker"].partition("/")[0])
    assert ledger.versions() == list(range(1, len(ledger.versions()) + 1))
    # A soak may begin again where the machine was too slow for its witness; nothing else may be there twice.
    expected = [*[("2a-internal", one) for one in OF_A_STAGE], *[("2b-25", one) for one in OF_A_STAGE]]
    expected += [("2b-50", one) for one in (*OF_A_STAGE[:5], "aborted")]
    assert without_repeated_soaks(ledger.phases()) == expected
    assert ledger.opened() == [0, 25, 50]
    assert len(ledger.brakes()) == 1
    assert placed == 3, walker.log()


async def markers(http: httpx.AsyncClient, epoch: str) -> int:
    """How many are in the journal."""
    after, found = 0, 0
    while True:
        answer = await http.get("/events", params={"epoch": epoch, "after": after, "limit": 1000})
        events = answer.json()["events"]
        if not events:
            return found
        found += sum(one["type"] == "sys.marker" for one in events)
        after = events[-1]["seq"]


def without_repeated_soaks(phases: list[tuple[str, str]]) -> list[tuple[str, str]]:
    soak = {"soaking", "paused"}
    found = [one for one in phases if one[1] != "paused"]
    return [
        one
        for one, before in zip(found, itertools.chain([("", "")], found), strict=False)
        if one != before or one[1] not in soak
    ]
