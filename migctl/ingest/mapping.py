"""Mapping: which parts of a foreign JSON object are an event's id, type, time, source and data, and which types are no events.

Pure. The text of `data` is cut out of the message byte for byte. Of several paths the first that is there counts; `null` is not
there, and neither is an empty text where an id, a type, a time or a source is wanted.

Without a mapping of the operator's, DEFAULT_MAP holds. It reads our own events (captures, exports, what producers post) and the
frames of legacy streams: wrapped (`type`, `data`, `timestamp`) and flat (`type`, `broadcast_time`, no `data`: then the whole
frame is the data). With one, a field that the operator does not name keeps its default, except the id: only a named id is taken,
because two events with one id are one event. Nothing is ignored unless the operator says so.

No field vanishes in silence. Where `data` would be all that is kept of a message that has more, the whole message is the data, or
it is refused, as `source.unmapped` says; where the operator names what the data is, what that leaves out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple

from migctl.config.settings import SourceSection
from migctl.errors import Usage
from migctl.events import BadEvent, Event, make_event
from migctl.events.codec import too_deep
from migctl.events.jsontext import TooDeep, loads, split_object, type_word_of
from migctl.ingest.messages import Message, left_out, ours_of
from migctl.ingest.paths import WHOLE, BadPath, Path, format_path, parse_paths
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
_NO_TIME = "none: the time of its arrival"

Unmapped = Literal["keep", "refuse", "drop"]


class When(NamedTuple):
    """moment: None is that of the arrival. how: it was read, in words. path: where it stood.

    replaced: there was one, which can't be read.
    """

    moment: datetime | None
    how: str
    path: Path | None = None
    replaced: bool = False


class Mapped(NamedTuple):
    """What became of a message. event: None where its type is ignored. left_out: paths of what the event does not have.

    kept_whole: keys for which the whole message is the data.
    """

    event: Event | None
    when: When | None = None
    left_out: tuple[str, ...] = ()
    kept_whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapper:
    """Turns foreign JSON into events. Build with `parse_map`.

    default_source: of events that name none; `open_source` puts the upstream's host or the file's name here.
    ours: no mapping was given, so `clock` and `source_id` of our own lines are read too.
    unmapped: what becomes of a message of which something would be left out. names_data: the operator says what the data is.
    """

    paths: Mapping[str, tuple[Path, ...]] = field(default_factory=lambda: dict(DEFAULT_MAP))
    ignore: frozenset[str] = frozenset()
    times: Times = field(default_factory=Times)
    default_source: str | None = None
    ours: bool = True
    unmapped: Unmapped = "keep"
    names_data: bool = False

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
        """The event of `read`, or None where its type is ignored."""
        return self.read(text, arrived=arrived, make_id=make_id, allow_control=allow_control).event

    def read(
        self,
        text: bytes,
        *,
        arrived: datetime,
        make_id: Callable[[], str] | None = None,
        allow_control: bool = False,
    ) -> Mapped:
        """The event in `text`, and what of it the event does not have.

        arrived: aware UTC; the time of an event that has none, which then says `clock: arrival`.
        make_id: called for an event that has none; without it such an event gets a new UUIDv7.
        allow_control: take `sys.*` types too, for what migctl itself recorded.
        Raises BadEvent with the field and the reason.
        """
        message = _message(text)
        used: set[Path] = set()
        event_type = self._text(message, "event_type", used)
        if event_type in self.ignore:
            return Mapped(None)
        members = message.members
        clock = members.get("clock") if self.ours else None
        source_id = members.get("source_id") if self.ours else None
        own_id = self._text(message, "id", used)
        when = self._when(message, used)
        source = self._text(message, "source", used)
        data, left = self._data(message, used)
        if own_id is None and make_id is not None:
            own_id = make_id()
        event = make_event(
            id=own_id,
            event_type=event_type,
            timestamp=when.moment,
            source=source or self.default_source or "unknown",
            data=data,
            arrived=arrived,
            default_source="",
            source_id=_ours("source_id", source_id),
            arrival_clock=clock == b'"arrival"',
            allow_control=allow_control,
        )
        kept = () if left and data is not message.text else left
        return Mapped(event, when, left if not kept else (), kept)

    def _text(self, message: Message, name: str, used: set[Path]) -> str | None:
        for path in self.paths[name]:
            raw = message.get(name, path)
            if raw is None or raw == b'""':
                used.add(path)  # nothing that could be missed
                continue
            used.add(path)
            if raw[:1] == b'"':
                return _string(name, raw)
            if raw[0] in _NUMBER_START:
                return raw.decode("ascii")
            raise BadEvent(name, "type", f"expected a string or a number, got {type_word_of(raw)}")
        return None

    def _when(self, message: Message, used: set[Path]) -> When:
        why: BadEvent | None = None
        unread: list[Path] = []
        for path in self.paths["timestamp"]:
            raw = message.get("timestamp", path)
            if raw is None or raw == b'""':
                used.add(path)
                continue
            try:
                moment, how = self.times.read(raw)
            except BadEvent as error:
                # The next path may have one: streams mix wall clocks with monotonic ones.
                why = why or error
                unread.append(path)
                continue
            used.add(path)
            return When(moment, how, path)
        if why is None:
            return When(None, _NO_TIME)
        if self.times.rejects(why):
            raise why
        used.update(unread)  # what they are is said: the event has another time
        return When(None, f"{why.reason}: the time of its arrival", unread[0], replaced=True)

    def _data(self, message: Message, used: set[Path]) -> tuple[bytes | None, tuple[str, ...]]:
        """The text of the data, and the paths of what would be left out beside it; then the whole message where that is kept."""
        for path in self.paths["data"]:
            raw = message.get("data", path)
            if raw is None:
                continue
            if not path:
                return raw, ()
            used.add(path)
            if self.ours:
                used |= ours_of(message.members)
            # As of nearly every message: each of its keys is a field.
            if all((key,) in used for key in message.members):
                return raw, ()
            left = tuple(format_path(each) for each in left_out(message, used))
            if left and self.unmapped == "refuse":
                raise BadEvent("", "unmapped", f"the mapping leaves out {', '.join(left[:20])}")
            return (message.text if left and not self.names_data and self.unmapped == "keep" else raw), left
        return None, ()


def _message(text: bytes) -> Message:
    try:
        return Message(text, split_object(text))
    except UnicodeDecodeError as error:
        raise BadEvent("", "json", f"not UTF-8 at byte {error.start}") from None
    except TooDeep:
        raise too_deep("") from None
    except ValueError as error:
        reason = str(error)
        raise BadEvent("", "json", reason if "JSON object" in reason else f"is not JSON: {reason}") from None


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
        unmapped=settings.unmapped,
        names_data="data" in given,
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
