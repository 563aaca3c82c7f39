"""What is kept in the state folder: what can't be read is told, or is taken for nothing; it is never a trace."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from migctl.config import Target as ConfigTarget
from migctl.experiments import lines as exposures
from migctl.flags.disk import ProcessesFile, SnapshotFile, snapshot_path
from migctl.flags.snapshot import Row, Snapshot
from migctl.ingest import outages
from migctl.journal.sqlite import highwater, lock
from migctl.rollout import drills
from migctl.runtime import change_log, staged
from migctl.serve_client.control import announced
from migctl.stack import state as stack_state
from migctl.validate.witness import state as witness_state
from tests.fuzz.mutating import mutated_json
from tests.fuzz.target import Target
from tests.fuzz.targets.answers import FLAG_SET
from tests.fuzz.targets.events import NOW
from tests.fuzz.targets.files import FOLDER, named, state


def _kept(what: str, name: str, read: Callable[[], object], good: object) -> Target:
    text = good if isinstance(good, bytes) else msgspec.json.encode(good)
    return Target(f"kept {what}", named(name, read), (text,), mutate=mutated_json)


def _tap() -> bool:
    found = outages.Outages(state(), "ws://h/ws")
    found.resume(NOW)
    return found.lasting is not None


def _mark() -> object:
    return highwater.read(FOLDER / "journal.db")


def a_mark(data: bytes) -> bool:
    """data: what a mark says; it gets its checksum."""
    return named(MARK, _mark)(b"%08x %b\n" % (zlib.crc32(data.strip()), data.strip()))


ROW = Row(n=3, id="r", document=FLAG_SET)
MARK = highwater.path_of(Path("journal.db")).name
PROCESS = {"pid": 2, "born": "3"}
STACK = {
    "schema": stack_state.SCHEMA,
    "revision": 1,
    **{one.name: "x" for one in dataclasses.fields(ConfigTarget) if one.name != "embedded"},
    "ports": {one.name: 5 for one in dataclasses.fields(stack_state.Ports)},
    "supervisor": PROCESS,
    "parts": {"postgres": PROCESS},
    "errors": {},
    "note": None,
    "standin": {"schemas": ["public"], "rates": "pro"},
}
WITNESS = json.dumps(
    json.loads((Path(__file__).parents[2] / "kit/statuses/everything.json").read_bytes())["witness"]
).encode()
TARGETS = (
    _kept(
        "flags",
        snapshot_path(Path(), "t").name,
        lambda: SnapshotFile(state()).read("t"),
        Snapshot(target="t").with_row(ROW),
    ),
    _kept(
        "processes",
        "flag-processes.json",
        lambda: ProcessesFile(state()).read("t"),
        {"target": "t", "known": [], "mine": ["a"]},
    ),
    _kept("stack", stack_state.path(Path()).name, lambda: stack_state.read(state()), STACK),
    _kept(
        "exposures",
        "2026-01-31.ndjson",
        lambda: list(exposures.read_lines(FOLDER / "2026-01-31.ndjson")),
        {
            "at": "2026-01-31T12:00:00Z",
            "flag": "f",
            "user": "u",
            "assigned": "a",
            "reason": "SPLIT",
            "n": 1,
            "drawn": True,
        },
    ),
    _kept(
        "drills",
        drills.FILE,
        lambda: drills.read(state()),
        b'{"drill":"failover","verdict":"pass","finished_at":"2026-01-31T12:00:00Z","config":"x"}\n',
    ),
    _kept("witness", witness_state.STATE, lambda: witness_state.read_state(state()), WITNESS),
    _kept(
        "stage",
        staged.FILE,
        lambda: staged.kept_in(state()),
        b'{"target":"t","stage":"2b-25","completed":false}',
    ),
    _kept(
        "changes",
        change_log.FILE,
        lambda: change_log.read_changes(state()),
        b'{"at":"2026-01-31T12:00:00Z","by":"ann","act":"set","name":"log_level","before":1,"after":[2],"reason":""}\n',
    ),
    _kept(
        "outages",
        outages.FILE,
        lambda: outages.read(state()),
        b'{"source":"s","from":"2026-01-31T12:00:00Z","to":"2026-01-31T12:00:00Z","reason":"r"}',
    ),
    _kept("tap's note", "tap.seen.json", _tap, b'{"ws://h/ws":{"at":"2026-01-31T12:00:00Z","reason":"x"}}'),
    Target(
        "kept high-water mark",
        a_mark,
        (b'{"writer_id":"w","epoch":"e","head":3,"at":"2026-01-31T12:00:00Z","before":[["d",2]]}',),
        mutate=mutated_json,
    ),
    _kept(
        "announcement",
        "serve.json",
        lambda: announced(state()),
        b'{"url":"http://127.0.0.1:1","pid":1,"mode":"dual","started_at":"x"}',
    ),
    _kept(
        "lock's word", "word", lambda: lock._read((FOLDER / "word").read_bytes()), b'{"pid":1,"since":"2026"}'
    ),
)
