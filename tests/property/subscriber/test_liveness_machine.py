"""When a link is asked, left and joined anew, whatever its other end says or does not say, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migctl.subscriber.core.liveness import LATE_S, QUIET_S, Liveness

SILENCE_S = 12.5
LEAST_PATIENCE_S = 0.75
# A watcher that is not held up is this late at most.
PROMPT_S = 0.05


class Watched(RuleBasedStateMachine):
    """A link, and somebody who looks at it whenever it says so; time is eighths of seconds, so sums are exact."""

    liveness_class = Liveness

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.liveness = self.liveness_class(self.now, silence_s=SILENCE_S)
        self.signs = self.now
        self.asked = False
        self.excused = False

    @rule(asks=st.booleans(), took=st.sampled_from([None, 0.125, 0.5, 4.0]))
    @precondition(lambda self: not self.liveness.up)
    def join(self, asks: bool, took: float | None) -> None:
        self.liveness.join(self.now, asks=asks, took_s=took)
        self.signs, self.asked, self.excused = self.now, False, False
        assert self.liveness.next_at > self.now

    @rule()
    def hear(self) -> None:
        self.liveness.hear(self.now)
        if self.liveness.up:
            self.signs, self.asked, self.excused = self.now, False, False
            assert self.liveness.observed.heard_at == self.now

    @rule(times=st.integers(2, 6), apart=st.sampled_from([0.5, 2.0]))
    @precondition(lambda self: self.liveness.up)
    def hear_often(self, times: int, apart: float) -> None:
        for _ in range(times):
            self.now += apart
            self.hear()

    @rule()
    def answer(self) -> None:
        heard = self.liveness.observed.heard_at
        self.liveness.answer(self.now)
        assert self.liveness.observed.heard_at == heard
        self.asked = False

    @rule()
    def lose(self) -> None:
        self.liveness.lose(self.now)
        assert self.liveness.observed.since <= self.now
        assert self.liveness.decide(self.now) == "rejoin"

    @rule()
    def start(self) -> None:
        self.liveness.start(self.now)

    @rule()
    @precondition(lambda self: self.liveness.up)
    def hold_up(self) -> None:
        self.liveness.excuse(self.now)
        self.excused = True

    @rule(eighths=st.integers(1, 40))
    def wait(self, eighths: int) -> None:
        """Somebody looks at it in time."""
        until = self.now + eighths / 8
        while self.liveness.up and self.liveness.next_at <= until:
            self.now = max(self.now, self.liveness.next_at)
            self.look()
        self.now = max(self.now, until)

    @rule(seconds=st.sampled_from([0.5, 3.0, 30.0, 3600.0]))
    def stand_still(self, seconds: float) -> None:
        """This process does nothing for a while; then timers come before what was received."""
        due = self.liveness.next_at if self.liveness.up else None
        self.now += seconds
        if due is None or due > self.now:
            return
        verdict = self.liveness.decide(self.now)
        if self.now - due >= LATE_S and not self.asked and not self.excused:
            assert verdict in ("keep", "ask"), "nobody had a chance to hear anything"
        self.take(verdict)

    @rule()
    @precondition(lambda self: self.liveness.up)
    def look_early(self) -> None:
        if self.now < self.liveness.next_at:
            assert self.liveness.decide(self.now) == "keep"

    def look(self) -> None:
        was = self.now
        self.take(self.liveness.decide(self.now))
        if self.liveness.up:
            assert self.liveness.next_at > was

    def take(self, verdict: str) -> None:
        assert verdict in ("keep", "ask", "leave")
        if verdict == "ask":
            assert not self.asked
            assert self.now - self.signs >= QUIET_S
            self.liveness.ask(self.now)
            self.asked = True
        elif verdict == "leave":
            assert self.now - self.signs >= (QUIET_S + LEAST_PATIENCE_S if self.asked else SILENCE_S)
            self.liveness.lose(self.now)
            assert self.liveness.observed.since == self.signs, "it was lost when it was last heard"
        elif verdict == "keep" and self.now - self.signs > SILENCE_S + PROMPT_S:
            # Only who was excused may be silent for longer.
            assert self.liveness.next_at > self.now
            self.excused = True

    @invariant()
    def nobody_is_kept_for_ever(self) -> None:
        if hasattr(self, "liveness") and self.liveness.up:
            assert self.liveness.next_at <= self.now + SILENCE_S or self.liveness.next_at < float("inf")


Watched.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestWatched = Watched.TestCase
