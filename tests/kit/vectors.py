"""Vectors: what the cores of the subscriber did in the hands of the Hypothesis machines, as JSON, for every language that has one.

    ./dev run python -m tests.kit.vectors     writes tests/vectors/*.ndjson anew

A line is one life: `[what it was made with, [[method, arguments, result, state], ...]]`. A position is `[epoch, seq]`, a release
`[epoch, seq, via, bytes of data]`, a skip `[epoch, seq]`, a head its values in the order of `HEAD_KEYS`; infinity is the text
`Infinity`. After each call the state is all that may be asked, so whoever replays a line compares both.
`tests/unit/subscriber/test_vectors.py` replays them in Python and in JavaScript.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, ClassVar

import msgspec
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from migctl.events import Position
from migctl.subscriber.core.attachment import Attachment, Observed, Reach, Wanted
from migctl.subscriber.core.catchup import Memory, Round, Stand, Step
from migctl.subscriber.core.merge import Item, Merge, Skip
from migctl.subscriber.core.release import Discontinuity, Release
from migctl.target.chain import Head
from migctl.transports.protocol import TransportName

NAMES = ("merge", "attachment", "catchup")
FOLDER = Path(__file__).parents[1] / "vectors"
MOST_BYTES = 98_000
# The beginning of a long life shows enough; what is only there for what nothing else shows is shorter.
MOST_CALLS, MOST_CALLS_MORE = 400, 40

Call = tuple[str, list[Any], Any, Any]
Life = tuple[dict[str, Any], list[Call]]


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


def state_of(of: Merge | Attachment | Round) -> Any:
    if isinstance(of, Merge):
        counts = [of.repeats_dropped, of.gaps_repaired, of.buffers_dropped, of.put_off]
        known = [of.position, of.top, of.bytes, of.heard, of.behind, of.missing(), of.repair_at()]
        return plain([*known, *counts])
    if isinstance(of, Attachment):
        return [of.assigned, of.moving, of.fallen, of.falls, of.can_fall_back]
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


# Writing


def _steps(name: str, life: Life) -> set[Hashable]:
    """What it shows: each way from one instruction of a core to the next, so also what decided an `or`."""
    from tests.kit.replaying import replayed

    shown: set[Hashable] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if (
            "/subscriber/core/" not in frame.f_code.co_filename
            and "/target/chain" not in frame.f_code.co_filename
        ):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        before = [0]

        def within(frame: FrameType, event: str, _: object) -> Any:
            shown.add((frame.f_code, before[0], frame.f_lasti))
            before[0] = frame.f_lasti
            return within

        return within

    sys.settrace(trace)
    try:
        for (method, words, *_), result, _state in replayed(name, life):
            shown.add((method, str(result)[:14] if method == "next" else "", len(words)))
    finally:
        sys.settrace(None)
    return shown


def _shortened(calls: list[Call]) -> list[Call]:
    """Without what only asks the same again."""
    repeats = [one == before for before, one in pairwise([None, *calls])]
    return [one for one, again in zip(calls, repeats, strict=True) if not again][:MOST_CALLS]


def _noticing(name: str, found: list[Life]) -> list[Life]:
    """The shortest beginnings of lives that notice each of the mutations that any of them notices."""
    from tests.kit.mutations import MUTATIONS
    from tests.kit.node import JS, node

    chosen: list[Life] = []
    for mutation in (one for one in MUTATIONS if one.machine == name):
        with TemporaryDirectory() as folder:
            (Path(folder) / f"{name}.ndjson").write_text("".join(f"{_line(life)}\n" for life in found))
            done = node(JS / "replay.mjs", mutation.make(Path(folder)), folder, name, "each")
        noticed = [(found[life][0], found[life][1][: at + 1]) for life, at in json.loads(done.stdout)]
        if not noticed:
            sys.stderr.write(f"{name}: nothing notices: {mutation.what}\n")
        else:
            chosen.append(min(noticed, key=lambda life: len(_line(life))))
    return chosen


def _line(life: Life) -> str:
    return json.dumps(life, separators=(",", ":"))


def _chosen(name: str, found: list[Life]) -> list[str]:
    """Lines within the bound: those that notice mutations, then each for what few of the ones before it show."""
    cut = [(made, _shortened(calls)) for made, calls in found]
    noticing = _noticing(name, cut)
    chosen = sorted({_line(life) for life in noticing})
    shown = Counter(step for life in noticing for step in _steps(name, life))
    more = [(made, calls[:MOST_CALLS_MORE]) for made, calls in cut if len(calls) > 5]
    steps = {_line(life): _steps(name, life) for life in more}
    room = MOST_BYTES - sum(len(line) + 1 for line in chosen)
    while fitting := [line for line in steps if len(line) < room]:
        worth = {
            line: sum(0.3 ** shown[step] for step in steps[line]) / (len(line) + 500) for line in fitting
        }
        line = max(fitting, key=lambda line: (worth[line], line))
        shown.update(steps.pop(line))
        chosen.append(line)
        room -= len(line) + 1
    return chosen


def _write(name: str, machine: type[RuleBasedStateMachine], found: list[Life], examples: int) -> None:
    bound = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True, database=None
    )
    run_state_machine_as_test(machine, settings=bound)  # type: ignore[no-untyped-call]
    (FOLDER / f"{name}.ndjson").write_text("\n".join(_chosen(name, found)) + "\n")


def write() -> None:
    from tests.property.subscriber import test_attachment_machine, test_catchup_machine, test_merge_machine

    class Ticking:
        """Times that are short as text, and yet exact."""

        _now = 0.0

        @property
        def now(self) -> float:
            return self._now

        @now.setter
        def now(self, value: float) -> None:
            self._now = ceil(value * 64) / 64

    class Merging(Ticking, test_merge_machine.Reader):
        merge_class = RecordedMerge

    class Attaching(Ticking, test_attachment_machine.Sides):
        attachment_class = RecordedAttachment

    class CatchingUp(Ticking, test_catchup_machine.Reader):
        round_class = RecordedRound

    _write("merge", Merging, RecordedMerge.lives, 600)
    _write("attachment", Attaching, RecordedAttachment.lives, 1500)
    _write("catchup", CatchingUp, RecordedRound.lives, 1000)


if __name__ == "__main__":
    write()
