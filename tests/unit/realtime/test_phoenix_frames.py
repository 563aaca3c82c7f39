"""Frames of the Phoenix protocol: ours as any parser reads them, theirs whatever they hold."""

from __future__ import annotations

import json

import pytest

from migctl.transports.realtime import frames
from migctl.transports.realtime.exchange import is_of_changes


def test_payload_stands_in_the_frame_with_its_own_text() -> None:
    text = frames.encode("realtime:a", "broadcast", b'{"n":1.10}', ref=7, join_ref=2)
    assert b'"payload":{"n":1.10}' in text
    assert json.loads(text) == {
        "topic": "realtime:a", "event": "broadcast", "payload": {"n": 1.1}, "ref": "7", "join_ref": "2",
    }  # fmt: skip


def test_frame_of_the_socket_itself_has_no_join() -> None:
    assert json.loads(frames.encode("phoenix", "heartbeat", b"{}", ref=1, join_ref=None))["join_ref"] is None


def test_topic_with_quotes_is_one_string() -> None:
    assert json.loads(frames.encode('a"b\\', "e", b"{}", ref=1, join_ref=1))["topic"] == 'a"b\\'


def test_join_asks_for_acknowledgements_and_not_for_its_own_messages() -> None:
    config = json.loads(frames.join_payload("token"))["config"]
    assert config["private"] is True
    assert config["broadcast"] == {"ack": True, "self": False}


def test_join_asks_for_changes_of_a_table_where_they_are_wanted() -> None:
    wanted = json.loads(frames.join_payload("token", changes_of=("app", "heads")))["config"][
        "postgres_changes"
    ]
    assert wanted == [{"event": "*", "schema": "app", "table": "heads"}]
    assert json.loads(frames.join_payload("token"))["config"]["postgres_changes"] == []


@pytest.mark.parametrize(
    ("event", "extension", "is_its"),
    [
        ("system", "postgres_changes", True),
        ("system", "system", False),
        ("system", None, False),
        ("postgres_changes", "postgres_changes", False),
    ],
)
def test_which_message_says_how_a_subscription_to_changes_fared(
    event: str, extension: object, is_its: bool
) -> None:
    assert is_of_changes(frames.Frame("t", event, {"extension": extension}, None)) is is_its


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '{"event":1}', '{"topic":"t"}', "{"])
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        frames.decode(text)


def test_missing_parts_of_a_frame_are_nothing_and_not_an_error() -> None:
    assert frames.decode('{"event":"phx_close"}') == frames.Frame("", "phx_close", {}, None)
    assert frames.decode('{"topic":"t","event":"e","payload":[],"ref":3}') == frames.Frame("t", "e", {}, "3")
