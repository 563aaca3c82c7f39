from __future__ import annotations

from typing import Any

import pytest

from migctl.flags.assignment import Assignments, Switch
from migctl.flags.definitions import Invalid, read
from migctl.flags.segments import missing_segments, read_segments, rule_of, segments_of, with_segments
from migctl.flags.shares import Shares
from migctl.flags.snapshot import Row, Snapshot

SHARES = Shares("realtime", "websocket", segments={"internal": 100}, percent=0)
FLAG = {
    "state": "ENABLED",
    "variants": {"realtime": "r", "websocket": "w"},
    "defaultVariant": "websocket",
    "targeting": SHARES.targeting(),
}


def test_a_flag_that_opens_to_a_segment_nobody_has_defined_is_refused() -> None:
    with pytest.raises(Invalid, match=r"no evaluator 'segment\.internal'"):
        read({"flags": {"transport": FLAG}})


def test_who_is_in_a_segment_is_part_of_the_flag_set() -> None:
    empty = read({"flags": {}})
    rules = read_segments(
        {"segments": {"internal": {"users": ["ann"], "ends_with": ["@x.org"]}, "none": {"users": []}}}
    )
    flag_set = with_segments(empty, rules)
    assert list(segments_of(flag_set)) == ["internal", "none"]
    assert missing_segments(flag_set, ["internal", "eu"]) == ["eu"]
    document = {**flag_set.document(), "flags": {"transport": FLAG}}
    assignments = Assignments(
        Switch("transport", "realtime", "websocket"),
        Snapshot(target="t").with_row(Row(n=1, id="a", document=document)),
    )
    found = {user: assignments.assign(user).variant for user in ("ann", "bob", "eve@x.org", "@x.org.com")}
    assert found == {
        "ann": "realtime",
        "bob": "websocket",
        "eve@x.org": "realtime",
        "@x.org.com": "websocket",
    }


def test_nobody_is_in_a_segment_without_rules() -> None:
    assert rule_of() == {"in": [{"var": "targetingKey"}, []]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "has no"),
        ({"segments": {"all": {"users": ["a"]}}}, "can't be called"),
        ({"segments": {"a": {}}}, "expected keys"),
        ({"segments": {"a": {"user": ["a"]}}}, "no such key"),
        ({"segments": {"a": {"users": [1]}}}, "list of texts"),
        ({"segments": {"a": {"users": ["a"], "rule": {}}}}, "beside other keys"),
    ],
)
def test_a_bad_segment_is_refused(document: Any, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_segments(document)
