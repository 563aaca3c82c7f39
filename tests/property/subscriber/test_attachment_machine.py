"""Which transport a subscriber is attached to, whatever the two of them and the server do, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from migctl.events import Position
from migctl.subscriber.core.attachment import Attachment, Observed, Reach, Wanted
from migctl.transports import wire
from migctl.transports.protocol import TransportName

NAMES: tuple[TransportName, ...] = ("websocket", "realtime")
GONE_S, HOLD_S = 2.0, 10.0
SILENCE_S = wire.silence_s(wire.GATEWAY_HEARTBEAT_S)
name = st.sampled_from(NAMES)


class Sides(RuleBasedStateMachine):
    """The world: when each side was connected, lost or heard; and a subscriber that decides whenever it has to."""

    attachment_class = Attachment

    @initialize(assigned=name)
    def begin(self, assigned: TransportName) -> None:
        self.now = 1000.0
        self.attachment = self.attachment_class(assigned, gone_s=GONE_S, hold_s=HOLD_S)
        self.observed = dict.fromkeys(NAMES, Observed(up=False, since=self.now))
        self.reach = Reach(Position("E", 0))
        self.decide()

    def decide(self) -> Wanted:
        before: frozenset[TransportName] = getattr(self, "wanted", frozenset())
        was_moving = self.attachment.moving
        wanted = self.attachment.decide(self.now, self.observed, self.reach)
        if was_moving and not self.attachment.moving and not self.attachment.fallen:
            # The one so far is left, or kept for another reason; the new one carries.
            mine = self.observed[self.attachment.assigned]
            assert (mine.up, self.reach.owes and self.attachment.assigned == "realtime") == (True, False)
            assert mine.heard_at is not None
            assert mine.heard_at >= mine.since
        for side in wanted.transports - before:
            if not self.observed[side].up:
                self.observed[side] = Observed(
                    up=False, since=self.now, heard_at=self.observed[side].heard_at
                )
        for side in before - wanted.transports:
            self.observed[side] = Observed(up=False, since=self.now, heard_at=self.observed[side].heard_at)
        self.wanted = wanted.transports
        self.until = wanted.until
        return wanted

    @rule(side=name)
    def connect(self, side: TransportName) -> None:
        if side in self.wanted and not self.observed[side].up:
            self.observed[side] = Observed(True, self.now, self.observed[side].heard_at)
            self.decide()

    @rule(side=name)
    def lose(self, side: TransportName) -> None:
        if self.observed[side].up:
            self.observed[side] = Observed(False, self.now, self.observed[side].heard_at)
            self.decide()

    @rule(side=name)
    def hear(self, side: TransportName) -> None:
        if self.observed[side].up:
            self.observed[side] = Observed(True, self.observed[side].since, self.now)

    @rule(to=name, jitter_s=st.floats(0, 2))
    def redirect(self, to: TransportName, jitter_s: float) -> None:
        self.attachment.redirect(to, self.now, jitter_s=jitter_s)
        self.decide()

    @rule(to=name)
    def assign(self, to: TransportName) -> None:
        self.attachment.assign(to)
        self.decide()

    @rule(known=st.integers(0, 3), owes=st.booleans())
    def fall_behind(self, known: int, owes: bool) -> None:
        assert self.reach.top is not None
        self.reach = Reach(self.reach.top, self.reach.top.seq + known, owes)
        self.decide()

    @rule()
    def catch_up(self) -> None:
        assert self.reach.top is not None
        top = Position("E", max(self.reach.top.seq, self.reach.known))
        self.reach = Reach(top, top.seq)
        self.decide()

    @rule(seconds=st.floats(0.01, 30))
    def wait(self, seconds: float) -> None:
        """Time passes; the subscriber decides anew at the moments that it asked for."""
        until = self.now + seconds
        while self.until <= until:
            self.now = max(self.now, self.until)
            at = self.until
            self.decide()
            assert self.until > at or self.until > self.now, "it asks for a moment that is over, for ever"
        self.now = until

    @rule()
    def both_are_well_for_long(self) -> None:
        """Whatever happened before: the server sends nobody away, both sides stay up, and only the assigned one is kept."""
        self.attachment.redirect("realtime", self.now)
        self.catch_up()
        for _ in range(int((HOLD_S + 5) / 0.5)):
            for side in self.wanted:
                since = self.observed[side].since if self.observed[side].up else self.now
                self.observed[side] = Observed(True, since, self.now)
            self.decide()
            self.now += 0.5
        assert self.wanted == {self.attachment.assigned}

    @invariant()
    def somebody_is_always_asked_to_carry(self) -> None:
        assert self.wanted

    @rule(to_realtime=st.booleans())
    def settings_change(self, to_realtime: bool) -> None:
        self.attachment.to_realtime = to_realtime
        self.decide()

    @invariant()
    def realtime_does_not_stand_in_where_it_must_not(self) -> None:
        self.decide()
        if self.attachment.assigned == "websocket" and not self.attachment.to_realtime:
            assert self.wanted == {"websocket"} or self.attachment.moving

    @invariant()
    def the_other_is_there_while_the_assigned_one_has_been_away_too_long(self) -> None:
        mine = self.observed[self.attachment.assigned]
        self.decide()
        if not self.attachment.can_fall_back:
            return
        if not mine.up and self.now - mine.since >= GONE_S:
            assert len(self.wanted) == 2 or self.attachment.assigned not in self.wanted
        if mine.up and self.now - max(mine.since, mine.heard_at or 0.0) >= SILENCE_S:
            assert len(self.wanted) == 2 or self.attachment.assigned not in self.wanted


Sides.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSides = Sides.TestCase
