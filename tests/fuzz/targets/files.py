"""Files: settings, stages, drills, flags and experiments as an operator writes them; captures; what is kept in the state folder.

Whatever is wrong with one that an operator writes is told with file and line; nothing in it has no end.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migctl import redaction
from migctl.config import changing
from migctl.config.loading import MOST_BYTES, resolved, usable
from migctl.config.problems import Faulty, Problem
from migctl.config.yamlfile import Document
from migctl.drills.functions import checking
from migctl.errors import MigctlError, Usage
from migctl.events.jsontext import dumps
from migctl.experiments.document import checked as experiments_of
from migctl.flags.files import checked as flags_of
from migctl.flags.files import problems_of
from migctl.printable import shown
from migctl.rollout.stages import read_document as stage_of
from migctl.validate import inputs
from migctl.validate.kinds import Side, compare, fields_that_differ
from migctl.validate.lines import BadLine, blocks
from migctl.validate.lines import decode as decode_line
from migctl.validate.ours import decode_all, last_seq
from tests.fuzz.mutating import mutated_json, mutated_yaml
from tests.fuzz.target import Target
from tests.fuzz.targets.events import EPOCH, GOOD, refused

CONFIGS = Path(__file__).parents[3] / "configs"


class _Folder:
    """Made when it is first needed, and gone with the process."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def __truediv__(self, name: str) -> Path:
        if self._path is None:
            base = Path("/dev/shm")
            self._path = Path(tempfile.mkdtemp(prefix="migctl-fuzz-", dir=base if base.is_dir() else None))
            atexit.register(shutil.rmtree, self._path, ignore_errors=True)
        return self._path / name


FOLDER = _Folder()


