"""`/api/flags` and `/api/segments` of a real `serve`, on a real record: who may write, at which version, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from migctl.config import Target
from migctl.flags.record import Record
from migctl.flags.snapshot import Brake
from migctl.stack.standin_process import StandinProcess
from tests.kit.flagging import write_share
from tests.kit.managed import MENU, NAME, Managed, managing

NOW = {"If-None-Match": "*"}


@pytest.fixture
def serve(target: Target, tmp_path: Path) -> Iterator[Managed]:
    with managing(tmp_path / "serve", target) as serve:
        yield serve


def said(answer: Any) -> tuple[int, str, str | None]:
    (error, *_) = answer.json()["errors"]
    return answer.status_code, error["code"], error["field"]


def test_flag_is_made_changed_and_deleted_by_who_saw_what_stood(serve: Managed) -> None:
    made = serve.put("/api/flags/menu", MENU)
    assert made.status_code == 201, made.text
    document = serve.shop.get("/api/flags").json()
    assert (document["target"], document["n"]) == (NAME, made.json()["n"])
    assert [flag["key"] for flag in document["flags"]] == ["menu"]

    tag = serve.tag("/api/flags/menu")
    assert tag == made.headers["ETag"]
    changed = serve.put("/api/flags/menu", {**MENU, "defaultVariant": "on"}, tag=tag)
    assert (changed.status_code, changed.json()["changed"]) == (200, True)
    assert said(serve.put("/api/flags/menu", MENU, tag=tag)) == (412, "changed", "If-Match")
    assert serve.shop.get("/api/flags/menu").json()["flag"]["defaultVariant"] == "on"
    assert said(serve.put("/api/flags/menu", MENU)) == (412, "changed", "If-Match")

    why = {"target": NAME, "reason": "not needed"}
    gone = serve.admin.delete("/api/flags/menu", params=why)
    assert said(gone) == (428, "precondition", "If-Match")
    tag = serve.tag("/api/flags/menu")
    assert serve.admin.delete("/api/flags/menu", params=why, headers={"If-Match": tag}).status_code == 200
    assert said(serve.shop.get("/api/flags/menu")) == (404, "absent", None)
    again = serve.admin.delete("/api/flags/menu", params=why, headers={"If-Match": tag})
    assert said(again) == (404, "absent", None)

    entries = serve.shop.get("/api/flags/menu/history").json()["entries"]
    assert [(one["actor"], one["reason"]) for one in entries] == [
        ("ada", "not needed"),
        ("ada", "a test"),
        ("ada", "a test"),
    ]


def test_change_of_another_flag_is_no_conflict(serve: Managed) -> None:
    serve.put("/api/flags/menu", MENU)
    tag = serve.tag("/api/flags/menu")
    n = serve.shop.get("/api/flags").json()["n"]
    assert serve.put("/api/flags/other", MENU).status_code == 201
    assert said(serve.put("/api/flags/menu", MENU, tag=f'"{n}"')) == (412, "changed", "If-Match")
    assert serve.put("/api/flags/menu", {**MENU, "state": "DISABLED"}, tag=tag).status_code == 200


def test_of_many_who_write_at_once_exactly_one_wins(serve: Managed) -> None:
    serve.put("/api/flags/menu", MENU)
    tag = serve.tag("/api/flags/menu")
    menus = [{**MENU, "metadata": {"author": number}} for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda menu: serve.put("/api/flags/menu", menu, tag=tag), menus))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (winner,) = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert serve.shop.get("/api/flags/menu").json()["flag"]["metadata"] == {"author": winner}


def test_who_may_write(serve: Managed) -> None:
    body = {"target": NAME, "reason": "a test", "flag": MENU}
    for client, status in ((serve.nobody, 401), (serve.shop, 403)):
        for path in ("/api/flags/menu", "/api/segments/staff"):
            assert client.put(path, json=body, headers=NOW).status_code == status
            assert client.delete(path, headers={"If-Match": "*"}).status_code == status
    assert serve.nobody.get("/api/flags").status_code == 401
    assert serve.admin.get("/api/flags").status_code == 200
    assert serve.shop.get("/api/flags").json()["flags"] == []


async def test_raise_ends_only_the_brakes_that_it_names(serve: Managed, record: Record) -> None:
    await write_share(record, 10)
    brake = Brake(id="b1", flag="transport", max_percent=0, split="everything", by="eve", reason="it shakes")
    await record.brake(brake)
    serve.put("/api/flags/menu", MENU)  # whoever writes has read the record: what is held is as new
    assert [one["id"] for one in serve.shop.get("/api/flags/transport").json()["brakes"]] == ["b1"]

    flag = serve.shop.get("/api/flags/transport").json()["flag"]
    del flag["key"], flag["share"]
    flag["targeting"] = {"fractional": [["realtime", 50], ["websocket", 50]]}
    tag = serve.tag("/api/flags/transport")
    refused = serve.put("/api/flags/transport", flag, tag=tag)
    assert said(refused) == (409, "brake", "lift")
    assert "it shakes" in refused.text
    assert said(serve.put("/api/flags/transport", flag, tag=tag, lift=["b2"])) == (409, "brake", "lift")
    rehearsed = serve.put("/api/flags/transport", flag, tag=tag, dry_run=True).json()
    assert (rehearsed["raises"], rehearsed["changed"], rehearsed["dry_run"]) == (True, False, True)
    raised = serve.put("/api/flags/transport", flag, tag=tag, lift=["b1"]).json()
    assert (raised["raises"], raised["lifted"], raised["share"]["after"]) == (True, ["b1"], "50 %")
    assert serve.shop.get("/api/flags/transport").json()["brakes"] == []
    lower = {**flag, "targeting": {"fractional": [["realtime", 5], ["websocket", 95]]}}
    assert (
        serve.put("/api/flags/transport", lower, tag=raised["n"] and f'"{raised["n"]}"').json()["lifted"]
        == []
    )


def test_segment_is_made_used_and_deleted_only_where_nobody_asks_for_it(serve: Managed) -> None:
    assert (
        serve.put("/api/segments/staff", {"users": ["ann"], "ends_with": ["@example.org"]}).status_code == 201
    )
    rule = {"if": [{"$ref": "segment.staff"}, "on", "off"]}
    assert serve.put("/api/flags/menu", {**MENU, "targeting": rule}).status_code == 201
    found = serve.shop.get("/api/segments").json()["segments"]
    assert [(one["name"], one["flags"]) for one in found] == [("staff", ["menu"])]
    tag = serve.tag("/api/segments/staff")
    assert serve.put("/api/segments/staff", {"users": ["bob"]}, tag=tag).status_code == 200

    why = {"target": NAME, "reason": "empty"}
    current = {"If-Match": serve.tag("/api/segments/staff")}
    refused = serve.admin.delete("/api/segments/staff", params=why, headers=current)
    assert said(refused)[:2] == (422, "definition")
    assert "menu" in refused.text
    serve.admin.delete("/api/flags/menu", params=why, headers={"If-Match": "*"})
    assert serve.admin.delete("/api/segments/staff", params=why, headers=current).status_code == 200
    history = serve.shop.get("/api/segments/staff/history", params={"limit": 2}).json()
    assert [one["parts"] for one in history["entries"]] == [["$segment.staff"], ["$segment.staff"]]
    assert said(serve.put("/api/segments/all", {"users": []}))[:2] == (422, "definition")


NONSENSE: list[tuple[str, Any, tuple[int, str, str | None]]] = [
    ("/api/flags/menu", b"", (400, "json", None)),
    ("/api/flags/menu", b"{", (400, "json", None)),
    ("/api/flags/menu", b"[]", (422, "shape", None)),
    ("/api/flags/menu", b'{"reason":"\xff"}', (400, "json", None)),
    ("/api/flags/menu", b"[" * 100_000, (422, "depth", None)),
    ("/api/flags/menu", b'{"a":' * 100_000, (422, "depth", None)),
    ("/api/flags/menu", b" " * (2 << 20), (413, "large", None)),
    ("/api/flags/menu", {"flag": MENU, "reason": "x"}, (422, "shape", None)),
    ("/api/flags/menu", {"flag": MENU, "target": NAME}, (422, "shape", None)),
    ("/api/flags/menu", {"flag": MENU, "target": 5, "reason": "x"}, (422, "shape", "target")),
    ("/api/flags/menu", {"flag": [], "target": NAME, "reason": "x"}, (422, "shape", "flag")),
    ("/api/flags/menu", {"flag": MENU, "target": NAME, "reason": "x", "force": True}, (422, "shape", None)),
    ("/api/flags/menu", {"flag": MENU, "target": "other/public", "reason": "x"}, (409, "target", "target")),
    ("/api/flags/menu", {"flag": MENU, "target": NAME, "reason": " "}, (422, "value", None)),
    ("/api/flags/menu", {"flag": MENU, "target": NAME, "reason": "\x1b[2J"}, (422, "value", None)),
    ("/api/flags/menu", {"flag": MENU, "target": NAME, "reason": "x" * 2000}, (422, "shape", "reason")),
    ("/api/flags/menu", {"flag": {**MENU, "state": "ON"}, "target": NAME, "reason": "x"},
     (422, "definition", "flags.menu.state")),
    ("/api/flags/menu", {"flag": {**MENU, "x": 1}, "target": NAME, "reason": "x"},
     (422, "definition", "flags.menu.x")),
    ("/api/flags/menu", {"flag": {**MENU, "variants": {"on": "\0", "off": ""}}, "target": NAME, "reason": "x"},
     (422, "definition", "menu")),
    ("/api/flags/me nu", {"flag": MENU, "target": NAME, "reason": "x"}, (422, "definition", "flags.me nu")),
    ("/api/flags/__proto__", {"flag": MENU, "target": NAME, "reason": "x"},
     (422, "definition", "flags.__proto__")),
    ("/api/flags/a%2Fb", {"flag": MENU, "target": NAME, "reason": "x"}, (422, "definition", "flags.a/b")),
    ("/api/segments/%00", {"segment": {"users": ["a"]}, "target": NAME, "reason": "x"},
     (422, "definition", "segment.\0")),
    ("/api/segments/s", {"segment": {"users": "ann"}, "target": NAME, "reason": "x"},
     (422, "definition", "segments.s.users")),
    ("/api/segments/s", {"segment": {"rule": {"nonsense": []}}, "target": NAME, "reason": "x"},
     (422, "definition", "$evaluators.segment.s.nonsense")),
]  # fmt: skip


def test_nonsense_is_refused_with_its_place_and_writes_nothing(serve: Managed) -> None:
    for path, body, expected in NONSENSE:
        content = body if isinstance(body, bytes) else json.dumps(body)
        answer = serve.admin.put(path, content=content, headers=NOW)
        assert said(answer) == expected, (path, str(body)[:200], answer.text)
    assert said(serve.admin.put("/api/flags/menu", json={})) == (422, "shape", None)
    document = serve.shop.get("/api/flags").json()
    assert (document["n"], document["flags"]) == (0, [])


def test_without_the_record_reading_goes_on_and_writing_says_when_to_come_back(
    serve: Managed, process: StandinProcess
) -> None:
    serve.put("/api/flags/menu", MENU)
    process.stop()
    assert serve.shop.get("/api/flags/menu").status_code == 200
    for answer in (
        serve.put("/api/flags/menu", MENU, tag="*"),
        serve.shop.get("/api/flags/menu/history"),
    ):
        assert said(answer)[:2] == (503, "record"), answer.text
        assert int(answer.headers["Retry-After"]) >= 1


def test_where_a_file_is_the_record_writing_says_which(tmp_path: Path) -> None:
    with managing(tmp_path / "serve", None) as serve:
        found = serve.shop.get("/api/flags")
        assert found.json()["target"] == "file"
        answer = serve.put("/api/flags/menu", MENU, target="file")
        assert said(answer) == (409, "file", None)
        assert "transport.yaml" in answer.text


def test_on_loopback_without_tokens_everything_is_open_and_nothing_counted(
    target: Target, tmp_path: Path
) -> None:
    config = "flags: {max_requests_per_second: 1}\n"
    with managing(tmp_path / "serve", target, more={}, config=config) as serve:
        for _ in range(5):
            assert serve.nobody.get("/api/flags").status_code == 200
        body = {"target": NAME, "reason": "a test", "flag": MENU}
        assert serve.nobody.put("/api/flags/menu", json=body, headers=NOW).status_code == 201
        (entry,) = serve.nobody.get("/api/flags/menu/history").json()["entries"]
        assert entry["actor"] == "loopback"
        foreign = {**NOW, "Origin": "https://elsewhere.example"}
        assert serve.nobody.put("/api/flags/menu", json=body, headers=foreign).status_code == 403


def test_token_above_its_rate_is_told_when_to_come_back_and_others_are_not(
    target: Target, tmp_path: Path
) -> None:
    with managing(tmp_path / "serve", target, config="flags: {max_requests_per_second: 1}\n") as serve:
        answers = [serve.shop.post("/ofrep/v1/evaluate/flags", json={"context": {}}) for _ in range(3)]
        assert [answer.status_code for answer in answers][1:] == [429, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert said(serve.shop.get("/api/flags"))[:2] == (429, "rate")
        assert serve.admin.get("/api/flags").status_code == 200
        assert serve.nobody.get("/healthz").status_code == 200


def test_longest_reason_that_there_may_be_can_be_given_to_a_deletion(serve: Managed) -> None:
    serve.put("/api/flags/menu", MENU)
    asked = {"target": NAME, "reason": "\U0001f600" * 1000}
    answer = serve.admin.delete("/api/flags/menu", params=asked, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    history = serve.shop.get("/api/flags/menu/history").json()
    assert asked["reason"] in json.dumps(history, ensure_ascii=False)
