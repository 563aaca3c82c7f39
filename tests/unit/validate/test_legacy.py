"""The old socket beside the journal: paired by content, each as often as it is there; said beside the verdict, not in it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.validate import Bounds, report
from migctl.validate.legacy import Paired, content, pair
from tests.kit.captures import START, Scene, summary, write


@pytest.mark.parametrize(
    ("received", "truth", "paired"),
    [
        ({}, [("a", True), ("a", True), ("b", False)], Paired(0, 2, 0, 0)),
        ({"a": 2}, [("a", True), ("a", True)], Paired(2, 0, 0, 0)),
        ({"a": 1}, [("a", True), ("a", True)], Paired(1, 1, 0, 0)),
        ({"a": 3}, [("a", True), ("a", True)], Paired(2, 0, 1, 0)),
        ({"a": 2, "b": 1}, [("a", True), ("a", False), ("b", False)], Paired(1, 0, 0, 0)),
        ({"a": 2}, [("a", False)], Paired(0, 0, 1, 0)),
        ({"a": 2}, [("b", True)], Paired(0, 1, 0, 2)),
    ],
)
def test_each_event_has_at_most_one_frame(
    received: dict[str, int], truth: list[tuple[str, bool]], paired: Paired
) -> None:
    counts = {name.encode(): count for name, count in received.items()}
    assert pair(counts, [(name.encode(), inside) for name, inside in truth]) == paired


def test_what_is_equal_is_type_and_data_whatever_the_spelling() -> None:
    assert content("cpu", b'{"a":1.0,"b":"\\u00e9"}') == content("cpu", '{"b": "é", "a": 1}'.encode())
    assert content("cpu", b"{}") != content("memory", b"{}")
    assert content(None, b"{}") != content("cpu", b"{}")


def of_old_socket(scene: Scene, *, typed: bool = True) -> list[object]:
    return [
        {
            "received_at": line["committed_at"],
            "events": [{"event_type": line["event_type"] if typed else None, "data": line["data"]}],
        }
        for line in scene.journal
    ]


@pytest.mark.parametrize("typed", [True, False])
def test_what_old_dashboards_miss_is_counted_and_is_in_no_verdict_but_by_its_gate(
    tmp_path: Path, typed: bool
) -> None:
    scene = Scene(20)
    scene.journal[7]["event_type"] = scene.websocket[7]["event_type"] = "sys.marker"
    folder = scene.write(tmp_path / "s", transports=["websocket"])
    frames = of_old_socket(scene, typed=typed)
    del frames[7]
    greeting = {"received_at": "2026-01-31T12:00:00Z", "events": [], "text": "hello"}
    write(folder / "legacy.ndjson", [greeting, *frames[1:], frames[5]])  # type: ignore[list-item]
    made = report(folder)
    of = made.legacy
    assert of is not None and (made.verdict, made.lost) == ("pass", 0)
    assert (of.frames, of.not_events, of.compared_by) == (20, 1, "type and data" if typed else "data")
    assert (of.expected, of.events_matched, of.missing, of.repeated, of.unknown) == (19, 18, 1, 1, 0)
    assert made.inputs[-1].side == "legacy"
    assert any(said.startswith("legacy: no summary") for said in made.remarks)
    for bound, verdict in ((1, "pass"), (0, "fail")):
        judged = report(folder, bounds=Bounds(max_legacy_missing=bound))
        assert (judged.verdict, judged.gates[-1].name) == (verdict, "max_legacy_missing")


def test_only_what_was_committed_while_the_old_socket_was_open_is_expected_of_it(tmp_path: Path) -> None:
    scene = Scene(20)
    folder = scene.write(tmp_path / "s", transports=["websocket"])
    write(folder / "legacy.ndjson", of_old_socket(scene)[8:16])  # type: ignore[arg-type]
    at = {
        "ready": START + timedelta(milliseconds=100),
        "stop": START + timedelta(milliseconds=150),
    }
    kept = summary("legacy", start=None, received=9, **at)  # type: ignore[arg-type]
    (folder / "legacy.summary.json").write_text(json.dumps(kept))
    made = report(folder)
    of = made.legacy
    assert of is not None and of.summary is not None
    assert (of.expected, of.events_matched, of.missing, of.repeated, of.unknown) == (6, 6, 0, 0, 0)
    assert "legacy: the file has 8 of the 9 frames that were captured" in made.remarks
    whole = report(folder, window="journal").legacy
    assert whole is not None and (whole.expected, whole.missing) == (20, 12)


def test_a_gate_without_a_capture_shows_nothing(tmp_path: Path) -> None:
    folder = Scene(3).write(tmp_path / "s")
    assert report(folder, bounds=Bounds(max_legacy_missing=0)).verdict == "inconclusive"


def test_a_line_that_was_cut_is_left_out_and_one_that_is_no_frame_is_refused(tmp_path: Path) -> None:
    scene = Scene(3)
    folder = scene.write(tmp_path / "s")
    path = write(folder / "legacy.ndjson", of_old_socket(scene))  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-20])
    made = report(folder)
    assert made.legacy is not None and (made.legacy.frames, made.legacy.missing) == (2, 1)
    assert any("line 3, the last, is torn" in said for said in made.remarks)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(Usage, match=r"legacy\.ndjson:3: no frame of a capture"):
        report(folder)


def test_without_a_journal_it_is_refused_with_the_way_out(tmp_path: Path) -> None:
    scene = Scene(3)
    folder = scene.write(tmp_path / "s", journal=False)
    write(folder / "legacy.ndjson", of_old_socket(scene))  # type: ignore[arg-type]
    with pytest.raises(Usage, match="have no id") as refused:
        report(folder)
    assert "--journal" in refused.value.do
