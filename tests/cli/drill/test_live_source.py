"""`migctl drill run --source ws://...`: the load is a live stream, which the drill's own serve taps."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from pathlib import Path

import pytest

from tests.kit.conditions import going_on
from tests.kit.old_service import OldService, old_service
from tests.kit.serve_process import run

DRILL = """\
title: serve is killed while a live stream comes in
description: what reached the journal reaches everybody
configuration:
  calm_s: 1
  subscribers: { "whole:realtime": 1, "whole:websocket": 1, legacy: 1 }
steady-state-hypothesis:
  title: nobody is behind
  probes:
    - type: probe
      name: behind
      tolerance: 0
      provider: { type: migctl, func: subscribers-behind }
method:
  - type: action
    name: killed
    provider: { type: migctl, func: kill-serve }
    pauses: { after: 0.5 }
  - type: action
    name: started
    provider: { type: migctl, func: lift, arguments: { fault: killed } }
    pauses: { after: 4 }
"""
SETTINGS = "source: { map: { event_type: .type, timestamp: .none }, ignore: [initial_stats] }\n"


def publishing(service: OldService) -> contextlib.AbstractAsyncContextManager[None]:
    numbers = itertools.count(1)

    async def publish() -> None:
        frame = {
            "type": "session_metrics",
            "data": {"n": next(numbers)},
            "timestamp": "2025-10-23 15:11:01 AEDT",
        }
        await service.publish(json.dumps(frame))

    return going_on(publish, every_s=0.02)


@pytest.mark.slow
async def test_a_live_stream_is_tapped_by_the_drills_own_serve_and_judged_from_the_journal_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "migctl.yaml").write_text(SETTINGS)
    (tmp_path / "live.yaml").write_text(DRILL)
    async with old_service() as service, publishing(service):
        words = ("drill", "run", "live.yaml", "--source", service.url, "--output", "json")
        done = await asyncio.to_thread(run, tmp_path, *words)
        assert done.stdout, done.stderr
        found = json.loads(done.stdout)
        assert (done.returncode, found["verdict"]) == (0, "pass"), found["reason"]
        assert (found["lost"], found["duplicates"], found["out_of_order"]) == (0, 0, 0)
        assert found["published"] > 50
        assert found["store"]["committed"] == found["store"]["rows"] == found["published"]
        # A dashboard of today knows our events by what our producers put into them: there is none.
        assert {one["kind"] for one in found["subscribers"]} == {"whole:realtime", "whole:websocket"}
        # What the tap did not hear is said, and counted by nobody.
        [lost] = [one["what"] for one in found["timeline"] if one["kind"] == "source"]
        assert "1 outages" in lost
        assert service.clients == set()  # it has left, and nothing was sent to the service
        assert len(service.requests) == 2  # before the kill and after it


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("failover", "--source", "ws://127.0.0.1:9/ws", "--rate", "5"), "at its own rate"),
        (("failover", "--source", "events.ndjson"), "a drill taps a live WebSocket"),
        (("silence", "--source", "ws://127.0.0.1:9/ws"), "no serve that could tap"),
        (("run", "--all", "--source", "ws://127.0.0.1:9/ws"), "with --all"),
    ],
)
def test_a_source_that_can_t_be_the_load_is_refused(tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    done = run(tmp_path, "drill", *words)
    assert (done.returncode, why in " ".join(done.stderr.split())) == (2, True), done.stderr
