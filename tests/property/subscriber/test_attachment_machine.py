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
        self.known_at_assign = 0
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
            assert mine.carries
            assert self.reach.top is not None
            assert self.reach.top.seq >= self.known_at_assign, "what was known is not here"
        for side in wanted.transports - before:
            if not (self.observed[side].up and self.observed[side].carries):
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

    @rule(back=st.booleans())
    def a_standby_socket_is_heard_when_the_gateway_is_assigned(self, back: bool) -> None:
        """It says that the gateway is there, and brings no event."""
        if "websocket" in self.wanted:
            return
        self.observed["websocket"] = Observed(True, self.now, self.now, carries=False)
        self.decide()
        if back:
            self.attachment.assign("websocket")
            self.known_at_assign = self.reach.top.seq if self.reach.top is not None else 0
            self.attachment.decide(self.now, self.observed, self.reach)
            self.decide()

    @rule(side=name)
    def lose(self, side: TransportName) -> None:
        if self.observed[side].up:
            self.observed[side] = Observed(False, self.now, self.observed[side].heard_at)
            self.decide()

    @rule(side=name)
    def hear(self, side: TransportName) -> None:
        if self.observed[side].up:
            carries = self.observed[side].carries
            self.observed[side] = Observed(True, self.observed[side].since, self.now, carries=carries)

    @rule(to=name, jitter_s=st.floats(0, 2))
    def redirect(self, to: TransportName, jitter_s: float) -> None:
        self.attachment.redirect(to, self.now, jitter_s=jitter_s)
        self.decide()

    @rule(to=name)
    def assign(self, to: TransportName) -> None:
        if to != self.attachment.assigned:
            assert self.reach.top is not None
            self.known_at_assign = max(self.reach.top.seq, self.reach.known)
        self.attachment.assign(to)
        self.decide()

    @rule(known=st.integers(0, 3), owes=st.booleans())
    def fall_behind(self, known: int, owes: bool) -> None:
        assert self.reach.top is not None
        self.reach = Reach(self.reach.top, max(self.reach.known, self.reach.top.seq) + known, owes)
        self.decide()

    @rule(seqs=st.integers(1, 3))
    def come_forward(self, seqs: int) -> None:
        """Part of what is missing comes."""
        top, known = self.reach.top, self.reach.known
        assert top is not None
        self.reach = Reach(Position("E", min(top.seq + seqs, max(known, top.seq))), known)
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

    @rule(names=st.lists(name, min_size=2, max_size=4), owes=st.booleans())
    def it_is_assigned_to_and_fro_while_both_are_there(self, names: list[TransportName], owes: bool) -> None:
        """Moves that cut into each other, with events that come all the time and are a step behind."""
        for to in names:
            self.fall_behind(0, owes)
            self.assign(to)
            for side in NAMES:
                self.connect(side)
                self.hear(side)
            self.fall_behind(2, False)
            self.come_forward(1)

    @rule(speaks=st.booleans())
    def the_assigned_one_is_lost_and_comes_back(self, speaks: bool) -> None:
        """Connected is no proof: it has to bring something."""
        mine = self.attachment.assigned
        self.lose(mine)
        self.wait(GONE_S + 0.5)
        self.connect(mine)
        if speaks:
            self.hear(mine)
        self.wait(HOLD_S + 1)

    @rule()
    def both_are_well_for_long(self) -> None:
        """Whatever happened before: the server sends nobody away, both sides stay up, and only the assigned one is kept."""
        self.attachment.redirect("realtime", self.now)
        self.catch_up()
        for _ in range(int((HOLD_S + 5) / 0.5)):
            for side in self.wanted:
                here = self.observed[side]
                since = here.since if here.up and here.carries else self.now
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
