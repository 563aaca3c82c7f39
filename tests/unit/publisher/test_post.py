"""What the answers of a `serve` to `POST /events` mean, a test for each cell of the table in publisher/post.py."""

from __future__ import annotations

import json

import pytest

from migctl.errors import MigctlError, TokenRefused, Transient, Usage
from migctl.events import Position
from migctl.journal import Conflict
from migctl.publisher.outlet import NotNow, TooLarge, Unfit
from migctl.publisher.post import refused, stored
from migctl.serve_client import Answer

URL = "http://127.0.0.1:8080"
ITEM = {"index": 1, "id": "an-id", "field": "data", "code": "shape", "reason": "no object"}
WHOLE = {"index": None, "reason": "the body is no JSON"}


def _answer(status: int, *wrong: dict[str, object], **headers: str) -> Answer:
    return Answer(
        f"{URL}/events", status, json.dumps({"errors": wrong}).encode() if wrong else b"no", headers
    )


@pytest.mark.parametrize(
    ("status", "wrong", "kind"),
    [
        (409, [ITEM], Conflict),
        (409, [ITEM, WHOLE], Unfit),
        (409, [], Unfit),
        (413, [], TooLarge),
        (413, [WHOLE], TooLarge),
        (413, [ITEM], Unfit),
        (422, [ITEM], Unfit),
        (422, [WHOLE], Unfit),
        (429, [], NotNow),
        (503, [], NotNow),
        (408, [], Transient),
        (425, [], Transient),
        (500, [], Transient),
        (502, [], Transient),
        (401, [], TokenRefused),
        (403, [], TokenRefused),
        (200, [], Usage),
        (302, [], Usage),
        (404, [], Usage),
    ],
)
def test_what_a_refusal_means(status: int, wrong: list[dict[str, object]], kind: type[MigctlError]) -> None:
    assert type(refused(URL, _answer(status, *wrong))) is kind


def test_items_that_are_named_are_kept_and_the_others_are_not() -> None:
    conflict = refused(URL, _answer(409, ITEM))
    assert isinstance(conflict, Conflict)
    assert list(conflict.conflicts) == [(1, "an-id")]
    unfit = refused(URL, _answer(422, ITEM, WHOLE))
    assert isinstance(unfit, Unfit)
    assert unfit.reasons == {1: "data: no object (shape)"}


def test_time_that_is_asked_for_is_kept() -> None:
    error = refused(URL, _answer(503, **{"retry-after": "7"}))
    assert isinstance(error, NotNow)
    assert error.after_s == 7.0


SAID = {"accepted": 1, "duplicates": 1, "epoch": "e", "first_seq": 4, "last_seq": 4}


def test_what_was_stored_is_said_of_each() -> None:
    body = json.dumps({**SAID, "items": [{"seq": 4}, {"seq": 2, "epoch": "d"}]}).encode()
    appended = stored(URL, Answer(URL, 201, body), 2)
    assert appended.positions() == [Position("e", 4), Position("d", 2)]


@pytest.mark.parametrize("items", [[{"seq": 4}], [{"seq": 4}] * 3, [{"seq": "x"}] * 2, None])
def test_201_that_does_not_say_it_of_each_is_a_stranger(items: object) -> None:
    with pytest.raises(Usage, match="201 without what was stored"):
        stored(URL, Answer(URL, 201, json.dumps({**SAID, "items": items}).encode()), 2)