def _written(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _told(error: MigctlError, name: str, data: bytes) -> None:
    """File and line of all that is wrong, in words that can be shown."""
    assert error.exit_code == 2
    most = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 2
    for one in error.problems if isinstance(error, Faulty) else ():
        assert isinstance(one, Problem)
        assert one.source.endswith(name), one.source
        assert one.line is None or 1 <= one.line <= most, (one.line, most)
        assert one.do
        assert len(str(one)) < 4000
        shown(f"{one}\n{one.do}").encode()
        dumps(one.document())
    shown(str(error)).encode()


def _of_operator(name: str, read: Callable[[Path], object]) -> Callable[[bytes], bool]:
    """read: of a file that an operator writes. Raises Faulty."""

    def run(data: bytes) -> bool:
        path = _written(name, data)
        try:
            read(path)
        except MigctlError as error:
            _told(error, name, data)
            return False
        finally:
            redaction.OURS.forget_all()
        return True

    return run


def _settings(path: Path) -> None:
    usable(file=path, environ={})
    resolved(file=path, environ={})


def _flags(path: Path) -> None:
    document = Document.read(path)
    for one in problems_of(document):
        assert one.what
    flags_of(document.data, document)


def _segments(path: Path) -> None:
    found = problems_of(Document.read(path))
    if found:
        raise Faulty(found)


def _experiments(path: Path) -> None:
    experiments_of(Document.read(path))


def _stage(path: Path) -> None:
    stage_of(Document.read(path, most_bytes=MOST_BYTES), path).step()


def a_setting(data: bytes) -> bool:
    """data: the name of a setting, and on the next line the value that `ctl set` gives it."""
    name, _, value = data.decode("utf-8", "replace").partition("\n")
    try:
        setting = changing.changeable(name)
        changing.overlaid(SETTINGS, {setting: changing.parsed(setting, value)})
    except Usage as error:
        shown(str(error)).encode()
        return False
    finally:
        redaction.OURS.forget_all()
    return True


def a_capture(data: bytes) -> bool:
    """data: lines of a capture or an export."""
    path = _written("c.ndjson", data)
    found, taken = [], False
    for block in blocks(path, len(data), block_bytes=256):
        for text in block.lines:
            try:
                found.append(decode_line(text))
                taken = True
            except BadLine as error:
                refused(str(error))
        if last_seq(block.lines, EPOCH, 0) is not None:
            decode_all(block.lines)
    for a in found[:3]:
        for b in found[:3]:
            try:
                compare(a, b)
                fields_that_differ(a, b)
            except ValueError as error:
                refused(str(error))
    return taken


def named(name: str, read: Callable[[], object]) -> Callable[[bytes], bool]:
    """read: of a file of ours in the state folder. Raises Usage, or takes it for none."""

    def run(data: bytes) -> bool:
        path = _written(name, data)
        try:
            return bool(read())
        except MigctlError as error:
            shown(str(error)).encode()
            return False
        finally:
            path.unlink()

    return run


def state() -> Path:
    return FOLDER / "."


SETTINGS = resolved(file=CONFIGS / "migctl.yaml", environ={}).settings
SUMMARY: dict[str, Any] = {
    "role": "anon",
    "from": {"epoch": EPOCH, "seq": 1},
    "to": {"epoch": EPOCH, "seq": 9},
    "ready_at": "2026-01-31T12:00:00Z",
    "stop_requested_at": "2026-01-31T12:01:00Z",
    "ended_at": "2026-01-31T12:01:00Z",
    "complete": True,
    "reason": "",
    "repeats_dropped": 0,
    "gaps_repaired": 0,
    "reconnects": 0,
    "discontinuities": [{"after": {"epoch": EPOCH}, "lost_from": 1, "lost_to": 2, "reason": "lost"}],
}
LINE = (
    b'{"id":"0190a000-0000-7000-8000-00000000000a","epoch":"%b","seq":7,"event_type":"cpu","timestamp":"2026-01-31T12:00:00.000000Z","source":"s","data":{"a":1},"committed_at":"2026-01-31T12:00:00.000000Z","transport":"websocket","via":"live","received_at":"2026-01-31T12:00:00.000000Z","received_mono_ns":5}\n'
    % EPOCH.encode()
)


def _yaml(folder: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((CONFIGS / folder).glob("*.yaml")))


def _values(texts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Keys and values of these files: of one kind in the place of another."""
    found = {
        part.strip()
        for text in texts
        for line in text.split(b"\n")
        for part in line.partition(b"#")[0].split(b":", 1)
    }
    return tuple(sorted(found - {b"", b"-"}))[:400]


def _by_operator(what: str, name: str, read: Callable[[Path], object], good: tuple[bytes, ...]) -> Target:
    return Target(f"YAML of {what}", _of_operator(name, read), good, words=_values(good), mutate=mutated_yaml)


FLAGS = (CONFIGS / "flags/transport.yaml").read_bytes()
RULES = json.dumps(
    {
        "flags": {
            "menu": {
                "state": "ENABLED",
                "variants": {"a": "a", "b": "b"},
                "defaultVariant": "a",
                "metadata": {"x": 1},
                "targeting": {
                    "if": [
                        {"in": [{"var": "targetingKey"}, ["ann", "bob"]]},
                        "a",
                        {"fractional": [["a", 25], ["b", 75]]},
                    ]
                },
            }
        },
        "$evaluators": {"segment.x": {"ends_with": [{"var": "targetingKey"}, "@x"]}},
    },
    indent=1,
).encode()
TARGETS = (
    _by_operator("settings", "migctl.yaml", _settings, _yaml(".")),
    _by_operator(
        "a stage",
        "2b-25.yaml",
        _stage,
        tuple(one for one in _yaml("stages") if b"\nstage: 2b-25" in b"\n" + one),
    ),
    _by_operator("a drill", "drill.yaml", checking.read, _yaml("drills")),
    _by_operator("flags", "flags.yaml", _flags, (FLAGS, RULES)),
    _by_operator("segments", "segments.yaml", _segments, ((CONFIGS / "flags/segments.yaml").read_bytes(),)),
    _by_operator(
        "experiments", "experiments.yaml", _experiments, ((CONFIGS / "flags/experiments.yaml").read_bytes(),)
    ),
    Target(
        "setting of ctl",
        a_setting,
        (b"relay.heads_apart_s\n5", b"log_level\ninfo"),
        words=(b"2026-13-01", b"[[[[", b"{", b"9" * 5000, b"[" * 2000),
    ),
    Target(
        "capture", a_capture, (LINE * 3, LINE + GOOD[0] + b"\n"), words=(b"seq", b"\n", b"data", b"timestamp")
    ),
    Target(
        "capture's line",
        a_capture,
        (LINE,),
        words=(b"seq", b"data", b"received_at", b"via"),
        mutate=mutated_json,
    ),
    Target(
        "capture's summary",
        named("x.summary.json", lambda: inputs._summary(Side.WEBSOCKET, FOLDER / "x.ndjson")),
        (json.dumps(SUMMARY).encode(),),
        mutate=mutated_json,
    ),
    Target(
        "tombstones",
        named("t.ndjson", lambda: inputs._tombstones(FOLDER / "t.ndjson")),
        (b'{"epoch":"e","seq":3,"reason":"poison","committed_at":"2026-01-31T12:00:00Z"}\n',),
        mutate=mutated_json,
    ),
)
