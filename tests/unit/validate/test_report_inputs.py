"""What a report takes for input: torn lines, bad lines, empty files, summaries, windows, tombstones, journals of either form."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import UNSET

from migctl.errors import Usage
from migctl.events import BadEvent, format_time, make_event, parse_time
from migctl.events.ids import canonical_id
from migctl.ingest.rejected import Rejected
from migctl.journal.sqlite import SqliteJournal, read_file
from migctl.runtime.report import READER
from migctl.validate import Bounds, report
from tests.kit.captures import EPOCH, START, Scene, dump, entry, received, summary, time_text, write


def test_captures_that_agree_pass_and_say_what_they_rest_on(tmp_path: Path) -> None:
    folder = Scene(50).write(tmp_path / "s")
    made = report(folder).to_json()
    assert (made["schema"], made["verdict"]) == ("migctl.report/1", "pass")
    assert (made["expected"], made["matched"], made["match_percent"], made["lost"]) == (50, 50, 100.0, 0)
    assert not any(made["discrepancies"].values())
    assert made["latency_ms"]["websocket"] == {"p50": 12.0, "p95": 12.0, "p99": 12.0, "max": 12.0, "n": 50}
    assert made["latency_ms"]["difference"]["p50"] == 18.0
    assert made["latency_basis"] == "committed_at"
    for each in made["inputs"]:
        content = Path(each["file"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_spelling_is_no_discrepancy(tmp_path: Path) -> None:
    scene = Scene(3)
    scene.journal[0]["data"] = {"a": 1.5, "bb": [True, None], "c": "é"}
    ours = dump(received(scene.journal[0], "websocket"))
    scene.websocket[0] = ours
    scene.realtime[0] = (
        dump(received(scene.journal[0], "realtime"))
        .replace(
            '"data":{"a":1.5,"bb":[true,null],"c":"é"}',
            '"data": {"bb": [0], "c": "\\u00e9", "a": 15e-1, "bb": [true ,null]}',
        )
        .replace(scene.journal[0]["timestamp"], "2026-01-31 17:30:00.007+05:30")
        .replace(scene.journal[0]["id"], scene.journal[0]["id"].upper())
    )
    assert '"a": 15e-1' in scene.realtime[0]
    made = report(scene.write(tmp_path / "s")).to_json()
    assert made["verdict"] == "pass"
    assert not any(made["discrepancies"].values())


@pytest.mark.parametrize("cut", [1, 40, 60, 200, 300])
def test_a_torn_last_line_is_told_and_tolerated(tmp_path: Path, cut: int) -> None:
    folder = Scene(20).write(tmp_path / "s")
    path = folder / "realtime.ndjson"
    whole = path.read_bytes()
    torn = dump(received(entry(21), "realtime")).encode()[:cut]
    path.write_bytes(whole + torn)
    made = report(folder).to_json()
    assert made["verdict"] == "pass"
    assert made["transports"]["realtime"]["torn_line"] == 21
    assert any("line 21, the last, is torn" in remark for remark in made["remarks"])


def test_a_last_line_without_newline_that_is_whole_counts(tmp_path: Path) -> None:
    scene = Scene(5)
    folder = scene.write(tmp_path / "s")
    write(folder / "websocket.ndjson", scene.websocket, end="")
    made = report(folder).to_json()
    assert made["matched"] == 5
    assert made["transports"]["websocket"]["torn_line"] is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"id":"x"', "no JSON object"),
        ('{"id":"x"}', "data: is missing"),
        ('{"id":"x","data":{}}', "event_type: is missing"),
        ('{"id":"x","event_type":"t","data":{}}', "timestamp: is missing"),
        ('{"id":"x","event_type":"t","timestamp":"yesterday","data":{}}', "timestamp: expected a time"),
        (
            '{"id":"x","event_type":"t","timestamp":"2026-01-31T12:00:00Z","data":[1]}',
            "data: expected a JSON object",
        ),
        ('{"id":7,"event_type":"t","timestamp":"2026-01-31T12:00:00Z","data":{}}', "id: expected a string"),
        (
            '{"id":"x","event_type":"t","timestamp":"2026-01-31T12:00:00Z","data":{},"seq":"1"}',
            "seq: expected an integer",
        ),
        ("[1]", "no JSON object"),
    ],
)
def test_a_bad_line_elsewhere_is_named_with_file_and_line(tmp_path: Path, bad: str, reason: str) -> None:
    scene = Scene(20)
    scene.websocket[7] = bad
    folder = scene.write(tmp_path / "s")
    with pytest.raises(Usage) as caught:
        report(folder)
    assert caught.value.what.startswith(f"{folder / 'websocket.ndjson'}:8: {reason}")


def test_the_first_of_the_bad_lines_is_named_whichever_process_met_it(tmp_path: Path) -> None:
    scene = Scene(20)
    for at in (5, 9, 12, 16):
        scene.websocket[at] = dump(scene.websocket[at])[:-20]
    folder = scene.write(tmp_path / "s")
    with pytest.raises(Usage, match=r"websocket\.ndjson:6: no JSON object"):
        report(folder, processes=2)


def test_broken_data_is_found_when_it_is_compared(tmp_path: Path) -> None:
    scene = Scene(5)
    folder = scene.write(tmp_path / "s")
    path = folder / "realtime.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"n":3', b'"n":"\xff"'))
    with pytest.raises(Usage, match=r"realtime\.ndjson:3: data"):
        report(folder)


def test_lone_surrogates_and_vast_numbers_are_compared(tmp_path: Path) -> None:
    scene = Scene(3)
    for name in ("journal", "websocket", "realtime"):
        lines = scene.lines(name)
        lines[0] = dump(lines[0]).replace('"n":1', '"n":"\\ud800"')
        lines[1] = dump(lines[1]).replace('"n":2', '"n":1e400000' if name == "journal" else '"n":10e399999')
        lines[2] = dump(lines[2]).replace('"n":3', '"n":' + "7" * 5000)
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["matched"], made["verdict"]) == (3, "pass")


def test_foreign_captures_need_no_more_than_four_fields(tmp_path: Path) -> None:
    lines = [
        {"id": f"evt {n}", "event_type": "t", "timestamp": "2026-01-31 12:00:00", "data": {"n": n}}
        for n in range(5)
    ]
    write(tmp_path / "a", lines)
    write(tmp_path / "b", lines[1:] + lines[:1])
    made = report(captures={"websocket": tmp_path / "a", "realtime": tmp_path / "b"}).to_json()
    assert (made["verdict"], made["matched"]) == ("pass", 5)
    assert made["discrepancies"]["out_of_order_realtime"] == 0
    assert made["latency_ms"]["websocket"]["n"] == 0
    write(tmp_path / "b", lines[1:])
    (missing,) = report(captures={"websocket": tmp_path / "a", "realtime": tmp_path / "b"}).examples[
        "missing_realtime"
    ]
    assert (missing.source_id, missing.id) == ("evt 0", canonical_id("evt 0")[0])


def test_a_capture_of_the_whole_subscriber_is_a_column_more_and_its_own_part_of_the_verdict(
    tmp_path: Path,
) -> None:
    scene = Scene(6)
    folder = scene.write(tmp_path / "s")
    write(folder / "dual.ndjson", [received(line, "realtime", after_ms=40) for line in scene.journal])
    made = report(folder)
    assert made.dual is not None
    assert (made.verdict, made.dual.received, made.dual.latency_ms.p50) == ("pass", 6, 40.0)
    assert [each.side for each in made.inputs] == ["journal", "websocket", "realtime", "dual"]
    write(folder / "dual.ndjson", [received(line, "realtime") for line in scene.journal[1:]])
    made = report(folder)
    assert made.dual is not None
    assert (made.verdict, made.dual.verdict, made.dual.missing, made.lost) == ("fail", "fail", 1, 0)
    assert report(folder, bounds=Bounds(min_match_percent=50, max_lost=1)).verdict == "pass"
    (folder / "journal.ndjson").unlink()
    alone = report(folder)
    assert (alone.dual, alone.verdict) == (None, "pass")
    assert "dual: there is no journal, so it is not compared" in alone.remarks


def test_the_id_that_a_producer_gave_stands_beside_ours(tmp_path: Path) -> None:
    scene = Scene(3)
    scene.journal[1]["source_id"] = "own-2"
    del scene.websocket[1], scene.websocket[0]
    found = report(scene.write(tmp_path / "s")).examples["missing_websocket"]
    assert [one.source_id for one in found] == [UNSET, "own-2"]


def test_latency_rests_on_the_timestamp_only_where_no_commit_is_known(tmp_path: Path) -> None:
    scene = Scene(5)
    for name in ("websocket", "realtime"):
        for line in scene.lines(name):
            del line["committed_at"]
    made = report(scene.write(tmp_path / "s", journal=False)).to_json()
    assert made["latency_basis"] == "timestamp"
    assert made["latency_ms"]["websocket"]["p50"] == 15.0
    assert any("none of its lines can be late" in remark for remark in made["remarks"])
    with_journal = report(scene.write(tmp_path / "s")).to_json()
    assert with_journal["latency_basis"] == "committed_at"
    assert with_journal["latency_ms"]["websocket"]["p50"] == 12.0


def test_an_empty_capture_is_no_evidence(tmp_path: Path) -> None:
    scene = Scene(10)
    scene.realtime = []
    made = report(scene.write(tmp_path / "s")).to_json()
    assert made["verdict"] == "inconclusive"
    assert made["missing_evidence"] == ["realtime: the capture is empty, 0 of 10 expected events"]
    assert made["discrepancies"]["missing_realtime"] == 10


def test_nothing_at_all_is_no_evidence(tmp_path: Path) -> None:
    made = report(Scene(0).write(tmp_path / "s")).to_json()
    assert made["verdict"] == "inconclusive"
    assert made["match_percent"] is None
    assert {gate["verdict"] for gate in made["gates"]} == {"inconclusive"}
    assert len(made["missing_evidence"]) >= 3


def test_a_transport_that_is_not_compared_has_null_keys_and_gates_nothing(tmp_path: Path) -> None:
    folder = Scene(10).asked().write(tmp_path / "s", transports=["websocket"])
    made = report(folder, bounds=Bounds(max_latency_p99_ms=50)).to_json()
    assert made["verdict"] == "pass"
    assert made["latency_ms"]["realtime"] is None
    assert made["latency_ms"]["difference"] is None
    assert made["catch_up_ms"]["realtime"] is None
    for kind in ("missing", "duplicate", "out_of_order"):
        assert made["discrepancies"][f"{kind}_realtime"] is None
        assert made["discrepancies"][f"{kind}_websocket"] == 0


def test_the_slowest_transport_decides_the_latency_gate(tmp_path: Path) -> None:
    folder = Scene(10).asked().write(tmp_path / "s")
    assert report(folder, bounds=Bounds(max_latency_p99_ms=30)).verdict == "pass"
    assert report(folder, bounds=Bounds(max_latency_p99_ms=29.9)).verdict == "fail"
    unknown = Scene(10).write(tmp_path / "u")
    assert report(unknown, bounds=Bounds(max_latency_p99_ms=30)).verdict == "inconclusive"
    assert report(unknown, bounds=Bounds(max_latency_p99_ms=29.9)).verdict == "fail"
    scene = Scene(10)
    scene.realtime = [line | {"via": "table"} for line in scene.realtime]
    made = report(scene.write(tmp_path / "t"), bounds=Bounds(max_latency_p99_ms=30)).to_json()
    assert made["verdict"] == "inconclusive"
    assert made["catch_up_ms"]["realtime"]["n"] == 10


def test_what_was_caught_up_on_late_is_in_the_delay_and_hides_in_no_latency(tmp_path: Path) -> None:
    """An outage: live events are as quick as ever, and the others came after it."""
    scene = Scene(100).asked()
    late = scene.realtime[:10]
    for line in late:
        line |= {
            "via": "table",
            "received_at": format_time(parse_time(line["received_at"]) + timedelta(seconds=4)),
        }
    made = report(
        scene.write(tmp_path / "s"), bounds=Bounds(max_latency_p99_ms=50, max_delay_p99_ms=1000)
    ).to_json()
    assert made["latency_ms"]["realtime"]["n"] == 90
    assert made["delay_ms"]["realtime"]["n"] == 100
    assert made["delay_ms"]["realtime"]["p99"] >= 4000
    assert made["delay_ms"]["websocket"] == made["latency_ms"]["websocket"]
    verdicts = {gate["name"]: gate["verdict"] for gate in made["gates"]}
    assert (verdicts["max_latency_p99_ms"], verdicts["max_delay_p99_ms"], made["verdict"]) == (
        "pass",
        "fail",
        "fail",
    )


def test_only_what_both_captures_could_see_is_expected(tmp_path: Path) -> None:
    scene = Scene(100)
    scene.websocket = scene.websocket[10:]
    scene.realtime = scene.realtime[20:80]
    scene.summaries = {
        "websocket": summary("websocket", start=10, stop=START + timedelta(seconds=5)),
        "realtime": summary("realtime", start=20, stop=START + timedelta(milliseconds=800)),
    }
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["verdict"], made["expected"], made["matched"]) == ("pass", 60, 60)
    assert made["window"]["outside"] == 40
    assert made["discrepancies"]["unexpected"] == 0
    assert made["window"]["starts"]["realtime"]["seq"] == 20
    without_journal = report(scene.write(tmp_path / "t", journal=False)).to_json()
    assert (without_journal["expected"], without_journal["matched"]) == (60, 60)


def test_an_event_missing_at_the_very_edge_of_the_window_is_missing(tmp_path: Path) -> None:
    scene = Scene(100)
    scene.realtime = scene.realtime[21:79]
    scene.summaries = {"realtime": summary("realtime", start=20, stop=START + timedelta(milliseconds=800))}
    made = report(scene.write(tmp_path / "s")).to_json()
    assert made["discrepancies"]["missing_realtime"] == 2
    assert [each["seq"] for each in made["examples"]["missing_realtime"]] == [21, 80]


def test_over_the_whole_journal_a_capture_that_began_late_is_inconclusive(tmp_path: Path) -> None:
    scene = Scene(30)
    scene.summaries = {
        "websocket": summary("websocket", start=0, stop=START + timedelta(seconds=5)),
        "realtime": summary("realtime", start=4, stop=START + timedelta(seconds=5)),
    }
    scene.realtime = scene.realtime[4:]
    folder = scene.write(tmp_path / "s")
    made = report(folder, window="journal").to_json()
    assert made["verdict"] == "inconclusive"
    assert made["expected"] == 30
    assert made["missing_evidence"][0].startswith("realtime: the capture began late")
    assert report(folder, window="captures").verdict == "pass"


def test_other_epochs_are_told_apart_by_the_clock(tmp_path: Path) -> None:
    scene = Scene(20)
    for line in (*scene.journal[:10], *scene.websocket[:10], *scene.realtime[:10]):
        line["epoch"] = "older"
    scene.realtime = scene.realtime[12:]
    scene.summaries = {"realtime": summary("realtime", start=12, ready=START + timedelta(milliseconds=121))}
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["verdict"], made["expected"], made["window"]["outside"]) == ("pass", 8, 12)


def test_a_capture_without_summary_covers_everything_and_the_report_says_so(tmp_path: Path) -> None:
    scene = Scene(10)
    scene.realtime = scene.realtime[5:]
    made = report(scene.write(tmp_path / "s")).to_json()
    assert made["discrepancies"]["missing_realtime"] == 5
    assert sum("no summary beside the capture" in remark for remark in made["remarks"]) == 2


def test_a_capture_that_was_cut_short_never_passes(tmp_path: Path) -> None:
    scene = Scene(10)
    scene.summaries = {"realtime": summary("realtime", ended_at=None)}
    assert report(scene.write(tmp_path / "s")).verdict == "terminated"


def test_a_capture_that_could_not_see_its_end_never_passes_though_all_it_has_agrees(tmp_path: Path) -> None:
    scene = Scene(10)
    scene.summaries = {"websocket": summary("websocket", complete=False, reason="time, but had 5 s")}
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["verdict"], made["lost"], made["matched"]) == ("terminated", 0, 10)
    assert any("ended incomplete: time, but had 5 s" in said for said in made["missing_evidence"])


def test_a_summary_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = Scene(5).write(tmp_path / "s")
    (folder / "realtime.summary.json").write_text('{"from": 3}')
    with pytest.raises(Usage, match=r"realtime\.summary\.json: no capture's summary"):
        report(folder)


def test_what_a_rotation_lost_is_lost(tmp_path: Path) -> None:
    scene = Scene(10)
    gap = {
        "after": {"epoch": "older", "seq": 3},
        "resumed": {"epoch": EPOCH, "seq": 0},
        "reason": "lost",
        "lost_from": 4,
        "lost_to": 6,
    }
    scene.summaries = {
        name: summary(name, start=None, discontinuities=[gap]) for name in ("websocket", "realtime")
    }
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["lost"], made["verdict"]) == (3, "fail")


def test_the_service_key_is_told(tmp_path: Path) -> None:
    scene = Scene(5)
    scene.summaries = {"realtime": summary("realtime", role="service_role")}
    assert report(scene.write(tmp_path / "s")).to_json()["rls"] == "bypassed"
    scene.summaries = {"realtime": summary("realtime")}
    assert report(scene.write(tmp_path / "s")).to_json()["rls"] == "enforced"


def test_a_duplicate_of_tombstone_is_not_expected(tmp_path: Path) -> None:
    scene = Scene(10)
    for name in ("websocket", "realtime"):
        del scene.lines(name)[3]
    folder = scene.write(tmp_path / "s")
    rows = [
        {"epoch": EPOCH, "seq": 4, "id": scene.journal[3]["id"], "reason": "duplicate_of", "event": None},
        {"epoch": EPOCH, "seq": 9, "id": scene.journal[8]["id"], "reason": "22P05", "event": "{}"},
    ]
    write(tmp_path / "stones", rows)
    made = report(folder, tombstones=tmp_path / "stones").to_json()
    assert (made["verdict"], made["expected"], made["lost"]) == ("pass", 9, 0)
    assert made["tombstones"] == {"duplicate_of": 1, "22P05": 1}
    assert report(folder).to_json()["lost"] == 1


def test_control_events_are_not_counted(tmp_path: Path) -> None:
    scene = Scene(10)
    scene.journal[4]["event_type"] = "sys.marker"
    scene.websocket[4]["event_type"] = "sys.marker"
    del scene.realtime[4]
    for processes in (1, 2):
        made = report(scene.write(tmp_path / "s"), processes=processes).to_json()
        assert (made["verdict"], made["expected"]) == ("pass", 9)


def test_a_journal_that_holds_an_id_twice_expects_it_once(tmp_path: Path) -> None:
    scene = Scene(10)
    again = scene.journal[2] | {"epoch": "newer", "seq": 1}
    scene.journal.append(again)
    made = report(scene.write(tmp_path / "s")).to_json()
    assert (made["verdict"], made["expected"]) == ("pass", 10)
    assert any("1 ids came again" in remark for remark in made["remarks"])


def test_the_sqlite_journal_is_read_as_its_export_is(tmp_path: Path) -> None:
    async def fill() -> None:
        journal = await SqliteJournal.open(tmp_path / "journal.db")
        events = [
            make_event(
                id=line["id"],
                event_type=line["event_type"],
                timestamp=line["timestamp"],
                source=line["source"],
                data=json.dumps(line["data"]).encode(),
                arrived=START,
                default_source="h",
            )
            for line in Scene(25).journal
        ]
        await journal.append(events)
        await journal.aclose()

    asyncio.run(fill())
    entries = list(read_file(tmp_path / "journal.db"))
    lines = [
        line | {"epoch": held.epoch, "committed_at": time_text(held.committed_at)}
        for line, held in zip(Scene(25).journal, entries, strict=True)
    ]
    write(tmp_path / "websocket.ndjson", [received(line, "websocket") for line in lines[:-1]])
    for processes in (1, 2):
        made = report(tmp_path, reader=READER, processes=processes).to_json()
        assert (made["expected"], made["matched"], made["lost"]) == (25, 24, 1)
        assert made["latency_ms"]["websocket"]["p50"] == 12.0

    assert made["before_journal"]["rejected"] is None, "no state folder: nobody knows"
    (tmp_path / "clients.json").write_text("{}")
    kept = Rejected(tmp_path / "rejected.ndjson")
    kept.add(b"{}", BadEvent("", "json", "no"), source="s", offset=None, at=START)
    judged = report(tmp_path, reader=READER, bounds=Bounds(max_lost=1, min_match_percent=0, max_rejected=0))
    assert (judged.before_journal.rejected, judged.before_journal.times_replaced) == (1, 0)
    assert (judged.verdict, judged.gates[-1].name) == ("fail", "max_rejected")

    # A capture knew where it begins only later, where the table was behind: it counts from its first event, and so do losses.
    since = entries[10].committed_at
    kept.add(b"{}", BadEvent("", "json", "no"), source="s", offset=None, at=since)
    summary = {
        "complete": True,
        "from": {"epoch": entries[0].epoch, "seq": 10},
        "ready_at": time_text(since + timedelta(hours=1)),
        "stop_requested_at": time_text(since + timedelta(hours=2)),
    }
    write(tmp_path / "websocket.ndjson", [received(line, "websocket") for line in lines[10:]])
    (tmp_path / "websocket.summary.json").write_text(json.dumps(summary))
    within = report(tmp_path, reader=READER)
    assert (within.expected, within.before_journal.rejected) == (15, 1)

    with pytest.raises(Usage, match="only exports are read here"):
        report(tmp_path)


def test_what_a_rehearsal_lost_before_its_journal_stands_beside_its_captures(tmp_path: Path) -> None:
    scene = Scene(4)
    scene.journal[1]["clock"] = "arrival"
    folder = scene.write(tmp_path / "s")
    assert report(folder).before_journal.times_replaced == 1
    assert report(folder, bounds=Bounds(max_rejected=0)).verdict == "inconclusive"
    (folder / "before_journal.json").write_text('{"rejected":3,"unmapped_fields":2}')
    made = report(folder, bounds=Bounds(max_rejected=3))
    assert (made.before_journal.rejected, made.before_journal.unmapped_fields, made.verdict) == (3, 2, "pass")


@pytest.mark.parametrize("missing", ["folder", "captures", "partner", "file"])
def test_nothing_to_compare_is_a_usage_error(tmp_path: Path, missing: str) -> None:
    folder = Scene(3).write(tmp_path / "s")
    with pytest.raises(Usage):
        if missing == "folder":
            report(tmp_path / "nowhere")
        elif missing == "captures":
            report(tmp_path)
        elif missing == "partner":
            report(captures={"websocket": folder / "websocket.ndjson"})
        else:
            report(folder, journal=tmp_path / "nowhere.ndjson")


def test_a_file_that_can_not_be_read_is_a_usage_error(tmp_path: Path) -> None:
    folder = Scene(3).write(tmp_path / "s")
    (folder / "realtime.ndjson").unlink()
    (folder / "realtime.ndjson").mkdir()
    with pytest.raises(Usage, match="Is a directory"):
        report(folder)


def test_clocks_that_disagree_are_shown(tmp_path: Path) -> None:
    scene = Scene(40)
    scene.websocket = [received(line, "websocket", after_ms=-250) for line in scene.journal]
    made = report(scene.write(tmp_path / "s")).to_json()
    assert made["clock_skew_ms"]["websocket"]["at_least"] == 250.0
    assert made["clock_skew_ms"]["realtime"]["at_least"] == 0.0
    assert made["latency_ms"]["websocket"]["p50"] == -250.0
