"""Which source a spec names, what is refused before anything runs, and what an operator reads of a tap."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage
from websockets.frames import Close

from migctl.errors import Usage
from migctl.ingest import open_source
from migctl.ingest.gauges import Bound, verdict
from migctl.ingest.tap import TapSource, _why


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("host", "HostSource"), ("-", "FileSource"), ("ws://h:1/ws", "TapSource"), ("wss://h", "TapSource")],
)
def test_a_spec_names_its_source(spec: str, kind: str, tmp_path: Path) -> None:
    assert type(open_source(spec, state_dir=tmp_path)).__name__ == kind


def test_a_path_is_a_file_and_has_to_be_readable(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"")
    assert open_source(str(tmp_path / "a.ndjson"), state_dir=tmp_path).status().source.endswith("a.ndjson")
    for missing in (tmp_path / "b.ndjson", tmp_path):
        with pytest.raises(Usage, match="--source"):
            open_source(str(missing), state_dir=tmp_path)


@pytest.mark.parametrize(
    ("spec", "rate", "words"),
    [
        ("http://h/", None, "is no source"),
        ("ws://h:port/", None, "no WebSocket address"),
        ("ws:///path", None, "no WebSocket address"),
        ("ws://h/#fragment", None, "no WebSocket address"),
        ("ws://h/", 5.0, "--rate has no meaning"),
        ("host", 0.0, "more than 0"),
    ],
)
def test_what_can_t_be_meant_is_refused(spec: str, rate: float | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=words):
        open_source(spec, state_dir=tmp_path, rate=rate)


def test_user_password_and_query_of_an_address_are_shown_nowhere(tmp_path: Path) -> None:
    tap = open_source("ws://ann:secret@host:9090/ws?token=secret", state_dir=tmp_path)
    assert isinstance(tap, TapSource)
    assert tap.status().source == "ws://host:9090/ws"
    with pytest.raises(Usage) as refused:
        open_source("ws://ann:secret@host:port/ws?token=secret", state_dir=tmp_path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionClosedError(None, None), "the connection broke"),
        (ConnectionClosedError(None, Close(1011, "keepalive ping timeout")), "the connection was given up: keepalive ping timeout"),
        (ConnectionClosedError(Close(1012, "restart"), None), "the upstream closed: 1012 restart"),
        (ConnectionClosedError(Close(1000, ""), None), "the upstream closed: 1000"),
        (TimeoutError(), "no answer within 10 s"),
        (InvalidMessage("not HTTP"), "no WebSocket handshake: not HTTP"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError(), "OSError"),
    ],
)  # fmt: skip
def test_why_a_connection_ended_is_said_in_words(error: BaseException, reason: str) -> None:
    assert _why(error) == reason


@pytest.mark.parametrize(
    ("bound", "ok"),
    [
        (Bound(5.0, least=5.0), True),
        (Bound(4.9, least=5.0), False),
        (Bound(2.0, most=2.0), True),
        (Bound(2.1, most=2.0), False),
        (Bound(1e9), True),
    ],
)
def test_a_host_is_well_where_each_measure_is_within_its_bound(bound: Bound, ok: bool) -> None:
    assert verdict({"one": Bound(1.0), "other": bound}) == {
        "ok": ok, "checks": {"one": {"value": 1.0, "ok": True}, "other": {"value": bound.value, "ok": ok}}
    }  # fmt: skip
