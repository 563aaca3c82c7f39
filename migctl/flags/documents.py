"""Documents: how flags, segments and what was done to them are said over HTTP. Pure."""

from __future__ import annotations

import msgspec

from migctl.flags.changelog import Entry
from migctl.flags.definitions import FlagSet
from migctl.flags.editing import rule_in_words
from migctl.flags.segments import segments_of
from migctl.flags.shares import SEGMENT
from migctl.flags.snapshot import Brake


class FlagDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A flag in flagd's format, with its key. share: what its rule gives, in words."""

    key: str
    state: str
    variants: dict[str, object]
    default_variant: str | None = msgspec.field(name="defaultVariant")
    targeting: object = msgspec.field(default_factory=dict)
    metadata: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    share: str


class SegmentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A segment: a rule by name. flags: those whose rule asks for it."""

    name: str
    rule: object
    flags: list[str]


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What this process holds. n: of the flag set. blind: the record was not reached since the start. brakes: those in force."""

    target: str
    n: int
    blind: bool
    flags: list[FlagDocument]
    brakes: list[Brake]


class OneFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag of what this process holds, and the brakes on it."""

    target: str
    n: int
    blind: bool
    flag: FlagDocument
    brakes: list[Brake]


class Segments(msgspec.Struct, frozen=True, kw_only=True):
    """Of what this process holds."""

    target: str
    n: int
    blind: bool
    segments: list[SegmentDocument]


class OneSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One segment of what this process holds."""

    target: str
    n: int
    blind: bool
    segment: SegmentDocument


class Share(msgspec.Struct, frozen=True):
    """Of the flag `transport`, in words."""

    before: str
    after: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a write did. n: of the row that has it. changed: False where nothing was written: it was so already, or a dry run.

    raises: somebody may get more of the flag `transport` by it. difference: of the flag set as YAML, line by line.
    brakes: in force before it; lifted: ids of those that it ended.
    """

    target: str
    n: int
    dry_run: bool
    changed: bool
    raises: bool
    share: Share
    difference: list[str]
    brakes: list[Brake]
    lifted: list[str]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one flag or segment, the newest first."""

    target: str
    entries: list[Entry]


def flag_document(flag_set: FlagSet, key: str) -> FlagDocument:
    """Of a flag that is there."""
    flag = flag_set.flags[key]
    return FlagDocument(
        key=key, state=flag.state, variants=dict(flag.variants), default_variant=flag.default,
        targeting=flag.targeting or {}, metadata=dict(flag.metadata), share=rule_in_words(flag),
    )  # fmt: skip


def segment_document(flag_set: FlagSet, name: str) -> SegmentDocument:
    """Of a segment that is there."""
    return SegmentDocument(name=name, rule=segments_of(flag_set)[name], flags=asking(flag_set, name))


def asking(flag_set: FlagSet, name: str) -> list[str]:
    """Keys of the flags, and names of other evaluators with `$` before, that refer to a segment."""
    wanted = f"{SEGMENT}{name}"
    flags = [key for key, flag in flag_set.flags.items() if _refers(flag.targeting, wanted)]
    return flags + [f"${other}" for other, rule in flag_set.evaluators.items() if _refers(rule, wanted)]


def _refers(rule: object, wanted: str) -> bool:
    if isinstance(rule, list):
        return any(_refers(item, wanted) for item in rule)
    if isinstance(rule, dict):
        return rule.get("$ref") == wanted or any(_refers(item, wanted) for item in rule.values())
    return False
