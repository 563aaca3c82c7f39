"""Which transport a subscriber is attached to, whatever the two of them and the server do, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from migctl.subscriber.core.attachment import Attachment, Seen, Wanted
from migctl.transports.protocol import TransportName

NAMES: tuple[TransportName, ...] = ("websocket", "realtime")
GONE_S, SILENCE_S, HOLD_S = 2.0, 12.5, 10.0
name = st.sampled_from(NAMES)


class Sides(RuleBasedStateMachine):
    """The world: when each side was connected, lost or heard; and a subscriber that looks whenever it said it would."""

    @initialize(assigned=name)
    def begin(self, assigned: TransportName) -> None:
        self.now = 1000.0
        self.attachment = Attachment(assigned, gone_s=GONE_S, silence_s=SILENCE_S, hold_s=HOLD_S)
        self.seen = dict.fromkeys(NAMES, Seen(up=False, since=self.now))
        self.look()

    def look(self) -> Wanted:
        before: frozenset[TransportName] = getattr(self, "wanted", frozenset())
        wanted = self.attachment.look(self.now, self.seen)
        for side in wanted.transports - before:
            if not self.seen[side].up:
                self.seen[side] = Seen(up=False, since=self.now, heard_at=self.seen[side].heard_at)
        for side in before - wanted.transports:
            self.seen[side] = Seen(up=False, since=self.now, heard_at=self.seen[side].heard_at)
        self.wanted = wanted.transports
        self.look_at = wanted.look_at
        return wanted

    @rule(side=name)
    def connect(self, side: TransportName) -> None:
        if side in self.wanted and not self.seen[side].up:
            self.seen[side] = Seen(True, self.now, self.seen[side].heard_at)
            self.look()

    @rule(side=name)
    def lose(self, side: TransportName) -> None:
        if self.seen[side].up:
            self.seen[side] = Seen(False, self.now, self.seen[side].heard_at)
            self.look()

    @rule(side=name)
    def hear(self, side: TransportName) -> None:
        if self.seen[side].up:
            self.seen[side] = Seen(True, self.seen[side].since, self.now)

    @rule(to=name, jitter_s=st.floats(0, 2))
    def tell(self, to: TransportName, jitter_s: float) -> None:
        self.attachment.tell(to, self.now, jitter_s=jitter_s)
        self.look()

    @rule(to=name)
    def assign(self, to: TransportName) -> None:
        self.attachment.assign(to, self.now)
        self.look()

    @rule(seconds=st.floats(0.01, 30))
    def wait(self, seconds: float) -> None:
        """Time passes; the subscriber looks at the moments that it asked for."""
        until = self.now + seconds
        while self.look_at <= until:
            self.now = max(self.now, self.look_at)
            at = self.look_at
            self.look()
            assert self.look_at > at or self.look_at > self.now, "it asks for a moment that is over, for ever"
        self.now = until

    @rule()
    def both_are_well_for_long(self) -> None:
        """Whatever happened before: the server sends nobody away, both sides stay up, and only the assigned one is kept."""
        self.attachment.tell(self.attachment.assigned, self.now)
        self.look()
        for _ in range(int((HOLD_S + 5) / 0.5)):
            for side in self.wanted:
                since = self.seen[side].since if self.seen[side].up else self.now
                self.seen[side] = Seen(True, since, self.now)
            self.look()
            self.now += 0.5
        assert self.wanted == {self.attachment.assigned}

    @invariant()
    def somebody_is_always_asked_to_carry(self) -> None:
        assert self.wanted

    @rule(to_realtime=st.booleans())
    def settings_change(self, to_realtime: bool) -> None:
        self.attachment.to_realtime = to_realtime
        self.look()

    @invariant()
    def realtime_does_not_stand_in_where_it_must_not(self) -> None:
        self.look()
        if self.attachment.assigned == "websocket" and not self.attachment.to_realtime:
            assert self.wanted == {"websocket"}

    @invariant()
    def the_other_is_there_while_the_assigned_one_has_been_away_too_long(self) -> None:
        mine = self.seen[self.attachment.assigned]
        self.look()
        if not self.attachment.can_fall_back:
            return
        if not mine.up and self.now - mine.since >= GONE_S:
            assert len(self.wanted) == 2 or self.attachment.assigned not in self.wanted
        if mine.up and self.now - max(mine.since, mine.heard_at or 0.0) >= SILENCE_S:
            assert len(self.wanted) == 2 or self.attachment.assigned not in self.wanted


Sides.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSides = Sides.TestCase
