"""Editing: changes of a flag set, what they change, and whether anybody gets more of what is opened by them. Pure.

An edit takes a flag set and returns the next one, so that it can be made again on a newer one that somebody else wrote meanwhile.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

import msgspec
import yaml

from migctl.events.jsontext import quote
from migctl.flags.assignment import Switch
from migctl.flags.definitions import Flag, FlagSet, Invalid, read
from migctl.flags.segments import missing_segments, segments_of, with_segments
from migctl.flags.shares import ALL, Shares, shares_of

Edit = Callable[[FlagSet], FlagSet]


def with_flags(flag_set: FlagSet, added: FlagSet, *, replace: bool = False) -> FlagSet:
    """With the flags and evaluators of another set defined, or defined anew. replace: those that it does not have are left out."""
    if replace:
        return added
    return FlagSet(
        {**flag_set.flags, **added.flags},
        {**flag_set.evaluators, **added.evaluators},
        {**flag_set.metadata, **added.metadata},
    )


def with_state(flag_set: FlagSet, key: str, *, enabled: bool) -> FlagSet:
    """Raises Invalid where there is no such flag."""
    state = "ENABLED" if enabled else "DISABLED"
    return _with(flag_set, msgspec.structs.replace(flag_of(flag_set, key), state=state))


def with_default(flag_set: FlagSet, key: str, variant: str) -> FlagSet:
    """Raises Invalid where there is no such flag, or variant."""
    flag = flag_of(flag_set, key)
    if variant not in flag.variants:
        raise Invalid(
            ("flags", key, "defaultVariant"),
            f"{variant!r} is no variant",
            f"name one of {', '.join(flag.variants)}",
        )
    return _with(flag_set, msgspec.structs.replace(flag, default=variant))


def with_user(flag_set: FlagSet, switch: Switch, user: str, variant: str | None) -> FlagSet:
    """With a user assigned to a variant, or to none. Raises Invalid where the flag says it in words of its own."""
    shares = written(flag_set, switch)
    users = {name: has for name, has in shares.users.items() if name != user}
    if variant is not None:
        users[user] = variant
    return with_shares(flag_set, switch, msgspec.structs.replace(shares, users=users))


def with_percent(flag_set: FlagSet, switch: Switch, split: str, percent: float) -> FlagSet:
    """With the share of `all`, or of a segment, which has to be defined. Raises Invalid."""
    shares = written(flag_set, switch)
    if split == ALL:
        return with_shares(flag_set, switch, msgspec.structs.replace(shares, percent=percent))
    if missing_segments(flag_set, [split]):
        known = ", ".join(segments_of(flag_set)) or "none"
        raise Invalid(
            ("segments", split),
            "there is no such segment",
            f"known: {known}; define it: `migctl flags import` a file of segments",
        )
    return with_shares(
        flag_set, switch, msgspec.structs.replace(shares, segments={**shares.segments, split: percent})
    )


def lowered_to(flag_set: FlagSet, switch: Switch, split: str, percent: float) -> FlagSet:
    """With the share of `all`, or of a segment, at `percent` or where it stands below that. Raises Invalid."""
    return with_percent(flag_set, switch, split, min(percent, written(flag_set, switch).of(split)))


def with_shares(flag_set: FlagSet, switch: Switch, shares: Shares) -> FlagSet:
    """With the switch saying this; the flag is made where it is not there."""
    flag = flag_set.flags.get(switch.flag) or new_switch(switch)
    return _with(flag_set, msgspec.structs.replace(flag, targeting=shares.targeting()))


def with_step(
    flag_set: FlagSet, switch: Switch, percent: float, segments: Mapping[str, float], *, first: FlagSet
) -> FlagSet:
    """With the shares of a step: of all, and of each segment that it names; users and other segments stay as they are.

    first: the flag and segments that come with migctl: what nobody has defined yet is taken from there. Raises Invalid where the
    flag says it in words of its own, or nobody has defined a segment.
    """
    after = flag_set
    if switch.flag not in after.flags:
        added = first.flags.get(switch.flag) or new_switch(switch)
        after = msgspec.structs.replace(_with(after, added), metadata={**first.metadata, **after.metadata})
    missing = {name: rule for name, rule in segments_of(first).items() if missing_segments(after, [name])}
    after = with_segments(after, {name: rule for name, rule in missing.items() if name in segments})
    for name, share in segments.items():
        after = with_percent(after, switch, name, share)
    return with_percent(after, switch, ALL, percent)


def new_switch(switch: Switch) -> Flag:
    """The flag before the first: nothing is opened."""
    variants = {switch.opened: switch.opened, switch.otherwise: switch.otherwise}
    closed = Shares(switch.opened, switch.otherwise)
    return Flag(switch.flag, "ENABLED", variants, switch.otherwise, closed.targeting())


def written(flag_set: FlagSet, switch: Switch) -> Shares:
    """The shares of the switch as it is written; none opened before the first. Raises Invalid where it says something else."""
    flag = flag_set.flags.get(switch.flag)
    if flag is None:
        return Shares(switch.opened, switch.otherwise)
    shares = shares_of(flag, switch.opened, switch.otherwise)
    if shares is None:
        raise Invalid(
            ("flags", switch.flag, "targeting"),
            "it says who has what in words of its own, which only their author can change",
            "export it, edit the file, and import it again",
        )
    return shares


def flag_of(flag_set: FlagSet, key: str) -> Flag:
    """Raises Invalid where there is none."""
    flag = flag_set.flags.get(key)
    if flag is None:
        known = ", ".join(flag_set.flags) or "none yet"
        raise Invalid(("flags", key), "there is no such flag", f"known: {known}")
    return flag


def raises(before: FlagSet, after: FlagSet, switch: Switch) -> bool:
    """Whether anybody may have the opened variant after it who had not: where that is not sure, they may.

    | the switch                                                        | raises                                         |
    |-------------------------------------------------------------------|------------------------------------------------|
    | is not there, or DISABLED, after it                               | no                                             |
    | says the same, and so does each evaluator that there was          | where it was DISABLED                          |
    | says something in words of its own, before or after               | yes                                            |
    | has the opened variant as its default, and had another            | yes                                            |
    | assigns a user to the opened variant who was not                  | yes                                            |
    | no longer assigns one to the other variant                        | where any share is above 0                     |
    | names the same segments, and each evaluator that there was is the same | where a share is higher                   |
    | names others, or an evaluator is another                          | unless each share is at most the lowest before |

    What is not there, or DISABLED, before it, has opened nothing.
    """
    flag, old = after.flags.get(switch.flag), before.flags.get(switch.flag)
    if flag is None or flag.state == "DISABLED":
        return False
    alike = all(after.evaluators.get(name) == rule for name, rule in before.evaluators.items())
    if old == flag and alike:
        return False
    if old is None or old.state == "DISABLED":
        old = new_switch(switch)
    now, was = (shares_of(each, switch.opened, switch.otherwise) for each in (flag, old))
    if now is None or was is None or (flag.default == switch.opened != old.default):
        return True
    opened = {user for user, variant in now.users.items() if variant == switch.opened}
    if any(was.users.get(user) != switch.opened for user in opened):
        return True
    highest = max([now.percent, *now.segments.values()])
    if highest > 0 and not _held_back(was) <= _held_back(now):
        return True
    if list(now.segments) == list(was.segments) and alike:
        shares = [(now.percent, was.percent), (now.assigned_percent, was.assigned_percent)]
        shares += [(now.segments[name], was.segments[name]) for name in now.segments]
        return any(share > earlier for share, earlier in shares)
    return highest > min([was.percent, *was.segments.values()]) or now.assigned_percent > was.assigned_percent


def _held_back(shares: Shares) -> set[str]:
    return {user for user, variant in shares.users.items() if variant == shares.otherwise}


def checked(flag_set: FlagSet) -> FlagSet:
    """The same, read as a process will read it. Raises Invalid, also for what no record can keep."""
    document = flag_set.document()
    for name, part in (
        *flag_set.flags.items(),
        *flag_set.evaluators.items(),
        ("metadata", flag_set.metadata),
    ):
        _check_text(name, part)
    return read(document)


def _check_text(name: str, part: object) -> None:
    try:
        text = msgspec.json.encode(part)
    except (UnicodeEncodeError, RecursionError) as error:
        why = "is nested too deeply" if isinstance(error, RecursionError) else "has half a surrogate pair"
        raise Invalid((name,), why, "leave it out: no database keeps it") from None
    if b"\\u0000" in text or b"\\u0000" in quote(name):
        raise Invalid((name,), "has a NUL in it", "leave it out: no database keeps it")


def changed_parts(before: FlagSet, after: FlagSet) -> set[str]:
    """Keys of flags, and names of evaluators with `$` before them, that are not the same."""
    flags = _changed(before.flags, after.flags)
    return flags | {f"${name}" for name in _changed(before.evaluators, after.evaluators)}


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def difference(before: FlagSet, after: FlagSet) -> list[str]:
    """The lines of a unified diff of the two as YAML, without those that say where; none where they say the same."""
    old, new = (as_yaml(each).splitlines() for each in (before, after))
    lines = difflib.unified_diff(old, new, "before", "after", lineterm="", n=2)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def as_yaml(flag_set: FlagSet) -> str:
    """As a person edits it."""
    text: str = yaml.safe_dump(
        flag_set.document(), sort_keys=False, allow_unicode=True, width=132, default_flow_style=None
    )
    return text


def in_words(shares: Shares | None) -> str:
    """`25 %, segment internal 100 %, 3 users`."""
    if shares is None:
        return "a rule of its own"
    users = sum(variant == shares.opened for variant in shares.users.values())
    parts = [
        f"{shares.percent:g} %",
        *(f"segment {name} {percent:g} %" for name, percent in shares.segments.items()),
    ]
    if users:
        parts.append("1 user" if users == 1 else f"{users} users")
    return ", ".join(parts)


def share_in_words(flag_set: FlagSet, switch: Switch) -> str:
    """Of the switch as it is written."""
    flag = flag_set.flags.get(switch.flag)
    if flag is None:
        return "no flag"
    if flag.state == "DISABLED":
        return "disabled"
    return in_words(shares_of(flag, switch.opened, switch.otherwise))


def rule_in_words(flag: Flag) -> str:
    """Of any flag of two variants that is a share; else what kind of rule it has."""
    if not flag.targeting:
        return "everybody has the default"
    names = list(flag.variants)
    for opened, otherwise in (names, names[::-1]) if len(names) == 2 else ():
        shares = shares_of(flag, opened, otherwise)
        if shares is not None:
            return f"{opened} {in_words(shares)}"
    return "a rule of its own"


def only(flag_set: FlagSet, key: str) -> FlagSet:
    """One flag, with what its rule may refer to. Raises Invalid where there is none."""
    return msgspec.structs.replace(flag_set, flags={key: flag_of(flag_set, key)})


def _with(flag_set: FlagSet, flag: Flag) -> FlagSet:
    return msgspec.structs.replace(flag_set, flags={**flag_set.flags, flag.key: flag})
