"""docs/serve.md names every route, purpose and metric that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from migctl.delivery.figures import BatchFigures
from migctl.server.access.tokens import PURPOSES
from migctl.server.counts import Counts
from migctl.server.routes.metrics import families
from migctl.telemetry.metrics import Histogram

PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text()
EVERYTHING: dict[str, Any] = {
    "journal": {"epoch": "e"},
    "relay": {"state": "running"},
    "connections": {
        "table": {
            "state": "running",
            "since": "2026-01-01T00:00:00Z",
            "attempts": 1,
            "retries": 0,
            "request_timeout_s": 1,
        }
    },
    "breakers": {"table": {"state": "closed", "opened": 1, "since": "2026-01-01T00:00:00Z"}},
    "dead_letters": {"waiting": 0},
    "transports": {"websocket": {}, "realtime": {}},
    "fallback": {},
    "source": {"kind": "tap", "outages": {"count": 0, "total_s": 0}, "buffered_bytes": 0},
}


def test_metrics_of_the_page_are_those_of_the_program() -> None:
    told = {family.name for family in families(EVERYTHING, Counts(), Histogram(), BatchFigures())}
    assert set(re.findall(r"^\| `((?:migctl|process)_\w+)` \|", PAGE, re.MULTILINE)) == told


def test_each_purpose_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [`/]", PAGE, re.MULTILINE)) >= set(PURPOSES)
