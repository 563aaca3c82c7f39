"""stack.json: where the stack of a state folder is, its keys, and the processes that it consists of.

Written by the supervisor only, whole or not at all, mode 0600. It stays after `down`, so that the next `up` takes the same ports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from migctl.config import Target
from migctl.config.files import read_own
from migctl.errors import Usage
from migctl.events.jsontext import loads
from migctl.stack.embedded import PARTS, Part, Ports
from migctl.stack.launcher import not_writable, write_private
from migctl.stack.process import Process
from migctl.stack.standin_process import RATES, StandinOptions

SCHEMA = "migctl.stack/1"
_TEXTS = ("supabase_url", "anon_key", "service_role_key", "database_url", "redis_url")
_KINDS = ("jwt_secret", "signing_key")  # what signs tokens of users: one by the kind of keys that is shown


@dataclass(frozen=True, slots=True)
class Record:
    """What the file says. revision: grows with each writing; errors: why a part could not be started, last time.

    note: what the operator must know of where the data are, if anything. standin: what the stand-in was started with.
    stopped: the parts that stay down until they are started by name; None of a supervisor that knows no such thing.
    """

    target: Target
    ports: Ports
    supervisor: Process
    parts: Mapping[Part, Process]
    revision: int = 1
    errors: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    standin: StandinOptions = field(default_factory=StandinOptions)
    stopped: tuple[Part, ...] | None = ()

    def down(self) -> list[Part]:
        """The parts that are not running, in the order of their start."""
        return [part for part in PARTS if part not in self.parts or not self.parts[part].alive]

    def missing(self) -> list[Part]:
        """Those of them that were not stopped."""
        return [part for part in self.down() if part not in (self.stopped or ())]


def path(state_dir: Path) -> Path:
    return state_dir / "stack.json"


def write(state_dir: Path, record: Record) -> None:
    document = {
        "schema": SCHEMA,
        "revision": record.revision,
        **{name: getattr(record.target, name) for name in (*_TEXTS, *_KINDS)},
        "ports": asdict(record.ports),
        "supervisor": asdict(record.supervisor),
        "parts": {part: asdict(process) for part, process in record.parts.items()},
        "errors": dict(record.errors),
        "note": record.note,
        "standin": asdict(record.standin),
        "stopped": list(record.stopped or ()),
    }
    write_private(path(state_dir), json.dumps(document, indent=2))


def read(state_dir: Path) -> Record | None:
    """What is known of the folder's stack; None where there never was one. Raises Usage for a file that is none of ours."""
    where = path(state_dir)
    try:
        text = read_own(where)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise not_writable(where, error) from None
    try:
        return _record(loads(text))
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError):
        raise Usage(
            f"{where}: this does not describe a stack",
            do="delete the file; `migctl stack up` writes it anew, on other ports if the old ones are still taken",
        ) from None


def _record(document: dict[str, Any]) -> Record:
    if document["schema"] != SCHEMA:
        raise ValueError(document["schema"])
    texts = {name: document[name] for name in _TEXTS}
    # A stack of before there were keys of two kinds names one.
    kinds: dict[str, Any] = {name: document.get(name) for name in _KINDS}
    if not all(isinstance(text, str) for text in texts.values()) or not any(kinds.values()):
        raise TypeError(texts)
    if not all(text is None or isinstance(text, str) for text in kinds.values()):
        raise TypeError(kinds)
    return Record(
        target=Target(**texts, **kinds, embedded=True),
        ports=Ports(**{name: int(port) for name, port in document["ports"].items()}),
        supervisor=_process(document["supervisor"]),
        parts={part: _process(document["parts"][part]) for part in PARTS if part in document["parts"]},
        revision=int(document["revision"]),
        errors=dict(document.get("errors") or {}),
        note=document.get("note"),
        standin=_options(document.get("standin") or {}),
        stopped=_parts(document["stopped"]) if "stopped" in document else None,
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """stopped: the parts that are to be down, and no others. start: those to be started where they are down."""

    stopped: tuple[Part, ...] = ()
    start: tuple[Part, ...] = ()


def write_wish(state_dir: Path, wish: Wish) -> None:
    """Leave word for the supervisor."""
    write_private(_wish_path(state_dir), json.dumps(asdict(wish)))


def read_wish(state_dir: Path) -> Wish:
    """What is wanted of single parts. Raises Usage for a file that is none of ours."""
    where = _wish_path(state_dir)
    try:
        document = loads(read_own(where))
        return Wish(_parts(document["stopped"]), _parts(document["start"]))
    except FileNotFoundError:
        return Wish()
    except OSError as error:
        raise not_writable(where, error) from None
    except (ValueError, KeyError, TypeError):
        raise Usage(f"{where}: these are no parts of a stack", do="delete the file") from None


def forget_wish(state_dir: Path) -> None:
    """A stack that starts has all of its parts."""
    _wish_path(state_dir).unlink(missing_ok=True)


def _wish_path(state_dir: Path) -> Path:
    return state_dir / "stack" / "stopped.json"


def _parts(names: Any) -> tuple[Part, ...]:
    if not isinstance(names, list) or not set(names) <= set(PARTS):
        raise ValueError(names)
    return tuple(part for part in PARTS if part in names)


def write_wanted(state_dir: Path, options: StandinOptions) -> None:
    """Leave word for the supervisor: the stand-in is to run with these options."""
    write_private(_wanted_path(state_dir), json.dumps(asdict(options)))


def read_wanted(state_dir: Path) -> StandinOptions:
    """What the stand-in is to run with. Raises Usage for a file that is none of ours."""
    where = _wanted_path(state_dir)
    try:
        return _options(loads(read_own(where)))
    except FileNotFoundError:
        return StandinOptions()
    except OSError as error:
        raise not_writable(where, error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Usage(
            f"{where}: these are no options of a stand-in",
            do="delete the file; the next command that needs the stack writes it anew",
        ) from None


def _wanted_path(state_dir: Path) -> Path:
    return state_dir / "stack" / "standin.json"


def _options(document: dict[str, Any]) -> StandinOptions:
    plain = StandinOptions()
    rates = document.get("rates", plain.rates)
    if rates not in RATES:
        raise ValueError(rates)
    return StandinOptions(
        schemas=tuple(str(name) for name in document.get("schemas", plain.schemas)), rates=rates
    )


def _process(entry: dict[str, Any]) -> Process:
    return Process(int(entry["pid"]), str(entry["born"]))
