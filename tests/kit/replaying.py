"""Replaying: the vectors' calls on the cores in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from migctl.events import Position
from migctl.subscriber.core.attachment import Attachment, Observed, Reach
from migctl.subscriber.core.catchup import Memory, Round, Stand
from migctl.subscriber.core.liveness import Liveness
from migctl.subscriber.core.merge import Item, Merge, Skip
from migctl.target.chain import Head
from tests.kit.recorded import RULES
from tests.kit.releases import WHEN, release
from tests.kit.vectors import Call, Life, plain, state_of

Replay = Callable[[str, list[Any]], object]


def item(words: list[Any]) -> Item:
    if len(words) == 2:
        return Skip(*words)
    epoch, seq, via, size = words
    return release(seq, epoch, via=via, data=b"x" * size)


def head(words: list[Any]) -> Head:
    epoch, prev, lost_from, lost_to, started_at, *far = words
    began = datetime.fromisoformat(started_at)
    return Head(epoch, prev, lost_from, lost_to, "w", 1, began, *far, WHEN)


def replaying_merge(merge: Merge) -> Replay:
    def call(method: str, words: list[Any]) -> object:
        match method, words:
            case "start", [at, now]:
                return merge.start(Position(*at), now)
            case "offer", [one, now]:
                return merge.offer(item(one), now)
            case "offer_all", [items, now]:
                return merge.offer_all([item(one) for one in items], now)
            case "fits", [one]:
                return merge.fits(item(one))
            case "next_epoch", [at, now, lost, reason]:
                return merge.next_epoch(Position(*at), now, lost=lost, reason=reason)
            case "hear" | "name" | "lose" | "forget" | "take", _:
                return getattr(merge, method)(*words)
        raise AssertionError(method)

    return call


def replaying_attachment(attachment: Attachment) -> Replay:
    def call(method: str, words: list[Any]) -> object:
        match method, words:
            case "assign", [to]:
                return attachment.assign(to)
            case "redirect", [to, now, jitter_s]:
                return attachment.redirect(to, now, jitter_s=jitter_s)
            case "set_to_realtime", [value]:
                attachment.to_realtime = value
                return None
            case "decide", [now, observed, (top, known, owes)]:
                sides = {name: Observed(*side) for name, side in observed.items()}
                return attachment.decide(now, sides, Reach(Position(*top), known, owes))  # type: ignore[arg-type]
        raise AssertionError(method)

    return call


def replaying_liveness(liveness: Liveness) -> Replay:
    def call(method: str, words: list[Any]) -> object:
        if method == "join":
            now, asks, took_s = words
            return liveness.join(now, asks=asks, took_s=took_s)
        return getattr(liveness, method)(*words)

    return call


def replaying_rounds() -> Replay:
    memory = Memory()
    rounds: list[Round] = []

    def call(method: str, words: list[Any]) -> object:
        match method, words:
            case "round", [heads, to_the_end]:
                rounds.append(Round(memory, [head(one) for one in heads], to_the_end=to_the_end))
                return None
            case "next", [(top, missing, heard), now]:
                return rounds[-1].next(Stand(Position(*top), missing and tuple(missing), heard), now)
            case "tombstones" | "rows", [items]:
                return getattr(rounds[-1], method)([item(one) for one in items])
            case "last" | "ancestors", [word]:
                return getattr(rounds[-1], method)(word)
        raise AssertionError(method)

    return call


def made(name: str, options: dict[str, Any]) -> tuple[Any, Replay]:
    """What has a state that can be asked for, and how it is called."""
    if name == "merge":
        merge = Merge(**options)
        return merge, replaying_merge(merge)
    if name == "attachment":
        attachment = Attachment(**options)
        return attachment, replaying_attachment(attachment)
    if name == "liveness":
        liveness = Liveness(**options)
        return liveness, replaying_liveness(liveness)
    return None, replaying_rounds()


def replayed(name: str, life: Life) -> Iterator[tuple[Call, object, object]]:
    """Each call with what it answers and the state after it, now."""
    options, calls = life
    if name in RULES:
        rule = RULES[name](**options)
        for recorded in calls:
            result = rule.call(recorded[0], recorded[1])
            yield recorded, result, rule.state
        return
    of, call = made(name, options)
    for recorded in calls:
        result = plain(call(recorded[0], recorded[1]))
        yield recorded, result, state_of(of)
