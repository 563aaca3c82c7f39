"""Recorded: the small cores of the subscriber, whose calls are noted as the lives of `tests.kit.vectors`.

Each is recorded, replayed in Python and asked for its state here; `tests/js/rules.mjs` replays the same in JavaScript. What Repair
draws at random is a word of the call that draws it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from migctl.events import Position
from migctl.subscriber.core.assigned import Answer, Assigned
from migctl.subscriber.core.repair import Probe, Repair, Wait
from migctl.subscriber.gateway.frames import Hello
from migctl.subscriber.gateway.resuming import Begin, begin

Call = tuple[str, list[Any], Any, Any]
Life = tuple[dict[str, Any], list[Call]]


def _infinite(seconds: float) -> float | str:
    return str(seconds).replace("inf", "Infinity") if seconds in (float("inf"), float("-inf")) else seconds


def _finite(word: float | str) -> float:
    return float(word)


class RecordedRepair(Repair):
    lives: ClassVar[list[Life]] = []

    def __init__(self, now: float, random: Callable[[], float]) -> None:
        self._calls: list[Call] = []
        self.lives.append(({"now": now}, self._calls))
        self._drawn = random
        super().__init__(now, random)

    def _note(self, method: str, *words: Any, result: Any = None) -> None:
        self._calls.append((method, list(words), result, self.owes))

    def demand(self) -> None:
        super().demand()
        self._note("demand")

    def decide(self, now: float, *, gap_at: float | None, poll_every_s: float) -> Probe | Wait:
        verdict = super().decide(now, gap_at=gap_at, poll_every_s=poll_every_s)
        self._note("decide", now, gap_at, _infinite(poll_every_s), result=_verdict(verdict))
        return verdict

    def answered(self, now: float, probe: Probe, *, came_forward: bool, behind: bool) -> None:
        super().answered(now, probe, came_forward=came_forward, behind=behind)
        self._note("answered", now, probe.to_the_end, came_forward, behind, self._drawn())

    def failed(self, now: float, *, behind: bool) -> None:
        super().failed(now, behind=behind)
        self._note("failed", now, behind, self._drawn())


def _verdict(verdict: Probe | Wait) -> Any:
    return ["probe", verdict.to_the_end] if isinstance(verdict, Probe) else ["wait", _infinite(verdict.until)]


class RecordedAssigned(Assigned):
    lives: ClassVar[list[Life]] = []

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._calls: list[Call] = [("first", _answer(answer), None, self._state())]
        self.lives.append(({}, self._calls))

    def _state(self) -> list[Any]:
        return [self.held.transport, self.held.version, self.held.braked]

    def hear(self, answer: Answer) -> None:
        super().hear(answer)
        self._calls.append(("heard", _answer(answer), None, self._state()))

    def ask(self, answer: Answer, *, pushed: bool, away: bool) -> None:
        super().ask(answer, pushed=pushed, away=away)
        self._calls.append(("asked", [*_answer(answer), pushed, away], None, self._state()))


def _answer(answer: Answer) -> list[Any]:
    return [answer.transport, answer.version, answer.reason]


class RecordedBegin:
    """A stream's `begin`, of one life."""

    lives: ClassVar[list[Life]] = []

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.lives.append(({}, self._calls))

    def __call__(self, hello: Hello, *, top: Position | None, wanted: Position | None, alone: bool) -> Begin:
        todo = begin(hello, top=top, wanted=wanted, alone=alone)
        words = [hello.epoch, hello.head, hello.tail, hello.resume, hello.reason]
        self._calls.append(("begin", [words, _place(top), _place(wanted), alone], _todo(todo), None))
        return todo


def _place(position: Position | None) -> Any:
    return position and [position.epoch, position.seq]


def _todo(todo: Begin) -> list[Any]:
    return [_place(todo.start), todo.lose_to, _place(todo.go_to), todo.reason, todo.keep]


# Replayed


class _Rule:
    """What is replayed: `call` answers as JSON, `state` is all that may be asked after it."""

    def call(self, method: str, words: list[Any]) -> Any:
        return getattr(self, method)(*words)

    @property
    def state(self) -> Any:
        return None


class _Repairing(_Rule):
    def __init__(self, now: float) -> None:
        self._random = 0.0
        self._repair = Repair(now, lambda: self._random)

    @property
    def state(self) -> Any:
        return self._repair.owes

    def demand(self) -> None:
        self._repair.demand()

    def decide(self, now: float, gap_at: float | None, every_s: float | str) -> Any:
        return _verdict(self._repair.decide(now, gap_at=gap_at, poll_every_s=_finite(every_s)))

    def answered(self, now: float, to_the_end: bool, came_forward: bool, behind: bool, drawn: float) -> None:
        self._random = drawn
        self._repair.answered(now, Probe(to_the_end), came_forward=came_forward, behind=behind)

    def failed(self, now: float, behind: bool, drawn: float) -> None:
        self._random = drawn
        self._repair.failed(now, behind=behind)


class _Assigning(_Rule):
    _assigned: Assigned

    @property
    def state(self) -> Any:
        held = self._assigned.held
        return [held.transport, held.version, held.braked]

    def first(self, *words: Any) -> None:
        self._assigned = Assigned(Answer(*words))

    def heard(self, *words: Any) -> None:
        self._assigned.hear(Answer(*words))

    def asked(self, transport: Any, version: int, reason: str, pushed: bool, away: bool) -> None:
        self._assigned.ask(Answer(transport, version, reason), pushed=pushed, away=away)


class _Beginning(_Rule):
    def begin(self, hello: list[Any], top: Any, wanted: Any, alone: bool) -> Any:
        places = {"top": top and Position(*top), "wanted": wanted and Position(*wanted)}
        return _todo(begin(Hello(2, *hello), alone=alone, **places))


RULES: dict[str, Callable[..., _Rule]] = {
    "repair": _Repairing,
    "assigned": _Assigning,
    "resuming": _Beginning,
}
