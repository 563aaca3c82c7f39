"""stack.json: where the stack of a state folder is, its keys, and the processes that it consists of.

Written by the supervisor only, whole or not at all, mode 0600. It stays after `down`, so that the next `up` takes the same ports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from migctl.config import Target
from migctl.errors import Usage
from migctl.stack.embedded import PARTS, Part, Ports
from migctl.stack.keys import write_private
from migctl.stack.launcher import not_writable
from migctl.stack.process import Process

SCHEMA = "migctl.stack/1"


@dataclass(frozen=True, slots=True)
class Record:
    """What the file says. revision: grows with each writing; errors: why a part could not be started, last time.

    note: what the operator must be told of where the data are, if anything.
    """

    target: Target
    ports: Ports
    supervisor: Process
    parts: Mapping[Part, Process]
    revision: int = 1
    errors: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None

    def down(self) -> list[Part]:
        """The parts that are not running, in the order of their start."""
        return [part for part in PARTS if part not in self.parts or not self.parts[part].alive]


def path(state_dir: Path) -> Path:
    return state_dir / "stack.json"


def write(state_dir: Path, record: Record) -> None:
    target = asdict(record.target)
    del target["embedded"]
    document = {
        "schema": SCHEMA,
        "revision": record.revision,
        **target,
        "ports": asdict(record.ports),
        "supervisor": asdict(record.supervisor),
        "parts": {part: asdict(process) for part, process in record.parts.items()},
        "errors": dict(record.errors),
        "note": record.note,
    }
    write_private(path(state_dir), json.dumps(document, indent=2))


def read(state_dir: Path) -> Record | None:
    """What is known of the folder's stack; None where there never was one. Raises Usage for a file that is none of ours."""
    where = path(state_dir)
    try:
        text = where.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise not_writable(where, error) from None
    try:
        return _record(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Usage(
            f"{where}: this does not describe a stack",
            do="delete the file; `migctl stack up` writes it anew, on other ports if the old ones are still taken",
        ) from None


def _record(document: dict[str, Any]) -> Record:
    if document["schema"] != SCHEMA:
        raise ValueError(document["schema"])
    texts = {entry.name: document[entry.name] for entry in fields(Target) if entry.name != "embedded"}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError(texts)
    return Record(
        target=Target(**texts, embedded=True),
        ports=Ports(**{name: int(port) for name, port in document["ports"].items()}),
        supervisor=_process(document["supervisor"]),
        parts={part: _process(document["parts"][part]) for part in PARTS if part in document["parts"]},
        revision=int(document["revision"]),
        errors=dict(document.get("errors") or {}),
        note=document.get("note"),
    )


def _process(entry: dict[str, Any]) -> Process:
    return Process(int(entry["pid"]), str(entry["born"]))
