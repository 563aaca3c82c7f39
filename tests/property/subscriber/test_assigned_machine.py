"""What a subscriber goes by, while servers that are behind one another tell it, in any order, what they know."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from migctl.subscriber.core.assigned import BLIND, BRAKED, Answer, Assigned
from migctl.transports.protocol import TransportName

transport = st.sampled_from(["websocket", "realtime"])
SERVERS = 3


class Fleet(RuleBasedStateMachine):
    """What operators did, one after the other; servers that each know a beginning of it; and one subscriber."""

    assigned_class = Assigned

    @initialize(first=transport, braked=st.booleans())
    def begin(self, first: TransportName, braked: bool) -> None:
        self.did: list[Answer] = [Answer(first, 1, "TARGETING_MATCH")]
        if braked:
            self.brake()
        self.known = [0] * SERVERS
        self.blind = [False] * SERVERS
        self.assigned = self.assigned_class(self.did[-1])
        self.heard_brake = int(braked)  # the version of the newest brake that it heard of
        self.highest = 1

    @rule(to=transport)
    def operator_sets(self, to: TransportName) -> None:
        self.did.append(Answer(to, self.did[-1].version + 1, "TARGETING_MATCH"))

    @rule()
    def brake(self) -> None:
        """It has no version of its own: what was set stands, and holds again with the next that is set."""
        self.did.append(Answer("websocket", self.did[-1].version, BRAKED))

    @rule(server=st.integers(0, SERVERS - 1), steps=st.integers(1, 4))
    def server_learns(self, server: int, steps: int) -> None:
        self.known[server] = min(self.known[server] + steps, len(self.did) - 1)

    @rule(server=st.integers(0, SERVERS - 1))
    def server_starts_blind_or_finds_its_flags(self, server: int) -> None:
        self.blind[server] = not self.blind[server]

    def answer_of(self, server: int, fixed: TransportName | None) -> Answer:
        if fixed is not None:
            return Answer(fixed, 0, "OVERRIDE")
        if self.blind[server]:
            return Answer("realtime", 0, BLIND)
        return self.did[self.known[server]]

    @rule(server=st.integers(0, SERVERS - 1))
    def socket_says(self, server: int) -> None:
        answer = self.answer_of(server, None)
        before = self.assigned.held
        self.assigned.hear(answer)
        self.check(answer, before.transport)

    @rule(to=transport)
    def operator_sets_and_only_the_first_learns_it_and_says_so(self, to: TransportName) -> None:
        self.operator_sets(to)
        self.blind[0], self.known[0] = False, len(self.did) - 1
        for server in range(SERVERS):
            self.socket_says(server)

    @rule(server=st.integers(0, SERVERS - 1), fixed=transport)
    def socket_of_one_whose_environment_decides_says(self, server: int, fixed: TransportName) -> None:
        answer = self.answer_of(server, fixed)
        self.assigned.hear(answer)
        assert self.assigned.transport == fixed, "no flag was asked"

    @rule(server=st.integers(0, SERVERS - 1), pushed=st.booleans(), away=st.booleans())
    def it_asks(self, server: int, pushed: bool, away: bool) -> None:
        answer = self.answer_of(server, None)
        before = self.assigned.held
        self.assigned.ask(answer, pushed=pushed, away=away)
        if pushed or away:
            assert not (before.transport == "websocket" and self.assigned.transport == "realtime")
        self.check(answer, before.transport)

    def check(self, answer: Answer, before: TransportName) -> None:
        if answer.transport == "websocket":
            assert self.assigned.transport == "websocket", "down is followed whoever says it"
        if before == "websocket" and self.assigned.transport == "realtime":
            assert answer.version > self.heard_brake or answer.version == 0, (
                "who says it has not heard of the brake"
            )
            assert answer.version >= self.highest or answer.version == 0, "who says it is behind"
            braked = 0 < self.heard_brake == self.highest
            assert not (braked and answer.reason == BLIND), "who says it knows nothing"
        if answer.reason == BRAKED:
            self.heard_brake = max(self.heard_brake, answer.version)
        if self.assigned.held.version >= answer.version:
            self.highest = max(self.highest, answer.version)

    @invariant()
    def its_version_is_never_above_what_was_set(self) -> None:
        assert self.assigned.held.version <= self.did[-1].version

    @invariant()
    def a_version_that_it_heard_of_is_not_forgotten(self) -> None:
        before = getattr(self, "version_before", 0)
        assert self.assigned.held.version >= before
        self.version_before = self.assigned.held.version

    def teardown(self) -> None:
        """Once every server knows all, it goes by the last thing that an operator did."""
        if not hasattr(self, "did"):
            return
        self.operator_sets("realtime")
        self.known, self.blind = [len(self.did) - 1] * SERVERS, [False] * SERVERS
        self.socket_says(0)
        assert self.assigned.transport == "realtime"
        self.brake()
        self.server_learns(1, 1)
        self.socket_says(1)
        assert self.assigned.transport == "websocket"
        self.socket_says(0)
        assert self.assigned.transport == "websocket", "the other has not heard of the brake"


Fleet.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestFleet = Fleet.TestCase
