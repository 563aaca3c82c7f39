"""The published OpenAPI document, from a real `serve`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl.config import Target
from tests.kit.managed import Managed, managing

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "openapi.json"


@pytest.fixture
def serve(standin: Target, tmp_path: Path) -> Iterator[Managed]:
    """Without tokens: every route but those of the control socket answers whoever asks."""
    with managing(tmp_path / "serve", standin, more={}) as serve:
        yield serve


def test_the_document_is_served_to_anybody(serve: Managed) -> None:
    answer = serve.nobody.get("/openapi.json")
    assert (answer.status_code, answer.json()) == (200, json.loads(DOCUMENT.read_text()))
