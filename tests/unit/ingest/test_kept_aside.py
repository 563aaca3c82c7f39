"""What is kept aside: rejected lines and outages."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migctl.events import BadEvent
from migctl.ingest.outages import Outages
from migctl.ingest.rejected import Rejected
from migctl.ingest.rejections import Settled, read, settle
from migctl.status import OutageStatus

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BAD = BadEvent("data", "type", "expected a JSON object, got a number")


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_rejected_line_is_kept_raw_with_reason_and_place(tmp_path: Path) -> None:
    rejected = Rejected(tmp_path / "state" / "rejected.ndjson")
    rejected.add(b'{"data": 7}', BAD, source="a.ndjson", offset=42, at=AT, id="its-own")
    rejected.add(b"\xff\x00raw", BAD, source="a.ndjson", offset=None, at=AT)
    first, second = lines_of(rejected.path)
    assert first == {
        "id": "its-own",
        "at": "2026-01-31T12:00:00.000000Z",
        "source": "a.ndjson",
        "offset": 42,
        "field": "data",
        "code": "type",
        "reason": "expected a JSON object, got a number",
        "bytes": 11,
        "text": '{"data": 7}',
    }
    assert base64.b64decode(str(second["base64"])) == b"\xff\x00raw"
    assert rejected.by_code == {"data:type": 2}


def test_beyond_its_bound_the_file_stays_and_lines_are_only_counted(tmp_path: Path) -> None:
    rejected = Rejected(tmp_path / "rejected.ndjson", max_bytes=1000)
    for _ in range(50):
        rejected.add(b"x" * 100, BAD, source="s", offset=0, at=AT)
    assert rejected.path.stat().st_size <= 1000
    kept = len(lines_of(rejected.path))
    assert kept > 0
    assert (rejected.count, rejected.not_written) == (50, 50 - kept)
    again = Rejected(rejected.path, max_bytes=1000)
    again.add(b"x" * 500, BAD, source="s", offset=0, at=AT)
    assert again.not_written == 1


def test_a_file_that_can_t_be_written_still_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    rejected = Rejected(tmp_path / "file" / "rejected.ndjson")
    rejected.add(b"x", BAD, source="s", offset=0, at=AT)
    assert (rejected.count, rejected.not_written) == (1, 1)


def test_an_outage_is_written_once_with_its_first_reason(tmp_path: Path) -> None:
    outages = Outages(tmp_path, "ws://old/ws")
    outages.begin(AT, "Connection refused")
    outages.begin(AT + timedelta(seconds=1), "another")
    assert outages.status(AT).lasting == OutageStatus(
        source="ws://old/ws", began=AT, ended=None, reason="Connection refused"
    )
    outages.end(AT + timedelta(seconds=2.5))
    assert lines_of(tmp_path / "outages.ndjson") == [
        {
            "source": "ws://old/ws",
            "from": "2026-01-31T12:00:00.000000Z",
            "to": "2026-01-31T12:00:02.500000Z",
            "reason": "Connection refused",
        }
    ]
    assert (outages.status(AT).count, outages.status(AT).total_s) == (1, 2.5)


def test_the_time_in_which_migctl_was_killed_is_an_outage(tmp_path: Path) -> None:
    before = Outages(tmp_path, "ws://old/ws")
    before.end(AT)
    before.listening(AT + timedelta(seconds=60))
    after = Outages(tmp_path, "ws://old/ws")
    after.resume(AT + timedelta(seconds=90))
    after.end(AT + timedelta(seconds=91))
    (line,) = lines_of(tmp_path / "outages.ndjson")
    assert (line["from"], line["to"]) == ("2026-01-31T12:01:00.000000Z", "2026-01-31T12:01:31.000000Z")
    assert line["reason"] == "migctl did not run"


def test_an_outage_that_was_cut_short_by_a_kill_is_still_written_whole(tmp_path: Path) -> None:
    before = Outages(tmp_path, "ws://old/ws")
    before.end(AT)
    before.begin(AT + timedelta(seconds=5), "the connection broke")
    after = Outages(tmp_path, "ws://old/ws")
    after.resume(AT + timedelta(seconds=30))
    after.begin(AT + timedelta(seconds=31), "Connection refused")
    after.end(AT + timedelta(seconds=40))
    (line,) = lines_of(tmp_path / "outages.ndjson")
    assert (line["from"], line["to"]) == ("2026-01-31T12:00:05.000000Z", "2026-01-31T12:00:40.000000Z")
    assert line["reason"] == "the connection broke"


def test_an_orderly_stop_begins_an_outage_that_the_next_start_ends(tmp_path: Path) -> None:
    before = Outages(tmp_path, "ws://old/ws")
    before.end(AT)
    before.stop(AT + timedelta(seconds=3))
    after = Outages(tmp_path, "ws://old/ws")
    after.resume(AT + timedelta(seconds=10))
    after.end(AT + timedelta(seconds=10))
    (line,) = lines_of(tmp_path / "outages.ndjson")
    assert (line["from"], line["reason"]) == ("2026-01-31T12:00:03.000000Z", "migctl was stopped")


def test_a_tap_that_is_new_has_no_outage_and_does_not_take_another_s(tmp_path: Path) -> None:
    Outages(tmp_path, "ws://one/ws").end(AT)
    other = Outages(tmp_path, "ws://two/ws")
    other.resume(AT + timedelta(seconds=10))
    other.end(AT + timedelta(seconds=10))
    assert not (tmp_path / "outages.ndjson").exists()


def test_an_outage_is_kept_in_memory_where_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    outages = Outages(tmp_path / "file", "ws://old/ws")
    outages.begin(AT, "gone")
    outages.end(AT + timedelta(seconds=1))
    assert outages.status(AT).count == 1
    assert outages.status(AT).latest[0].reason == "gone"


def test_what_waits_is_what_was_rejected_and_not_settled_over_restarts(tmp_path: Path) -> None:
    rejected = Rejected(tmp_path / "rejected.ndjson")
    for id in ("a", "b", "b"):  # read again after a crash
        rejected.add(b"{}", BAD, source="s", offset=0, at=AT, id=id)
    assert rejected.waiting() == 2
    settle(tmp_path, [Settled(id="a", at=AT, outcome="retried", event_id="e", epoch="p", seq=4)])
    assert rejected.waiting() == 1
    rejected.add(b"{}", BAD, source="s", offset=0, at=AT, id="a")
    assert rejected.waiting() == Rejected(rejected.path).waiting() == 1
    kept = read(tmp_path)
    assert [(one.line, one.of.id) for one in kept.found] == [(1, "a"), (2, "b")]
    assert [one.of.id for one in kept.waiting] == ["b"]
    assert (tmp_path / "rejected.settled.ndjson").stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_torn_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    rejected = Rejected(tmp_path / "rejected.ndjson")
    rejected.add(b"\xff", BAD, source="s", offset=None, at=AT)
    settle(tmp_path, [Settled(id="x", at=AT, outcome="retried")])
    for name in ("rejected.ndjson", "rejected.settled.ndjson"):
        with (tmp_path / name).open("ab") as file:
            file.write(b'{"id":"torn","at":"20')
    kept = read(tmp_path)
    assert ([one.of.content for one in kept.found], kept.unreadable) == ([b"\xff"], 1)
    assert rejected.waiting() == 1


def test_a_line_of_before_has_an_id_of_its_own_that_stays(tmp_path: Path) -> None:
    old = '{"at":"2026-01-31T12:00:00Z","source":"s","offset":null,"field":null,"code":"json","reason":"no","bytes":1,"text":"x"}\n'
    (tmp_path / "rejected.ndjson").write_text(old)
    (tmp_path / "rejected.ndjson").chmod(0o600)
    first, second = read(tmp_path).found[0].of, read(tmp_path).found[0].of
    assert first.id and first.id == second.id and not first.cut


def test_a_full_file_of_which_nothing_waits_makes_room_and_one_that_waits_does_not(tmp_path: Path) -> None:
    rejected = Rejected(tmp_path / "rejected.ndjson", max_bytes=600)
    ids = ("a", "b", "c")
    for id in ids:
        rejected.add(b"x" * 100, BAD, source="s", offset=0, at=AT, id=id)
    assert (rejected.not_written, rejected.waiting()) == (1, 2)
    settle(tmp_path, [Settled(id=id, at=AT, outcome="dismissed") for id in ids])
    rejected.add(b"x" * 100, BAD, source="s", offset=0, at=AT, id="d")
    assert (rejected.not_written, rejected.waiting(), Rejected(rejected.path).waiting()) == (1, 1, 1)
    assert [one.of.id for one in read(tmp_path).found] == ["d"]
    assert len((tmp_path / "rejected.1.ndjson").read_bytes().splitlines()) == 2
