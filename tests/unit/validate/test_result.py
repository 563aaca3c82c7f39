"""A report that was kept is read as it was written, and what is none is refused by file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migctl.errors import Usage
from migctl.validate import Bounds, report
from migctl.validate.kinds import KINDS
from migctl.validate.result import Discrepancies, json_schema, read
from migctl.validate.tally import COLUMNS
from tests.kit.captures import Scene, entry, received

PUBLISHED = Path(__file__).parents[3] / "docs" / "report.schema.json"

KEYS = (
    *("schema", "verdict", "expected", "matched", "match_percent", "lost", "before_journal", "discrepancies"),
    *("tombstones", "latency_ms", "delay_ms"),
    *("catch_up_ms", "latency_basis", "clock_skew_ms", "late_after_s", "by_event_type", "by_minute", "mismatched_fields"),
    *("examples", "gates", "missing_evidence", "remarks", "window", "transports", "dual", "legacy", "rls", "inputs"),
)  # fmt: skip


def odd(folder: Path) -> Path:
    """Something of each kind: lost, missing, late, another body, and a stranger."""
    scene = Scene(20)
    del scene.websocket[3], scene.realtime[3], scene.realtime[7]
    scene.websocket[5] = received(scene.journal[6], "websocket", after_ms=6000.5)
    scene.realtime[9] |= {"data": {"other": 1}}
    scene.websocket.append(received(entry(99), "websocket"))
    return scene.write(folder)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = report(odd(tmp_path / "s"), bounds=Bounds(max_latency_p99_ms=50))
    made.write(tmp_path / "report.json")
    again = read(tmp_path / "report.json")
    assert again == made
    assert again.text() == (tmp_path / "report.json").read_text()
    assert again.verdict == "fail"
    assert made.examples.keys() == {
        "lost",
        "missing_websocket",
        "missing_realtime",
        "payload_mismatch",
        "late",
        "unexpected",
    }


def test_the_keys_stand_in_their_order(tmp_path: Path) -> None:
    form = json.loads(report(odd(tmp_path / "s")).text())
    assert tuple(form) == KEYS
    assert tuple(form["discrepancies"]) == KINDS == Discrepancies.__struct_fields__
    assert tuple(form["latency_ms"]) == ("websocket", "realtime", "difference")
    assert tuple(form["latency_ms"]["websocket"]) == ("p50", "p95", "p99", "max", "n")
    assert tuple(form["by_event_type"]["cpu"]) == COLUMNS
    assert tuple(form["gates"][0]) == ("name", "bound", "value", "samples", "verdict")
    assert tuple(form["inputs"][0]) == ("side", "file", "size", "sha256", "lines")
    assert tuple(form["window"]) == ("kind", "starts", "ends", "outside", "excused", "control")
    start = ("id", "epoch", "seq", "file", "line", "event_type", "committed_at")
    more = {
        "lost": (),
        "payload_mismatch": ("transports", "against", "fields"),
        "late": ("transport", "after_ms"),
        "unexpected": ("received_on",),
    }
    for kind, keys in more.items():
        assert tuple(form["examples"][kind][0]) == (*start, *keys)


def test_a_transport_that_is_not_compared_is_null_and_not_named(tmp_path: Path) -> None:
    made = report(Scene(5).write(tmp_path / "s", transports=("websocket",)))
    assert (made.verdict, made.compared) == ("pass", ["websocket"])
    assert made.transports.realtime is None
    assert made.latency_ms.difference is None
    assert made.discrepancies.missing("realtime") is None
    assert made.discrepancies.missing("websocket") == 0


def _changed(path: Path, key: str, value: Any) -> Path:
    form: Any = json.loads(path.read_text())
    *way, last = key.split(".")
    part = form
    for one in way:
        part = part[one]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    path.write_text(json.dumps(form))
    return path


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("schema", "migctl.report/2", "$.schema"),
        ("schema", "migctl.status/1", "$.schema"),
        ("lost", "1", "$.lost"),
        ("lost", ..., "`lost`"),
        ("latency_ms.websocket.p99", "fast", "$.latency_ms.websocket.p99"),
        ("discrepancies.late", ..., "`late`"),
        ("window.kind", "all", "$.window.kind"),
        ("verdict", "good", "$.verdict"),
    ],
)
def test_what_is_no_report_is_refused_by_file_and_key(
    tmp_path: Path, key: str, value: Any, named: str
) -> None:
    path = tmp_path / "report.json"
    report(odd(tmp_path / "s")).write(path)
    with pytest.raises(Usage) as caught:
        read(_changed(path, key, value))
    assert str(path) in caught.value.what
    assert named in caught.value.what


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{", b"\xff", b'"migctl.report/1"'])
def test_what_is_not_even_an_object_is_refused_by_its_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(Usage, match="no consistency report"):
        read(path)


def test_a_report_that_is_not_there_is_refused_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"gone\.json"):
        read(tmp_path / "gone.json")


def test_keys_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    made = report(odd(tmp_path / "s"))
    made.write(tmp_path / "report.json")
    assert read(_changed(tmp_path / "report.json", "window.shape", 1)) == made


def test_the_published_schema_is_that_of_the_structs() -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "if the change is meant: migctl validate report --schema > docs/report.schema.json, and CHANGELOG.md"
    )
