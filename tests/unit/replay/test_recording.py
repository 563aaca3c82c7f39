"""Recordings: ours and foreign ones, as streams, with the facts of a dry run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migctl.errors import Usage
from migctl.events import Entry, Event, encode_entry
from migctl.ingest import parse_map
from migctl.replay.recording import Facts, Reading, Recording, survey
from tests.kit import needs

ARRIVED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
MAPS = {
    "github-events": [
        "id=.id",
        "event_type=.type",
        "timestamp=.created_at",
        "source=.repo.name",
        "data=.payload",
    ],
    "cloudtrail": [
        "id=.eventID",
        "event_type=.eventName",
        "timestamp=.eventTime",
        "source=.eventSource",
        "data=.",
    ],
    "nab-cloudwatch-metrics": ["event_type=.file", "timestamp=.timestamp", "source=.file", "data=."],
}


def recorded_stream(name: str) -> Recording:
    return Recording(needs.recording(DATA / f"{name}.ndjson"), mapper=parse_map(MAPS[name]))


def facts_of(path: Path, *options: str, **more: object) -> Facts:
    return survey(Recording(path, mapper=parse_map(options)), arrived=ARRIVED, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "count", "steps_back", "types"),
    [("github-events", 800, 2, 15), ("cloudtrail", 310, 198, 54), ("nab-cloudwatch-metrics", 23_734, 0, 8)],
)
def test_each_recording_maps_as_its_readme_says(name: str, count: int, steps_back: int, types: int) -> None:
    facts = survey(recorded_stream(name), arrived=ARRIVED)
    assert facts.reading.events == facts.reading.lines == count
    assert (facts.reading.rejected, facts.duplicate_ids, facts.without_time) == (0, 0, 0)
    assert facts.steps_back == steps_back
    assert len(facts.by_event_type) == types


def test_github_payloads_come_out_byte_for_byte() -> None:
    recording = recorded_stream("github-events")
    lines = recording.path.read_bytes().split(b"\n")
    for recorded in recording.read(arrived=ARRIVED):
        whole = json.loads(lines[recorded.line - 1])
        payload = json.dumps(whole["payload"], separators=(",", ":"), ensure_ascii=False).encode()
        assert recorded.event.data == payload
        assert recorded.event.source_id == whole["id"]


def test_whole_lines_as_data_keep_the_spelling_of_numbers() -> None:
    recording = recorded_stream("nab-cloudwatch-metrics")
    lines = recording.path.read_bytes().split(b"\n")
    assert all(item.event.data == lines[item.line - 1] for item in recording.read(arrived=ARRIVED))


def test_a_line_without_id_has_the_same_id_in_every_reading_and_another_than_its_neighbour(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"type":"x","data":{}}\n' * 3)
    first, second = ([item.event.id for item in Recording(path).read(arrived=ARRIVED)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


def test_our_own_export_is_read_without_a_mapping_and_control_events_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    event = Event(
        id="0192f0c1-2222-7333-8444-000000000001",
        event_type="x",
        timestamp=ARRIVED,
        source="s",
        data=b'{"a": 1.50}',
        clock="arrival",
        source_id="17",
    )
    marker = Event(id=event.id[:-1] + "2", event_type="sys.marker", timestamp=ARRIVED, source="s", data=b"{}")
    entries = [
        Entry(event=item, epoch="e", seq=seq, committed_at=ARRIVED)
        for seq, item in enumerate((event, marker), 1)
    ]
    path.write_bytes(b"".join(encode_entry(entry) + b"\n" for entry in entries))
    reading = Reading()
    (found,) = Recording(path).read(arrived=datetime.now(UTC), reading=reading)
    assert found.event == event
    assert found.at == ARRIVED  # the time of arrival then is a recorded time now
    assert (reading.events, reading.control, reading.rejected) == (1, 1, 0)


def test_bad_lines_are_counted_with_line_and_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"type":"x","data":{}}\ngarbage\n\n{"type":"x","data":7}\n{"type":"y","data":{}}\n')
    facts = facts_of(path)
    assert (facts.reading.events, facts.reading.rejected, facts.without_time) == (2, 2, 2)
    assert [line for line, _ in facts.reading.reasons] == [2, 4]
    assert facts.reading.reasons[1][1] == "data: expected a JSON object, got a number"


def test_what_a_map_leaves_out_is_counted_and_without_one_nothing_is(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"type":"x","n":5,"timestamp":81234.5,"data":{}}\n' * 3)
    facts = facts_of(path, "event_type=.type", "data=.data")
    assert facts.document()["unmapped"] == {".n": 3}
    assert facts.document()["times_replaced"] == facts.without_time == 3
    assert facts_of(path).reading.unmapped.total() == 0


def test_a_torn_last_line_is_told_apart_from_a_bad_one(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"type":"x","data":{}}\n{"type":"x","da')
    facts = facts_of(path)
    assert facts.reading.torn_last_line
    assert (facts.reading.events, facts.reading.rejected) == (1, 0)
    path.write_bytes(b'{"type":"x","data":{}}\n{"type":"x","data":{}}')
    assert facts_of(path).reading.events == 2
    assert not facts_of(path).reading.torn_last_line


def test_a_dry_run_tells_span_steps_back_duplicates_and_expected_time(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    times = ["12:00:00", "12:00:10", "12:00:05", "12:10:00", "12:00:00"]
    path.write_text(
        "".join(f'{{"id":"{n % 4}","t":"x","at":"2026-01-01 {at}"}}\n' for n, at in enumerate(times))
    )
    facts = facts_of(path, "id=.id", "event_type=.t", "timestamp=.at", "data=.", speed=10.0, max_wait_s=5.0)
    assert facts.span_s == 600
    assert (facts.steps_back, facts.largest_step_back_s) == (2, 600)
    assert facts.duplicate_ids == 1
    assert facts.expected_s == pytest.approx(1 + 5)
    document = json.loads(json.dumps(facts.document()))
    assert (document["count"], document["first"], document["last"]) == (
        5,
        "2026-01-01T12:00:00.000000Z",
        "2026-01-01T12:00:00.000000Z",
    )


def test_an_empty_recording_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"")
    facts = facts_of(path)
    assert (facts.reading.events, facts.first, facts.span_s, facts.expected_s) == (0, None, 0.0, 0.0)


@pytest.mark.parametrize("name", ["missing.ndjson", "."])
def test_a_file_that_can_t_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"missing|Is a directory"):
        facts_of(tmp_path / name)
