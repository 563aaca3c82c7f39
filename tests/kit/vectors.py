"""Vectors: what the cores of the subscriber did in the hands of the Hypothesis machines, as JSON, for every language that has one.

    ./dev run python -m tests.kit.vectors [NAME...]     writes tests/vectors/*.ndjson anew, or those that are named

A line is one life: `[what it was made with, [[method, arguments, result, state], ...]]`. A position is `[epoch, seq]`, a release
`[epoch, seq, via, bytes of data]`, a skip `[epoch, seq]`, a head its values in the order of `HEAD_KEYS`; infinity is the text
`Infinity`. After each call the state is all that may be asked, so whoever replays a line compares both.
`tests/unit/subscriber/test_vectors.py` replays them in Python and in JavaScript.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from migctl.events import Position
from migctl.subscriber.core.attachment import Attachment, Observed, Reach, Wanted
from migctl.subscriber.core.catchup import Memory, Round, Stand, Step
from migctl.subscriber.core.liveness import Liveness, Verdict
from migctl.subscriber.core.merge import Item, Merge, Skip
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.target.chain import Head
from migctl.transports.protocol import TransportName
from tests.kit.recorded import Call, Life

NAMES = ("merge", "attachment", "catchup", "liveness", "repair", "assigned", "resuming")
FOLDER = Path(__file__).parents[1] / "vectors"


def lives(name: str) -> Iterator[Life]:
    """Those of tests/vectors/NAME.ndjson."""
    for line in (FOLDER / f"{name}.ndjson").read_text().splitlines():
        made, calls = json.loads(line)
        yield made, [tuple(call) for call in calls]


# As JSON


def plain(value: object) -> Any:
    match value:
        case float():
            return str(value).replace("inf", "Infinity") if value in (float("inf"), float("-inf")) else value
        case Position():
            return [value.epoch, value.seq]
        case Release():
            return [value.epoch, value.seq, value.via, len(value.data)]
        case Skip():
            return [value.epoch, value.seq]
        case Discontinuity():
            return [plain(value.after), plain(value.resumed), value.reason, value.lost_from, value.lost_to]
        case Wanted():
            return [sorted(value.transports), plain(value.until)]
        case Observed():
            return [
                value.up,
                value.since,
                value.heard_at,
                *([] if value == _plainly(value) else [value.silence_s, value.carries]),
            ]
        case Reach():
            return [plain(value.top), value.known, value.owes]
        case Stand():
            return [plain(value.top), plain(value.missing), value.heard]
        case Head():
            row = msgspec.to_builtins(value)
            return [row[key] for key in HEAD_KEYS]
        case msgspec.Struct():  # a step of catch-up
            fields = [plain(getattr(value, field)) for field in value.__struct_fields__]
            return [type(value).__name__, *fields]
        case Mapping():
            return {key: plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value


HEAD_KEYS = (
    "epoch", "prev_epoch", "lost_from", "lost_to", "started_at", "table_tail", "table_head", "journal_head",
)  # fmt: skip


def _plainly(value: Observed) -> Observed:
    return Observed(value.up, value.since, value.heard_at)


def state_of(of: Merge | Attachment | Round | Liveness) -> Any:
    if isinstance(of, Merge):
        counts = [of.repeats_dropped, of.gaps_repaired, of.buffers_dropped, of.put_off]
        known = [of.position, of.top, of.bytes, of.heard, of.behind, of.missing(), of.repair_at()]
        return plain([*known, *counts])
    if isinstance(of, Attachment):
        return [of.assigned, of.moving, of.fallen, of.falls, of.can_fall_back]
    if isinstance(of, Liveness):
        up, since, heard_at = (getattr(of.observed, key) for key in ("up", "since", "heard_at"))
        return plain([up, since, heard_at, of.next_at, of.reason.partition(" for ")[0]])
    return None


# Recording


class RecordedMerge(Merge):
    lives: ClassVar[list[Life]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._calls: list[Call] = []
        self.lives.append((options, self._calls))

    def _note(self, method: str, *words: object, result: object = None) -> None:
        self._calls.append((method, plain(words), plain(result), state_of(self)))

    def start(self, position: Position, now: float) -> None:
        super().start(position, now)
        self._note("start", position, now)

    def offer(self, item: Item, now: float) -> None:
        super().offer(item, now)
        self._note("offer", item, now)

    def offer_all(self, items: Sequence[Item], now: float) -> None:
        super().offer_all(items, now)
        self._note("offer_all", items, now)

    def hear(self, epoch: str, head: int, now: float) -> None:
        super().hear(epoch, head, now)
        self._note("hear", epoch, head, now)

    def name(self, epoch: str, seq: int, now: float) -> None:
        super().name(epoch, seq, now)
        self._note("name", epoch, seq, now)

    def fits(self, item: Item) -> bool:
        fits = super().fits(item)
        # `_put_next` asks itself, in the middle of a call.
        if not self._inside:
            self._note("fits", item, result=fits)
        return fits

    _inside = False

    def _put(self, item: Item) -> None:
        self._inside = True
        super()._put(item)
        self._inside = False

    def lose(self, to: int, reason: str, now: float) -> None:
        super().lose(to, reason, now)
        self._note("lose", to, reason, now)

    def next_epoch(
        self,
        position: Position,
        now: float,
        *,
        lost: tuple[int, int] | None = None,
        reason: str | None = None,
    ) -> None:
        super().next_epoch(position, now, lost=lost, reason=reason)
        self._note("next_epoch", position, now, lost, reason)

    def forget(self, epoch: str) -> None:
        super().forget(epoch)
        self._note("forget", epoch)

    def take(self, limit: int = 1000) -> list[Release | Discontinuity]:
        taken = super().take(limit)
        self._note("take", limit, result=taken)
        return taken


class RecordedAttachment(Attachment):
    lives: ClassVar[list[Life]] = []

    def __init__(self, assigned: TransportName, **options: Any) -> None:
        self._calls: list[Call] | None = None
        super().__init__(assigned, **options)
        self._calls = []
        self.lives.append(({"assigned": assigned, **options}, self._calls))

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "to_realtime" and self._calls is not None:
            self._note("set_to_realtime", value)

    def _note(self, method: str, *words: object, result: object = None) -> None:
        assert self._calls is not None
        self._calls.append((method, plain(words), plain(result), state_of(self)))

    def assign(self, assigned: TransportName) -> None:
        super().assign(assigned)
        self._note("assign", assigned)

    def redirect(self, to: TransportName, now: float, *, jitter_s: float = 0.0) -> None:
        super().redirect(to, now, jitter_s=jitter_s)
        self._note("redirect", to, now, jitter_s)

    def decide(self, now: float, observed: Mapping[TransportName, Observed], reach: Reach) -> Wanted:
        wanted = super().decide(now, observed, reach)
        self._note("decide", now, observed, reach, result=wanted)
        return wanted


class RecordedLiveness(Liveness):
    lives: ClassVar[list[Life]] = []

    def __init__(self, now: float, *, silence_s: float) -> None:
        super().__init__(now, silence_s=silence_s)
        self._calls: list[Call] = []
        self.lives.append(({"now": now, "silence_s": silence_s}, self._calls))

    def _note(self, method: str, *words: object, result: object = None) -> None:
        self._calls.append((method, plain(words), plain(result), state_of(self)))

    def start(self, now: float) -> None:
        super().start(now)
        self._note("start", now)

    def join(self, now: float, *, asks: bool = False, took_s: float | None = None) -> None:
        super().join(now, asks=asks, took_s=took_s)
        self._note("join", now, asks, took_s)

    def hear(self, now: float) -> None:
        super().hear(now)
        self._note("hear", now)

    def ask(self, now: float) -> None:
        super().ask(now)
        self._note("ask", now)

    def answer(self, now: float) -> None:
        super().answer(now)
        self._note("answer", now)

    def excuse(self, now: float) -> None:
        super().excuse(now)
        if not self._inside:
            self._note("excuse", now)

    def lose(self, now: float) -> None:
        super().lose(now)
        self._note("lose", now)

    _inside = False

    def decide(self, now: float) -> Verdict:
        self._inside = True
        verdict = super().decide(now)
        self._inside = False
        self._note("decide", now, result=verdict)
        return verdict


class RecordedRound(Round):
    """All rounds with one memory are one life."""

    lives: ClassVar[list[Life]] = []
    _by_memory: ClassVar[list[tuple[Memory, list[Call]]]] = []

    def __init__(self, memory: Memory, heads: Sequence[Head], *, to_the_end: bool = False) -> None:
        super().__init__(memory, heads, to_the_end=to_the_end)
        if not self._by_memory or self._by_memory[-1][0] is not memory:
            self._by_memory.append((memory, []))
            self.lives.append(({}, self._by_memory[-1][1]))
        self._calls = self._by_memory[-1][1]
        self._note("round", heads, to_the_end)

    def _note(self, method: str, *words: object, result: object = None) -> None:
        self._calls.append((method, plain(words), plain(result), None))

    def last(self, seq: int | None) -> None:
        super().last(seq)
        self._note("last", seq)

    def tombstones(self, items: Sequence[Item]) -> None:
        super().tombstones(items)
        self._note("tombstones", items)

    def rows(self, items: Sequence[Item]) -> None:
        super().rows(items)
        self._note("rows", items)

    def next(self, stand: Stand, now: float) -> Step | None:
        step = super().next(stand, now)
        self._note("next", stand, now, result=step)
        return step

    def ancestors(self, epoch: str) -> list[str]:
        found = super().ancestors(epoch)
        self._note("ancestors", epoch, result=found)
        return found


if __name__ == "__main__":
    from tests.kit.choosing import write

    write(*sys.argv[1:])
