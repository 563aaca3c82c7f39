"""When a reader probes for what is missing, whatever comes, is refused, or is demanded, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migctl.subscriber.core.repair import PROBE_BEHIND, Probe, Repair, Wait

LEAST_PAUSE_S, MOST_PAUSE_S = PROBE_BEHIND.bound_s(1) / 2, 2.0
POLLS = (2.0, 30.0, float("inf"))
random = st.sampled_from([0.0, 0.25, 0.5, 0.75])


class Reader(RuleBasedStateMachine):
    """A gap that opens and closes, somebody who answers or does not, and a reader that decides whenever it has to."""

    repair_class = Repair

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.drawn = 0.0
        self.repair = self.repair_class(self.now, lambda: self.drawn)
        self.gap_at: float | None = None
        self.every_s = 30.0
        self.probe: Probe | None = None
        self.demanded = True  # since it last began to probe; a new reader owes one, too
        self.polled_at = self.now
        self.rests_until = float("-inf")

    @property
    def behind(self) -> bool:
        return self.gap_at is not None

    def decide(self) -> Probe | Wait:
        self.owed = self.repair.owes
        verdict = self.repair.decide(self.now, gap_at=self.gap_at, poll_every_s=self.every_s)
        if isinstance(verdict, Wait):
            assert verdict.until > self.now, "it waits for a moment that is over, for ever"
            return verdict
        polls = verdict.to_the_end and self.now >= self.polled_at + self.every_s and not self.owed
        assert self.now >= self.rests_until or self.demanded or polls, "it asks again at once"
        if self.demanded:
            assert verdict.to_the_end, "what was demanded is asked for"
        self.probe, self.demanded = verdict, False
        return verdict

    @precondition(lambda self: self.probe is None)
    @rule()
    def ask(self) -> None:
        self.decide()

    @precondition(lambda self: self.probe is not None)
    @rule(drawn=random, came_forward=st.booleans(), closed=st.booleans())
    def somebody_answers(self, drawn: float, came_forward: bool, closed: bool) -> None:
        assert self.probe is not None
        if closed:
            self.gap_at = None
        self.drawn = drawn
        self.repair.answered(self.now, self.probe, came_forward=came_forward, behind=self.behind)
        if self.probe.to_the_end and not self.demanded:
            assert not self.repair.owes, "an answer to the end is what was owed"
        if self.probe.to_the_end:
            self.polled_at = self.now
        self.rests_until = self.now + LEAST_PAUSE_S if self.behind else float("-inf")
        self.probe = None

    @precondition(lambda self: self.probe is not None)
    @rule(drawn=random)
    def nobody_answers(self, drawn: float) -> None:
        assert self.probe is not None
        self.drawn = drawn
        self.repair.failed(self.now, behind=self.behind)
        if self.probe.to_the_end:
            assert self.repair.owes, "nobody answered what was owed"
        if self.behind or self.probe.to_the_end:
            self.rests_until = self.now + LEAST_PAUSE_S
        self.probe = None

    @rule(drawn=random, times=st.integers(2, 5))
    def nobody_answers_for_long(self, drawn: float, times: int) -> None:
        pauses = []
        self.every_s = float("inf")  # one that is due ends a pause, too
        for _ in range(times):
            self.come_to_a_probe()
            asked = self.now
            self.nobody_answers(drawn)
            self.come_to_a_probe()
            pauses.append(round(self.now - asked, 6))
        if self.behind or self.repair.owes:
            assert pauses == sorted(pauses), "each pause is as long as the one before, or longer"
            assert times < 5 or pauses[-1] >= MOST_PAUSE_S / 2, "who is refused each time asks seldom"

    @rule()
    def come_to_a_probe(self) -> None:
        """Wait as long as it says, with something missing."""
        if self.gap_at is None:
            self.gap_at = self.now
        began = self.now
        while self.probe is None:
            verdict = self.decide()
            if isinstance(verdict, Wait):
                self.now = verdict.until
        assert self.now <= began + MOST_PAUSE_S, "what is missing is asked for soon"

    @rule()
    def demand(self) -> None:
        self.repair.demand()
        self.demanded = True
        assert self.repair.owes

    @rule(in_s=st.sampled_from([0.0, 0.15]))
    def a_gap_opens(self, in_s: float) -> None:
        if self.gap_at is None:
            self.gap_at = self.now + in_s

    @rule()
    def the_gap_closes(self) -> None:
        self.gap_at = None

    @rule(every_s=st.sampled_from(POLLS))
    def another_poll(self, every_s: float) -> None:
        self.every_s = every_s

    @rule(seconds=st.floats(0.01, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def wait_as_long_as_it_says(self) -> None:
        if self.probe is None:
            verdict = self.decide()
            if isinstance(verdict, Wait) and verdict.until < float("inf"):
                self.now = verdict.until
                assert isinstance(self.decide(), Probe), "it said that it asks then"

    @invariant()
    def what_was_demanded_is_owed(self) -> None:
        if self.demanded:
            assert self.repair.owes


Reader.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestReader = Reader.TestCase
