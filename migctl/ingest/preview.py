"""Preview: what a mapping makes of some messages, message by message, and a mapping that would fit them better. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from migctl.errors import Usage
from migctl.events import BadEvent
from migctl.events.jsontext import loads, split_object
from migctl.ingest.mapping import Mapped, Mapper, parse_map
from migctl.ingest.messages import Message
from migctl.ingest.paths import Path, format_path

# Names under which others write an event's fields, the likeliest first; compared in lower case, without - and _.
NAMES = {
    "id": ("id", "eventid", "uuid", "guid", "messageid"),
    "event_type": ("eventname", "eventtype", "type", "event", "kind", "action", "name", "topic"),
    "timestamp": (
        "timestamp", "@timestamp", "time", "eventtime", "ts", "at", "datetime", "date", "createdat", "occurredat",
        "broadcasttime", "when",
    ),
    "source": ("source", "host", "hostname", "origin", "service", "eventsource"),
    "data": ("data", "payload", "body", "detail", "details", "properties"),
}  # fmt: skip
# Of the messages of a sample, in which a field has to be.
SHARE = 0.8
MOST_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Previewed:
    """One message. found: what the mapping made of it; None where it is rejected for `reason`."""

    text: bytes
    found: Mapped | None
    reason: str | None = None

    @property
    def is_whole(self) -> bool:
        """It is an event that lacks nothing, or none by intention."""
        of = self.found
        return of is not None and not of.left_out and (of.when is None or of.when.moment is not None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """options: `--map` values. fits: how many messages would be events. whole: of them, those that lack nothing."""

    options: tuple[str, ...]
    fits: int
    whole: int


def preview(messages: Sequence[bytes], mapper: Mapper, *, arrived: datetime) -> list[Previewed]:
    """What becomes of each. Ids that would be made are made anew each time."""
    return [_previewed(text, mapper, arrived) for text in messages]


def _previewed(text: bytes, mapper: Mapper, arrived: datetime) -> Previewed:
    try:
        return Previewed(text, mapper.read(text, arrived=arrived))
    except BadEvent as error:
        return Previewed(text, None, f"{error.field}: {error.reason}" if error.field else error.reason)


def propose(messages: Sequence[bytes], mapper: Mapper, *, arrived: datetime) -> Proposal | None:
    """A mapping under which more of these would be events, or lack less; None where there is none that is better than this."""
    objects = list(_objects(messages))
    if not objects:
        return None
    now = [one for one in preview(messages, mapper, arrived=arrived) if one.found is not None]
    options = tuple(_options(objects, mapper))
    try:
        then = parse_map(options)
    except Usage:  # of paths that were found nothing is refused
        return None
    found = preview(messages, then_as(then, mapper), arrived=arrived)
    fits, whole = sum(one.found is not None for one in found), sum(one.is_whole for one in found)
    if (fits, whole) <= (len(now), sum(one.is_whole for one in now)):
        return None
    return Proposal(options, fits, whole)


def then_as(then: Mapper, mapper: Mapper) -> Mapper:
    """The paths of the one, and all else as the other has it."""
    return Mapper(
        paths=then.paths,
        ignore=mapper.ignore,
        times=mapper.times,
        default_source=mapper.default_source,
        ours=False,
        unmapped=mapper.unmapped,
        names_data=then.names_data,
    )


def _objects(messages: Sequence[bytes]) -> Iterator[Message]:
    for text in messages:
        try:
            yield Message(text, split_object(text))
        except ValueError:
            continue


def _options(objects: Sequence[Message], mapper: Mapper) -> Iterator[str]:
    def is_time(raw: bytes) -> bool:
        try:
            mapper.times.read(raw)
        except BadEvent:
            return False
        return True

    taken: list[Path] = []
    for name, fits in (
        ("event_type", _is_word),
        ("timestamp", is_time),
        ("id", _is_word),
        ("source", _is_text),
    ):
        path = _path(objects, name, fits, taken)
        if path is not None and (name != "id" or _differ(objects, path)):
            taken.append(path)
            yield f"{name}={format_path(path)}"
    data = _path(objects, "data", lambda raw: raw[:1] == b"{", taken)
    inside = {path[0] for path in taken}
    alone = (
        data is not None and all(set(one.members) <= {*inside, data[0]} for one in objects) and len(data) == 1
    )
    yield f"data={format_path(data)}" if alone and data is not None else "data=."


def _path(
    objects: Sequence[Message], name: str, fits: Callable[[bytes], bool], taken: Sequence[Path]
) -> Path | None:
    """The likeliest place: by its name, then by how near it is to the outside; it is there and fits in most of the messages."""
    counts: dict[Path, int] = {}
    for one in objects:
        for path in _paths(one):
            raw = one.get(name, path)
            if raw is not None and fits(raw):
                counts[path] = counts.get(path, 0) + 1
    wanted = NAMES[name]
    ranked = [
        (wanted.index(key), len(path), path)
        for path, count in counts.items()
        if path not in taken and count >= SHARE * len(objects) and (key := _plain(path[-1])) in wanted
    ]
    return min(ranked)[2] if ranked else None


def _paths(of: Message, path: Path = ()) -> Iterator[Path]:
    for key in of.members_of("data", path):
        yield (*path, key)
        if len(path) + 1 < MOST_DEPTH:
            yield from _paths(of, (*path, key))


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _is_word(raw: bytes) -> bool:
    return _is_text(raw) or raw[:1].isdigit()


def _is_text(raw: bytes) -> bool:
    return raw[:1] == b'"' and bool(loads(raw))


def _differ(objects: Sequence[Message], path: Path) -> bool:
    """Two events with one id are one event."""
    found = [raw for one in objects if (raw := one.get("id", path)) is not None]
    return len(found) > 1 and len(set(found)) == len(found)
