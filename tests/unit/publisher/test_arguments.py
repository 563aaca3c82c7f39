"""Each argument that can't be meant is refused by its name, and no token is quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migctl.errors import Poison, Usage
from migctl.publisher import Publisher
from migctl.publisher.arguments import check_timeout, fields_of

GOOD: dict[str, Any] = {"url": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", 8080),
        ("url", ""),
        ("token", b"t0ken"),
        ("token", ""),
        ("source", 7),
        ("max_waiting_events", 0),
        ("max_waiting_events", 1.5),
        ("max_waiting_events", True),
        ("max_waiting_bytes", "64 MiB"),
        ("max_waiting_bytes", None),
        ("give_up_s", 0),
        ("give_up_s", "5"),
        ("flush_s", -1),
        ("flush_s", float("nan")),
        ("request_timeout_s", float("inf")),
        ("zone", "UTC"),
        ("on_state", "print"),
    ],
)
def test_an_argument_that_can_not_be_meant_is_named(name: str, value: Any) -> None:
    with pytest.raises(Usage, match=rf"Publisher\({name}=\)") as refused:
        Publisher(**{**GOOD, name: value})
    assert "t0ken" not in str(refused.value)


def test_what_is_meant_is_taken() -> None:
    Publisher(journal=Path("j"), max_waiting_events=1, give_up_s=None, flush_s=0, on_state=print)
    check_timeout(None)
    check_timeout(0)
    for wrong in (-1, "1", True, float("nan")):
        with pytest.raises(Usage, match="timeout_s"):
            check_timeout(wrong)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (["cpu"], "expected a mapping"),
        ({"event_type": "cpu", "data": {}, "kind": 1}, "no event has kind"),
        ({"data": {}}, "event_type is not there"),
        ({}, "event_type and data is not there"),
    ],
)
def test_of_several_events_the_one_that_can_not_be_is_named_by_its_place(item: Any, words: str) -> None:
    with pytest.raises(Poison, match=f"^item 3 can't be published: {words}"):
        fields_of(item, 3)
