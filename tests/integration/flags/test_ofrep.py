"""OFREP of a real `serve`, asked by the unmodified provider for Python, and by a stranger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    OpenFeatureError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import Reason

from migctl.config import Target
from migctl.flags.record import Record
from migctl.flags.snapshot import Brake
from tests.kit.flagging import write_share
from tests.kit.managed import ADMIN, EVALUATE, MENU, TOKENS, Managed, managing

SPLIT = {"fractional": [["on", 50], ["off", 50]]}


def flag(*values: object, **more: Any) -> dict[str, Any]:
    names = ["on", "off", "third"][: len(values)]
    return {
        "state": "ENABLED",
        "variants": dict(zip(names, values, strict=True)),
        "defaultVariant": "on",
        **more,
    }


FLAGS: dict[str, dict[str, Any]] = {
    "bool": flag(True, False),
    "text": flag("a\u2028b\U0001f600", "", metadata={"owner": "shop", "size": 3}),
    "whole": flag(7, 0),
    "fraction": flag(1, 2.5),
    "object": flag({"a": [1, 2.0, None]}, {}),
    "off": flag(True, False, state="DISABLED"),
    "code": flag(True, False, defaultVariant=None),
    "split": flag(True, False, targeting=SPLIT),
    "menu": MENU,
    "broken": flag(True, False, targeting={"if": [{"==": [{"var": "x"}, 1]}, {"var": "y"}, "off"]}),
}


@pytest.fixture
def serve(target: Target, tmp_path: Path) -> Iterator[Managed]:
    with managing(tmp_path / "serve", target) as serve:
        for key, definition in FLAGS.items():
            made = serve.put(f"/api/flags/{key}", definition)
            assert made.status_code == 201, made.text
        yield serve


def provider_of(serve: Managed, token: str = EVALUATE) -> OFREPProvider:
    return OFREPProvider(serve.url, headers_factory=lambda: {"Authorization": f"Bearer {token}"})


def test_unmodified_provider_for_python_gets_each_type_each_reason_and_each_error(serve: Managed) -> None:
    provider = provider_of(serve)
    ann = EvaluationContext("ann", {"plan": "pro"})
    nobody = EvaluationContext()
    assert provider.resolve_boolean_details("bool", False, nobody).value is True
    text = provider.resolve_string_details("text", "", None)
    assert (text.value, text.reason, text.variant) == ("a\u2028b\U0001f600", Reason.STATIC, "on")
    assert {"owner": "shop", "size": 3}.items() <= text.flag_metadata.items()
    assert provider.resolve_integer_details("whole", 0, ann).value == 7
    assert repr(provider.resolve_float_details("fraction", 0.0, ann).value) == "1.0"
    assert provider.resolve_object_details("object", {}, ann).value == {"a": [1, 2.0, None]}
    for key, reason in (("off", Reason.DISABLED), ("code", Reason.DEFAULT)):
        for default in (True, False):
            found = provider.resolve_boolean_details(key, default, ann)
            assert (found.value, found.reason, found.variant) == (default, reason, "")
    assert provider.resolve_boolean_details("menu", False, ann).reason == Reason.TARGETING_MATCH
    split = provider.resolve_boolean_details("split", False, ann)
    assert split.reason == Reason.TARGETING_MATCH
    with pytest.raises(TargetingKeyMissingError):
        provider.resolve_boolean_details("split", False, nobody)
    with pytest.raises(FlagNotFoundError):
        provider.resolve_boolean_details("nothing", False, ann)
    with pytest.raises(TypeMismatchError):
        provider.resolve_string_details("bool", "", ann)
    with pytest.raises(GeneralError, match="no variant"):
        provider.resolve_boolean_details("broken", False, EvaluationContext("ann", {"x": 1, "y": "z"}))
    with pytest.raises(OpenFeatureError, match="unauthorized"):
        provider_of(serve, "wrong").resolve_boolean_details("bool", False, ann)
    with pytest.raises(OpenFeatureError, match="forbidden"):
        provider_of(serve, ADMIN).resolve_boolean_details("bool", False, ann)


async def test_who_is_braked_or_overridden_gets_it_with_a_reason_that_the_provider_knows(
    serve: Managed, record: Record, tmp_path: Path, target: Target
) -> None:
    await write_share(record, 100)
    await record.brake(Brake(id="b1", flag="transport", max_percent=0, split="everything"))
    serve.put("/api/flags/latest", MENU)
    found = provider_of(serve).resolve_string_details("transport", "", EvaluationContext("ann"))
    assert (found.value, found.reason) == ("w", Reason.TARGETING_MATCH)
    assert found.flag_metadata["migctl_reason"] == "BRAKED"
    more = {**TOKENS, "MIGCTL_FLAG_TRANSPORT": "websocket", "MIGCTL_FLAG_LATEST": "on"}
    with managing(tmp_path / "other", target, more=more) as other:
        for key, context in (("transport", None), ("latest", EvaluationContext("ann"))):
            said = other.shop.post(
                f"/ofrep/v1/evaluate/flags/{key}",
                json={} if context is None else {"context": {"targetingKey": "ann"}},
            ).json()
            assert (said["reason"], said["metadata"]["migctl_reason"]) == ("STATIC", "OVERRIDE")


def test_bulk_has_every_flag_and_is_not_sent_twice(serve: Managed) -> None:
    path, body = "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "ann", "plan": "pro"}}
    first = serve.shop.post(path, json=body)
    flags = {one["key"]: one for one in first.json()["flags"]}
    assert set(flags) == set(FLAGS)
    assert flags["menu"]["value"] is True
    assert "value" not in flags["off"]
    assert first.json()["metadata"]["n"] == serve.shop.get("/api/flags").json()["n"]
    tag = first.headers["ETag"]
    for given in (tag, tag.strip('"'), f"W/{tag}", f'"other", {tag}'):
        again = serve.shop.post(path, json=body, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    other = serve.shop.post(path, json={"context": {"targetingKey": "ann"}}, headers={"If-None-Match": tag})
    assert (other.status_code, other.headers["ETag"] != tag) == (200, True)
    serve.put("/api/flags/menu", {**MENU, "state": "DISABLED"}, tag="*")
    changed = serve.shop.post(path, json=body, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    missing = {one["key"]: one for one in serve.shop.post(path, json={}).json()["flags"]}
    assert missing["split"]["errorCode"] == "TARGETING_KEY_MISSING"


def test_nonsense_is_answered_with_a_code_and_the_flags_go_on(serve: Managed) -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": deep}
    cases: list[tuple[object, int, str | None]] = [
        (b"", 400, "PARSE_ERROR"),
        (b"{", 400, "PARSE_ERROR"),
        (b"\xff\xfe", 400, "PARSE_ERROR"),
        (b'{"context":{"n":NaN}}', 400, "PARSE_ERROR"),
        (b"[]", 400, "PARSE_ERROR"),
        (b"[" * 500_000, 400, "PARSE_ERROR"),
        (b'{"context":' * 50_000, 400, "PARSE_ERROR"),
        (b'{"context":{"x":"' + b"y" * (2 << 20) + b'"}}', 413, "INVALID_CONTEXT"),
        ({"context": []}, 400, "INVALID_CONTEXT"),
        ({"context": None}, 400, "INVALID_CONTEXT"),
        ({"context": "ann"}, 400, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": None}}, 400, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": "a" * 1_000_000}}, 200, None),
        ({"context": {"targetingKey": "\0\x1b[2J\u202e"}}, 200, None),
        ({"context": {"targetingKey": "\ud83d"}}, 400, "GENERAL"),
        ({"context": {"targetingKey": ""}}, 200, None),
        ({"context": {"targetingKey": "ann", "__proto__": {"plan": "pro"}, "$flagd": 5}}, 200, None),
        ({"context": {"targetingKey": "ann", "deep": deep}}, 200, None),
        ({"context": {"targetingKey": "ann", **{f"key{n}": n for n in range(20_000)}}}, 200, None),
        (b'{"context":{"targetingKey":"ann","plan":' + b"9" * 5000 + b"}}", 200, None),
    ]
    for body, status, code in cases:
        content = body if isinstance(body, bytes) else json.dumps(body)
        single = serve.shop.post("/ofrep/v1/evaluate/flags/split", content=content)
        assert (single.status_code, single.json().get("errorCode")) == (status, code), str(body)[:80]
        if code is not None:
            assert single.json()["key"] == "split"
            assert single.json()["errorDetails"]
        bulk = serve.shop.post("/ofrep/v1/evaluate/flags", content=content)
        assert bulk.status_code == (200 if code == "GENERAL" else status), str(body)[:80]
    for path in ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/split"):
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = serve.shop.request(method, path)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), method
    for key in ("__proto__", "constructor", "a%2Fb", "%00", "%F0%9F%98%80", "x" * 4000, "..%2F..%2Fapi"):
        answer = serve.shop.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {}})
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND"), key
    assert serve.nobody.post("/ofrep/v1/evaluate/flags", json={}).status_code == 401


def test_page_of_a_named_origin_may_ask_and_sees_the_tag(target: Target, tmp_path: Path) -> None:
    config = "legacy: {origins: [https://shop.example]}\n"
    origin = {"Origin": "https://shop.example"}
    with managing(tmp_path / "serve", target, config=config) as serve:
        asked = {**origin, "Access-Control-Request-Method": "POST"}
        before = serve.nobody.options("/ofrep/v1/evaluate/flags", headers=asked)
        assert before.status_code == 204
        assert "If-None-Match" in before.headers["Access-Control-Allow-Headers"]
        answer = serve.shop.post("/ofrep/v1/evaluate/flags", json={}, headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
