"""The published OpenAPI document is that of the routes and of the structs that they answer with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migctl.server.openapi import document
from migctl.server.operations import OPERATIONS

PUBLISHED = Path(__file__).parents[3] / "docs" / "openapi.json"
MADE: Any = json.loads(msgspec.json.encode(document()))


def test_the_published_document_is_what_a_serve_answers() -> None:
    assert json.loads(PUBLISHED.read_text()) == MADE, (
        "if the change is meant: curl a serve's /openapi.json > docs/openapi.json, and CHANGELOG.md"
    )


def test_every_name_is_said_once_and_every_reference_leads_somewhere() -> None:
    ids = [one["operationId"] for path in MADE["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids)) == len(OPERATIONS)

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return here.union(*(references(inner) for inner in value.values()))
        return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()

    known = {f"#/components/schemas/{name}" for name in MADE["components"]["schemas"]}
    assert references(MADE) <= known


@pytest.mark.parametrize(
    ("path", "method", "said"),
    [
        ("/ofrep/v1/evaluate/flags", "post", "purpose evaluate."),
        ("/api/flags/{name}", "get", "purpose evaluate or admin."),
        ("/api/flags/{name}", "put", "purpose admin."),
        ("/healthz", "get", None),
    ],
)
def test_each_operation_says_which_token_it_needs(path: str, method: str, said: str | None) -> None:
    found = MADE["paths"][path][method]
    assert (said is None) == ("security" not in found)
    assert said is None or found["description"].endswith(said)
