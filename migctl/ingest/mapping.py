"""Mapping: which parts of a foreign JSON object are an event's id, type, time, source and data, and which types are no events.

Pure. The text of `data` is cut out of the message byte for byte. Of several paths the first that is there counts; `null` is not
there, and neither is an empty text where an id, a type, a time or a source is wanted.

Without a mapping of the operator's, DEFAULT_MAP holds. It reads our own events (captures, exports, what producers post) and the
frames of legacy streams: wrapped (`type`, `data`, `timestamp`) and flat (`type`, `broadcast_time`, no `data`: then the whole
frame is the data). With one, a field that the operator does not name keeps its default, except the id: only a named id is taken,
because two events with one id are one event. Nothing is ignored unless the operator says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from migctl.config.settings import SourceSection
from migctl.errors import Usage
from migctl.events import BadEvent, Event, make_event
from migctl.events.codec import too_deep
from migctl.events.jsontext import TooDeep, loads, split_object, type_word_of
from migctl.ingest.paths import WHOLE, BadPath, Path, parse_paths
from migctl.ingest.times import Times, read_times

FIELDS = ("id", "event_type", "timestamp", "source", "data")

DEFAULT_MAP: Mapping[str, tuple[Path, ...]] = {
    "id": (("id",),),
    "event_type": (("event_type",), ("type",)),
    "timestamp": (("timestamp",), ("broadcast_time",)),
    "source": (("source",),),
    "data": (("data",), WHOLE),
}

_NUMBER_START = b"-0123456789"


@dataclass(frozen=True, slots=True)
class Mapper:
    """Turns foreign JSON into events. Build with `parse_map`.

    default_source: of events that name none; `open_source` puts the upstream's host or the file's name here.
    ours: no mapping was given, so `clock` and `source_id` of our own lines are read too.
    """

    paths: Mapping[str, tuple[Path, ...]] = field(default_factory=lambda: dict(DEFAULT_MAP))
    ignore: frozenset[str] = frozenset()
    times: Times = field(default_factory=Times)
    default_source: str | None = None
    ours: bool = True

    def named(self, source: str) -> Mapper:
        """The same mapping, with this default source unless it has one."""
        return self if self.default_source else replace(self, default_source=source)

    def event(
        self,
        text: bytes,
        *,
        arrived: datetime,
        make_id: Callable[[], str] | None = None,
        allow_control: bool = False,
    ) -> Event | None:
        """The event in `text`, or None where its type is ignored.

        arrived: aware UTC; the time of an event that has none, which then says `clock: arrival`.
        make_id: called for an event that has none; without it such an event gets a new UUIDv7.
        allow_control: take `sys.*` types too, for what migctl itself recorded.
        Raises BadEvent with the field and the reason.
        """
        try:
            members = split_object(text)
        except UnicodeDecodeError as error:
            raise BadEvent("", "json", f"not UTF-8 at byte {error.start}") from None
        except TooDeep:
            raise too_deep("") from None
        except ValueError as error:
            reason = str(error)
            raise BadEvent(
                "", "json", reason if "JSON object" in reason else f"is not JSON: {reason}"
            ) from None
        frame = _Frame(text, members)
        event_type = self._text(frame, "event_type")
        if event_type in self.ignore:
            return None
        clock = members.get("clock") if self.ours else None
        source_id = members.get("source_id") if self.ours else None
        own_id = self._text(frame, "id")
        if own_id is None and make_id is not None:
            own_id = make_id()
        return make_event(
            id=own_id,
            event_type=event_type,
            timestamp=self._time(frame),
            source=self._text(frame, "source") or self.default_source or "unknown",
            data=self._data(frame),
            arrived=arrived,
            default_source="",
            source_id=_ours("source_id", source_id),
            arrival_clock=clock == b'"arrival"',
            allow_control=allow_control,
        )

    def _text(self, frame: _Frame, name: str) -> str | None:
        for path in self.paths[name]:
            raw = frame.get(name, path)
            if raw is None or raw == b'""':
                continue
            if raw[:1] == b'"':
                return _string(name, raw)
            if raw[0] in _NUMBER_START:
                return raw.decode("ascii")
            raise BadEvent(name, "type", f"expected a string or a number, got {type_word_of(raw)}")
        return None

    def _time(self, frame: _Frame) -> datetime | None:
        for path in self.paths["timestamp"]:
            raw = frame.get("timestamp", path)
            if raw is None or raw == b'""':
                continue
            if raw[:1] == b'"':
                return self.times.of_text(_string("timestamp", raw))
            if raw[0] not in _NUMBER_START:
                raise BadEvent("timestamp", "type", f"expected a time, got {type_word_of(raw)}")
            moment = self.times.of_number(raw.decode("ascii"))
            if moment is not None:
                return moment
            # A number that YAML does not name is no wall time (a monotonic clock, a counter): the next path may have one.
        return None

    def _data(self, frame: _Frame) -> bytes | None:
        for path in self.paths["data"]:
            raw = frame.get("data", path)
            if raw is not None:
                return raw
        return None


class _Frame:
    """A message, and what has been cut out of it so far."""

    __slots__ = ("_inner", "members", "text")

    def __init__(self, text: bytes, members: dict[str, bytes]) -> None:
        self.text = text
        self.members = members
        self._inner: dict[Path, dict[str, bytes]] | None = None

    def get(self, name: str, path: Path) -> bytes | None:
        """The text at `path`; None where there is nothing, or null."""
        if len(path) == 1:
            raw = self.members.get(path[0])
        elif path:
            raw = self._members_of(name, path[:-1]).get(path[-1])
        else:
            return self.text
        return None if raw == b"null" else raw

    def _members_of(self, name: str, path: Path) -> Mapping[str, bytes]:
        if self._inner is None:
            self._inner = {}
        found = self._inner.get(path)
        if found is None:
            raw = self.get(name, path)
            if raw is None or raw[:1] != b"{":
                return {}
            try:
                found = self._inner[path] = split_object(raw)
            except ValueError as error:
                raise BadEvent(name, "json", str(error)) from None
        return found


def _string(name: str, raw: bytes) -> str:
    try:
        value = loads(raw)
    except ValueError as error:
        raise BadEvent(name, "json", str(error)) from None
    assert isinstance(value, str)
    return value


def _ours(name: str, raw: bytes | None) -> str | None:
    return _string(name, raw) if raw is not None and raw[:1] == b'"' else None


def parse_map(
    options: Sequence[str] = (), settings: SourceSection | None = None, *, ignore: Sequence[str] = ()
) -> Mapper:
    """The mapper that the operator describes. Options win over YAML, field by field; ignored types add up.

    options: `FIELD=PATH[|PATH...]`, each as one `--map` says it.
    settings: `source:` of migctl.yaml. ignore: `--ignore` values, each `TYPE,...`.
    Raises Usage that names the option or the key, and the way out.
    """
    settings = settings or SourceSection()
    given: dict[str, tuple[Path, ...]] = {}
    for name, value in settings.map.items():
        texts = [value] if isinstance(value, str) else value
        if not texts:
            raise Usage(
                f"source.map.{name}: expected a path, got an empty list",
                do="write a path, such as .timestamp",
            )
        given[_known(name, "source.map")] = tuple(
            path for text in texts for path in _paths(text, f"source.map.{name}")
        )
    given.update(_parse_options(options))
    paths = dict(DEFAULT_MAP) if not given else {**DEFAULT_MAP, "id": (), **given}
    return Mapper(
        paths=paths,
        ignore=frozenset(settings.ignore) | _parse_ignore(ignore),
        times=read_times(settings),
        ours=not given,
    )


def _parse_options(options: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    given: dict[str, tuple[Path, ...]] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise Usage(
                f"--map {option}: expected FIELD=PATH, such as event_type=.type",
                do=f"the fields are {', '.join(FIELDS)}",
            )
        name = _known(name.strip(), "--map")
        if name in given:
            raise Usage(
                f"--map {option}: {name} is mapped twice",
                do=f"write alternatives in one option: --map '{name}=.a|.b'",
            )
        given[name] = _paths(text, f"--map {option}")
    return given


def _parse_ignore(values: Sequence[str]) -> frozenset[str]:
    types = [name.strip() for value in values for name in value.split(",")]
    if "" in types:
        raise Usage(
            f"--ignore {','.join(values)!r}: expected TYPE,TYPE,..., got an empty type",
            do="remove the comma too many",
        )
    return frozenset(types)


def _known(name: str, where: str) -> str:
    if name in FIELDS:
        return name
    guess = {"type": "event_type", "time": "timestamp", "ts": "timestamp", "payload": "data"}.get(name)
    raise Usage(
        f"{where}: an event has no field {name!r}",
        do=f"did you mean {guess}?" if guess else f"the fields are {', '.join(FIELDS)}",
    )


def _paths(text: str, where: str) -> tuple[Path, ...]:
    try:
        return parse_paths(text)
    except BadPath as error:
        raise Usage(
            f"{where}: {error}",
            do='a path is ., .a.b or .["any key"], with | between alternatives; quote it for the shell',
        ) from None
