"""The checker finds what is planted: each of its names, in an otherwise good history."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.history import checker, records
from tests.crash.history.checker import check
from tests.crash.history.content import digest, draw, loads, marker_of
from tests.crash.history.records import History, Record, read

EPOCH = "e1"
COUNT = 6
HERE = Path(__file__).parent


def event(number: int) -> dict[str, Any]:
    """What everybody has of the event at seq `number`."""
    return {"m": f"m{number}", "d": f"d{number}", "s": "source", "id": f"id{number}"}


def good() -> list[Record]:
    """Three requests of two events; a reader of each kind; a reader that resumes; and an end."""
    records: list[Record] = [{"k": "run", "seed": 1, "minutes": 1}]
    for number in range(3):
        first = 2 * number + 1
        records.append(
            {
                "k": "made",
                "p": "p",
                "b": number,
                "events": [{**event(seq), "h": seq != COUNT} for seq in (first, first + 1)],
            }
        )
        records.append({"k": "send", "p": "p", "b": number, "of": None})
        records.append({"k": "lost", "p": "p", "b": number, "why": ""})
        records.append({"k": "send", "p": "p", "b": number, "of": None})
        at = [[f"m{seq}", EPOCH, seq, False, f"id{seq}"] for seq in (first, first + 1)]
        records.append({"k": "ack", "p": "p", "b": number, "at": at})
        records.append({"k": "heads", "epoch": EPOCH, "tail": 1, "head": first, "journal": first + 1})
    records.append({"k": "fault", "name": "kill serve"})
    records.append({"k": "ended", "how": "kill", "code": -9})
    records.append({"k": "ended", "how": "term", "code": 0})
    records.append({"k": "log", "errors": []})
    records.append({"k": "stranger", "door": "post", "status": 401})
    records.append({"k": "expired", "r": "changes", "over_s": 0.5})
    records.append({"k": "tool", "words": "serve", "code": 4, "right": 4, "out": ""})
    records += received("stream", [EPOCH, 0], range(1, 4))
    records += received("stream", [EPOCH, 3], range(4, COUNT + 1))
    records += captured(3)
    records.append({"k": "open", "r": "legacy", "kind": "legacy", "after": None, "run": False})
    records += [{"k": "event", "r": "legacy", **plain(seq)} for seq in range(2, COUNT + 1)]
    records.append({"k": "open", "r": "changes", "kind": "changes", "after": None, "run": False})
    records += [{"k": "event", "r": "changes", "epoch": EPOCH, "seq": seq, **event(seq)} for seq in (2, 5, 4)]
    records += [row(seq) for seq in range(1, COUNT + 1)]
    records.append({"k": "end", "epoch": EPOCH, "head": COUNT, "late": [], "problems": None})
    return records


def received(name: str, after: list[Any] | None, seqs: range) -> list[Record]:
    resume = "fresh" if after is None else "recovered"
    return [
        {"k": "open", "r": name, "kind": "stream", "after": after, "run": True},
        {"k": "hello", "r": name, "epoch": EPOCH, "head": COUNT, "tail": 1, "resume": resume, "reason": None},
        *({"k": "event", "r": name, "epoch": EPOCH, "seq": seq, **event(seq)} for seq in seqs),
        {"k": "close", "r": name, "why": ""},
    ]


def captured(first: int) -> list[Record]:
    """What a capture has from this seq on, which it was not asked for."""
    return [
        {"k": "open", "r": "capture", "kind": "dual capture", "after": None, "run": True},
        *(
            {"k": "event", "r": "capture", "epoch": EPOCH, "seq": seq, **event(seq)}
            for seq in range(first, COUNT + 1)
        ),
    ]


def plain(seq: int) -> dict[str, Any]:
    return {"m": f"m{seq}", "d": f"d{seq}"}


def row(seq: int) -> Record:
    return {
        "k": "row",
        "epoch": EPOCH,
        "seq": seq,
        "tombstone": "poison" if seq == COUNT else None,
        **event(seq),
    }


def which(records: list[Record], **fields: Any) -> int:
    """The index of the first record with these fields."""
    return next(index for index, one in enumerate(records) if fields.items() <= {**one, "at": None}.items())


def change(records: list[Record], find: dict[str, Any], **fields: Any) -> None:
    records[which(records, **find)].update(fields)


def drop(records: list[Record], **find: Any) -> None:
    del records[which(records, **find)]


def after(records: list[Record], find: dict[str, Any], *more: Record) -> None:
    at = which(records, **find) + 1
    records[at:at] = more


def again(records: list[Record], seq: int, *, duplicate: bool) -> None:
    """The first request is sent and answered once more."""
    at = [[f"m{n}", EPOCH, seq + n - 1, duplicate, f"id{n}"] for n in (1, 2)]
    after(
        records,
        {"k": "ack", "b": 2},
        {"k": "send", "p": "p", "b": 0, "of": None},
        {"k": "ack", "p": "p", "b": 0, "at": at},
    )


def lose_row(records: list[Record]) -> None:
    drop(records, k="row", seq=2)


def lose_it_everywhere(records: list[Record]) -> None:
    """The journal forgot what it had acknowledged last, and nobody ever received it."""
    records[:] = [one for one in records if not (one.get("seq", 0) > 4 or one.get("m") in ("m5", "m6"))]
    change(records, {"k": "end"}, head=4)


def only_by_the_old_protocol(records: list[Record]) -> None:
    """A request that was given up, and that the journal has not, was received all the same."""
    made = {"k": "made", "p": "p", "b": 9, "events": [{**event(9), "h": True}]}
    after(records, {"k": "run"}, made, {"k": "send", "p": "p", "b": 9, "of": None})
    after(records, {"k": "open", "r": "legacy"}, {"k": "event", "r": "legacy", **plain(9)})


def same_row_twice(records: list[Record]) -> None:
    after(records, {"k": "row", "seq": COUNT}, {**row(1), "seq": COUNT + 1})
    change(records, {"k": "end"}, head=COUNT + 1)


def out_of_order(records: list[Record]) -> None:
    """The third request stands below the second, which was acknowledged before it was sent."""
    swapped = {3: 5, 4: 6, 5: 3, 6: 4}
    for one in records:
        if one["k"] == "ack":
            one["at"] = [[m, e, swapped.get(s, s), dup, i] for m, e, s, dup, i in one["at"]]


def give_up(records: list[Record]) -> None:
    """The last request was never acknowledged."""
    drop(records, k="ack", b=2)


def half_a_request(records: list[Record]) -> None:
    give_up(records)
    records[:] = [one for one in records if one.get("m") != "m6"]
    change(records, {"k": "end"}, head=5)


def reader_without(records: list[Record], seq: int) -> None:
    drop(records, k="event", r="stream", seq=seq)


def other_event(records: list[Record]) -> None:
    change(records, {"k": "event", "r": "changes", "seq": 5}, seq=3)


def epoch_changes(records: list[Record]) -> None:
    change(records, {"k": "hello"}, epoch="e2")


def few_are_kept(records: list[Record], *, keeps: int, tail: int) -> None:
    """The journal keeps few, and a reader that asked for older ones begins at the head."""
    change(records, {"k": "run"}, keeps=keeps)
    change(records, {"k": "hello"}, tail=tail, resume="unrecoverable", reason="trimmed")
    first = which(records, k="open", r="stream")
    records[first : first + 5] = records[first : first + 2]


def gone(records: list[Record], *, tail: int) -> None:
    """A reader of pages, whose position is answered 410."""
    few_are_kept(records, keeps=2, tail=3)
    more: list[Record] = [
        {"k": "open", "r": "pages", "kind": "pages", "after": [EPOCH, 1], "run": True},
        {"k": "gone", "r": "pages", "epoch": EPOCH, "tail": tail},
        {"k": "open", "r": "pages", "kind": "pages", "after": [EPOCH, 4], "run": True},
        *({"k": "event", "r": "pages", "epoch": EPOCH, "seq": seq, **event(seq)} for seq in (5, 6)),
    ]
    at = which(records, k="open", r="legacy")
    records[at:at] = more


def unsent(records: list[Record]) -> None:
    """Somebody has an event before its producer has sent it."""
    at = which(records, k="send", b=0)
    more = {"k": "event", "r": "early", "epoch": EPOCH, "seq": 1, **event(1)}
    records[at:at] = [{"k": "open", "r": "early", "kind": "changes", "after": None, "run": False}, more]


Plant = Callable[[list[Record]], object]
PLANTED: list[tuple[str, str, Plant]] = [
    ("lost", "no row", lose_row),
    ("lost", "nowhere", lose_it_everywhere),
    ("lost", "by the journal", lambda rs: change(rs, {"k": "end"}, head=5)),
    ("lost", "only the old protocol has it", only_by_the_old_protocol),
    ("doubled", "two rows", same_row_twice),
    ("doubled", "row and tombstone", lambda rs: after(rs, {"k": "row", "seq": 6}, row(1))),
    ("doubled", "new twice", lambda rs: again(rs, 1, duplicate=False)),
    ("moved", "a retry", lambda rs: again(rs, 7, duplicate=True)),
    ("moved", "the row", lambda rs: change(rs, {"k": "row", "seq": 1}, seq=9)),
    ("order", "below an acknowledged", out_of_order),
    ("torn", "half of it", half_a_request),
    ("refused", "409", lambda rs: after(rs, {"k": "lost"}, {"k": "no", "p": "p", "b": 0, "status": 409, "body": ""})),
    ("conflict", "taken", lambda rs: after(rs, {"k": "run"}, {"k": "conflict", "status": 201})),
    ("heads", "fell", lambda rs: change(rs, {"k": "heads", "head": 3}, head=0)),
    ("heads", "the tail fell", lambda rs: change(rs, {"k": "heads"}, tail=2)),
    ("heads", "above the journal", lambda rs: change(rs, {"k": "heads", "head": 5}, journal=4)),
    ("behind", "hello", lambda rs: change(rs, {"k": "hello"}, head=5)),
    ("gap", "within", lambda rs: reader_without(rs, 2)),
    ("gap", "at a resume", lambda rs: reader_without(rs, 4)),
    ("gap", "of who skips", lambda rs: reader_without(rs, 3)),
    ("gap", "the old protocol", lambda rs: drop(rs, k="event", r="legacy", m="m4")),
    ("repeat", "within", lambda rs: change(rs, {"k": "event", "r": "stream", "seq": 2}, seq=1, **event(1))),
    ("repeat", "the old protocol", lambda rs: change(rs, {"k": "event", "r": "legacy", "m": "m4"}, **plain(3))),
    ("gap", "of a capture", lambda rs: drop(rs, k="event", r="capture", seq=4)),
    ("repeat", "of a capture", lambda rs: change(rs, {"k": "event", "r": "capture", "seq": 5}, seq=4, **event(4))),
    ("resume", "lost", lambda rs: change(rs, {"k": "hello"}, resume="unrecoverable", reason="ahead")),
    ("resume", "gone", lambda rs: gone(rs, tail=2)),
    ("trimmed", "said in a hello", lambda rs: change(rs, {"k": "hello"}, tail=3)),
    ("trimmed", "below what is kept", lambda rs: few_are_kept(rs, keeps=5, tail=3)),
    ("let in", "a post", lambda rs: change(rs, {"k": "stranger"}, status=201)),
    ("let in", "a socket", lambda rs: change(rs, {"k": "stranger"}, door="legacy", status=101)),
    ("expired", "long ago", lambda rs: change(rs, {"k": "expired"}, over_s=60.0)),
    ("refused", "a right token", lambda rs: after(rs, {"k": "lost"}, {"k": "no", "p": "p", "b": 0, "status": 401, "body": ""})),
    ("refused", "for others", lambda rs: after(rs, {"k": "lost"}, {"k": "no", "p": "p", "b": 0, "status": 429, "body": ""})),
    ("disagreement", "two events", other_event),
    ("altered", "data", lambda rs: change(rs, {"k": "event", "r": "changes"}, d="d9")),
    ("altered", "source", lambda rs: change(rs, {"k": "row", "seq": 2}, s="another")),
    ("altered", "id", lambda rs: change(rs, {"k": "event", "r": "stream"}, id="id9")),
    ("altered", "the old protocol", lambda rs: change(rs, {"k": "event", "r": "legacy"}, d="d9")),
    ("invented", "by nobody", lambda rs: change(rs, {"k": "event", "r": "changes"}, m="")),
    ("invented", "not yet sent", unsent),
    ("hole", "below the head", lose_row),
    ("tombstone", "of a good one", lambda rs: change(rs, {"k": "row", "seq": 1}, tombstone="poison")),
    ("tombstone", "none", lambda rs: change(rs, {"k": "row", "seq": COUNT}, tombstone=None)),
    ("rotated", "epoch", epoch_changes),
    ("ended", "by itself", lambda rs: change(rs, {"k": "ended"}, how="itself", code=70)),
    ("ended", "with 1", lambda rs: change(rs, {"k": "ended", "how": "term"}, code=1)),
    ("tool", "not refused", lambda rs: change(rs, {"k": "tool", "right": 4}, code=0)),
    ("log", "an error", lambda rs: change(rs, {"k": "log"}, errors=["error: an error of ours"])),
    ("late", "said", lambda rs: change(rs, {"k": "end"}, late=["table"])),
    ("late", "a reader", lambda rs: reader_without(rs, COUNT)),
    ("nothing", "no end", lambda rs: drop(rs, k="end")),
    ("nothing", "no fault", lambda rs: drop(rs, k="fault")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "plant"),
    [(name, plant) for name, _, plant in PLANTED],
    ids=[f"{name}, {how}" for name, how, _ in PLANTED],
)
def test_what_is_planted_is_found(name: str, plant: Plant) -> None:
    records = good()
    plant(records)
    assert check(records).found[name] >= 1


def test_a_good_history_has_nothing_wrong() -> None:
    report = check(good())
    assert report.violations == []
    assert report.good
    assert report.counts["acknowledged"] == COUNT
    assert report.counts["resumed"] == 2


@pytest.mark.parametrize(
    "plant",
    [
        give_up,
        lambda rs: again(rs, 1, duplicate=True),
        lambda rs: after(rs, {"k": "lost"}, {"k": "no", "p": "p", "b": 0, "status": 503, "body": ""}),
        lambda rs: after(rs, {"k": "run"}, {"k": "conflict", "status": 409}),
        lambda rs: few_are_kept(rs, keeps=3, tail=3),
        lambda rs: gone(rs, tail=3),
    ],
    ids=[
        "given up, and taken",
        "a duplicate",
        "busy",
        "a conflict refused",
        "few are kept",
        "a page that is gone",
    ],
)
def test_what_may_be_is_not_found(plant: Plant) -> None:
    records = good()
    plant(records)
    assert check(records).violations == []


def test_what_a_table_that_is_behind_has_not_yet_is_late_and_not_lost() -> None:
    records = [one for one in good() if one["k"] != "row" or one["seq"] < COUNT]
    assert check(records).found.keys() == {"lost", "hole"}
    change(records, {"k": "end"}, late=["table"])
    assert check(records).found.keys() == {"late"}


def test_every_name_of_the_checker_is_planted_and_explained() -> None:
    names = set(written_names())
    assert {name for name, *_ in PLANTED} == names
    explained = {line.split("`")[1] for line in str(checker.__doc__).splitlines() if line.startswith("| `")}
    assert explained == names


def written_names() -> Iterator[str]:
    """Every name that the checker gives to something wrong."""
    for file in ("checker.py", "runs.py"):
        for node in ast.walk(ast.parse((HERE / file).read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._wrong":
                if isinstance(node.args[0], ast.Constant):
                    yield str(node.args[0].value)
            elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                yield ast.literal_eval(node.value.elts[0])


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    with History(tmp_path / "history.ndjson") as history:
        for record in good():
            history.write(record["k"], **{key: value for key, value in record.items() if key != "k"})
    assert list(read(tmp_path / "history.ndjson")) == good()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1,"b":[2]}', '{ "b": [2.0], "a": 1e0 }', True),
        ('{"a":"\\u00e4"}', '{"a":"ä"}', True),
        ('{"a":0.1}', '{"a":0.1000000000000000055511151231}', False),
        ('{"a":-0.0}', '{"a":0}', True),
        ('{"a":"0"}', '{"a":0}', False),
        ('{"a":1e400000}', '{"a":1e400001}', False),
        ('{"a":{}}', '{"a":[]}', False),
        ('{"a":null}', "{}", False),
        ('{"a":12345678901234567890}', '{"a":12345678901234567891}', False),
    ],
)
def test_a_digest_is_the_same_for_the_same_value_and_no_other(one: str, other: str, same: bool) -> None:
    time = "2026-01-01T00:00:00Z"
    assert (digest("cpu", time, loads(one)) == digest("cpu", time, loads(other))) == same


def test_a_drawn_event_is_found_again_in_its_own_text() -> None:
    import random

    rng = random.Random(1)
    made = [draw(rng, f"m{n}", "source", with_id=n % 2 == 0) for n in range(2000)]
    for one in made:
        event = loads(one.text)
        assert marker_of(event["data"]) == one.marker
        assert digest(event["event_type"], event["timestamp"], event["data"]) == one.digest
        assert event.get("id") == one.id
    assert 0 < sum(not one.holdable for one in made) < 30
    assert len({one.digest for one in made}) == len(made)


def test_every_kind_of_record_is_explained_where_histories_are_written() -> None:
    explained = {line.split("`")[1] for line in str(records.__doc__).splitlines() if line.startswith("| `")}
    handled = {name.removeprefix("_on_") for name in vars(checker.Checker) if name.startswith("_on_")}
    assert explained == handled | {"k"}
