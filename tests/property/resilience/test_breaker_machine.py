"""The breaker under many users at once, whose requests end, fail, or are cancelled in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migctl.resilience import Breaker, BreakerChange, BreakerRules, Leave


class Users(RuleBasedStateMachine):
    """A dependency and those who ask it. `out` holds requests that are under way, with the change before which they began."""

    @initialize(in_a_row=st.integers(1, 4), requests=st.integers(1, 8), percent=st.floats(1, 100))
    def begin(self, in_a_row: int, requests: int, percent: float) -> None:
        self.rules = BreakerRules(in_a_row, 10.0, requests, percent, 1.0, 8.0)
        self.changes: list[BreakerChange] = []
        self.breaker = Breaker(self.rules, self.changes.append)
        self.now = 100.0
        self.out: list[tuple[Leave, int]] = []
        self.failed_in_a_row = 0

    @rule()
    def ask(self) -> None:
        wait_s = self.breaker.wait_s(self.now)
        leave = self.breaker.begin(self.now)
        assert (leave is not None) == (wait_s == 0)
        if leave is not None:
            self.out.append((leave, len(self.changes)))

    @rule(seconds=st.floats(0.01, 12))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.out)
    @rule(data=st.data(), end=st.sampled_from(["answered", "failed", "cancelled"]))
    def end(self, data: st.DataObject, end: str) -> None:
        leave, began = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before, late = len(self.changes), began < len(self.changes)
        state = self.breaker.state
        if end == "answered":
            self.breaker.succeeded(self.now, leave)
        elif end == "failed":
            self.breaker.failed(self.now, "refused", leave)
        else:
            self.breaker.gave_up(self.now, leave)
        if late:
            assert len(self.changes) == before, "a request from before the last change decided something"
            return
        if state == "half_open":
            expected = {"answered": "closed", "failed": "open", "cancelled": "open"}[end]
            assert self.breaker.state == expected, "the trial decides, at once"
            if end == "cancelled":
                assert self.breaker.wait_s(self.now) == 0, "nobody would ever be the trial again"
        elif end == "answered":
            self.failed_in_a_row = 0
            assert self.breaker.state == "closed"
        elif end == "failed":
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= self.rules.consecutive_failures:
                assert self.breaker.state == "open"
        if self.breaker.state != "closed":
            self.failed_in_a_row = 0

    @rule()
    def silence(self) -> None:
        self.breaker.trip(self.now, "silent")
        assert self.breaker.state == "open"
        self.failed_in_a_row = 0

    @invariant()
    def only_one_trial_is_out(self) -> None:
        of_now = [began for _, began in self.out if began == len(self.changes)]
        if self.breaker.state == "half_open":
            assert len(of_now) == 1
        elif self.breaker.state == "open":
            assert not of_now

    @invariant()
    def it_never_stays_away_longer_than_its_bound(self) -> None:
        if self.breaker.state == "open":
            assert self.breaker.wait_s(self.now) <= self.rules.max_open_s
            assert self.breaker.reason

    @invariant()
    def changes_are_a_chain(self) -> None:
        for one, next_one in zip(self.changes, self.changes[1:], strict=False):
            assert one.after == next_one.before
            assert one.at <= next_one.at
        assert self.breaker.state == (self.changes[-1].after if self.changes else "closed")
        assert self.breaker.opened == sum(
            change.before == "closed" and change.after == "open" for change in self.changes
        )

    def teardown(self) -> None:
        """Whatever happened: once the dependency answers and time passes, requests flow again."""
        for leave, _ in self.out:
            self.breaker.gave_up(self.now, leave)
        for _ in range(2):
            self.now += self.rules.max_open_s
            leave = self.breaker.begin(self.now)
            assert leave is not None
            self.breaker.succeeded(self.now, leave)
        assert self.breaker.state == "closed"


Users.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_breaker_keeps_its_word = Users.TestCase
