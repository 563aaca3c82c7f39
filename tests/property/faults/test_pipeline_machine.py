"""Any composition of toxics that come, change and go while bytes flow: none is invented, and none turns round."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from migctl.faults import Toxic
from migctl.faults.pipeline import Pipeline
from migctl.faults.stages import Mark

_SMALL = st.integers(0, 3000)
_TAKES = ("timeout", "reset_peer", "limit_data")


def _toxic(kind: str, values: list[int]) -> Toxic:
    match kind:
        case "slicer":
            return Toxic(
                "slicer",
                {"average_size": 2 + values[0], "size_variation": 1 + values[0] // 2, "delay": values[1]},
            )
        case "latency":
            return Toxic("latency", {"latency": values[0], "jitter": values[1]})
        case "bandwidth":
            return Toxic("bandwidth", {"rate": values[0] // 100})
        case "slow_close":
            return Toxic("slow_close", {"delay": values[0]})
        case "timeout":
            return Toxic("timeout", {"timeout": values[0]})
        case "reset_peer":
            return Toxic("reset_peer", {"timeout": values[0]})
        case _:
            return Toxic("limit_data", {"bytes": values[0]})


_VALUES = st.lists(_SMALL, min_size=2, max_size=2)
_KINDS = st.sampled_from(("latency", "bandwidth", "slow_close", "slicer", *_TAKES))


class PipelineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.pipeline = Pipeline(0.01, random.Random(7).random)
        self.sent, self.got = bytearray(), bytearray()
        self.marks: list[Mark] = []
        self.armed: dict[str, tuple[int, Toxic]] = {}
        self.places = 0
        self.loses = self.ended = False

    @precondition(lambda self: not self.ended)
    @rule(size=st.integers(1, 300))
    def send(self, size: int) -> None:
        data = bytes((len(self.sent) + at) % 251 for at in range(size))
        self.sent += data
        self.pipeline.put(data, self.now)

    @precondition(lambda self: not self.ended)
    @rule()
    def end(self) -> None:
        self.ended = True
        self.pipeline.put(b"", self.now, Mark.END)

    @rule(kind=_KINDS, values=_VALUES)
    def arm(self, kind: str, values: list[int]) -> None:
        toxic = _toxic(kind, values)
        if toxic.name not in self.armed:
            self.places += 1
            self.armed[toxic.name] = self.places, toxic
            self.loses = self.loses or kind in _TAKES
            self.pipeline.install(self.places, toxic, self.now, is_open=True)

    @precondition(lambda self: self.armed)
    @rule(data=st.data(), values=_VALUES, wanted=st.booleans())
    def change(self, data: st.DataObject, values: list[int], wanted: bool) -> None:
        place, before = self.armed[data.draw(st.sampled_from(sorted(self.armed)))]
        toxic = _toxic(before.type, values)
        self.armed[toxic.name] = place, toxic
        self.pipeline.update(place, toxic, self.now, wanted=wanted)

    @precondition(lambda self: self.armed)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.armed)))
        del self.armed[name]
        self.pipeline.lift(name, self.now)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._advance()

    def _advance(self) -> None:
        before = self.now
        for piece in self.pipeline.advance(self.now):
            assert piece.at <= before
            self.got += piece.data
            if piece.mark is not None:
                self.marks.append(piece.mark)

    @invariant()
    def what_came_is_a_beginning_of_what_was_sent(self) -> None:
        assert self.sent.startswith(self.got)

    @invariant()
    def a_connection_ends_once(self) -> None:
        assert self.marks in ([], [Mark.END]) or self.marks[:-1] in ([], [Mark.END])
        assert self.loses or self.marks in ([], [Mark.END])

    def teardown(self) -> None:
        for name in list(self.armed):
            self.pipeline.lift(name, self.now)
        self.now += 100
        self._advance()
        if not self.loses:
            assert self.got == self.sent
            assert self.marks == ([Mark.END] if self.ended else [])
        self.what_came_is_a_beginning_of_what_was_sent()


PipelineMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPipeline = PipelineMachine.TestCase
