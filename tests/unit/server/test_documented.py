"""docs/serve.md names every route, purpose and metric that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from migctl.delivery.figures import BatchFigures
from migctl.server.access.tokens import PURPOSES
from migctl.server.counts import Counts
from migctl.server.routes.metrics import families
from migctl.telemetry.metrics import Histogram
from tests.kit.statuses import status

PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text()


def test_metrics_of_the_page_are_those_of_the_program() -> None:
    found = families(status("everything"), Counts(), Histogram(), BatchFigures())
    named = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in found}
    assert set(re.findall(r"^\| `((?:migctl|process)_\w+)` \|", PAGE, re.MULTILINE)) == named


def test_each_purpose_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [`/]", PAGE, re.MULTILINE)) >= set(PURPOSES)
