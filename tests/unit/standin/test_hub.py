"""Who hears a broadcast, in which form, and what the plan's rate does."""

from __future__ import annotations

from dataclasses import dataclass, field

from migctl.stack.standin.limits import PLANS, Limits
from migctl.stack.standin.realtime.frames import UserBroadcast, Version
from migctl.stack.standin.realtime.hub import TOO_MANY, Hub


@dataclass(eq=False)
class Ear:
    """A listener that keeps what it gets."""

    version: Version = "1.0.0"
    hears: bool = True
    follows: bool = True
    replayed: frozenset[str] = frozenset()
    got: list[bytes] = field(default_factory=list)
    shut: list[str] = field(default_factory=list)

    def push(self, frame: bytes) -> None:
        self.got.append(frame)

    def shut_down(self, reason: str) -> None:
        self.shut.append(reason)


def hub_with(*ears: Ear) -> Hub:
    hub = Hub(Limits(plan=PLANS["off"]))
    for ear in ears:
        hub.join("t", True, ear)
    return hub


def test_everybody_of_a_topic_hears_but_who_spoke_and_who_may_not() -> None:
    speaker, reader, denied = Ear(), Ear(), Ear(hears=False)
    hub = hub_with(speaker, reader, denied)
    assert hub.send("t", True, b'{"event":"e","payload":{}}', but=speaker) == 1
    assert [len(ear.got) for ear in (speaker, reader, denied)] == [0, 1, 0]


def test_presence_goes_to_who_may_see_it_whoever_hears() -> None:
    both, hears, follows = Ear(), Ear(follows=False), Ear(hears=False)
    hub = hub_with(both, hears, follows)
    assert hub.send("t", True, b"{}", event="presence_diff", counted=False) == 2
    assert [len(ear.got) for ear in (both, hears, follows)] == [1, 0, 1]


def test_private_and_public_topics_of_one_name_are_two() -> None:
    private, public = Ear(), Ear()
    hub = hub_with(private)
    hub.join("t", False, public)
    hub.send("t", False, b"{}")
    assert (private.got, len(public.got)) == ([], 1)


def test_who_left_hears_nothing() -> None:
    ear = Ear()
    hub = hub_with(ear)
    hub.leave("t", True, ear)
    assert hub.send("t", True, b"{}") == 0


def test_each_version_of_the_protocol_is_encoded_once() -> None:
    ears = [Ear(), Ear(), Ear("2.0.0"), Ear("2.0.0")]
    hub_with(*ears).send("t", True, b'{"event":"e","payload":{}}')
    first, second, third, fourth = (ear.got[0] for ear in ears)
    assert first is second
    assert third is fourth
    assert first != third


def test_rate_above_the_plan_shuts_every_receiving_channel() -> None:
    now = 0.0
    hub = Hub(Limits(plan=PLANS["free"]), lambda: now)
    ears, other = [Ear() for _ in range(99)], Ear()
    for ear in ears:
        hub.join("t", True, ear)
    hub.join("quiet", True, other)
    for _ in range(20):  # 2,000 messages within a tick of 5 s
        hub.send("t", True, b"{}")
    assert not any(ear.shut for ear in ears), (
        "as on the real server, nothing is known before the tick is over"
    )
    now = 5.0
    hub.send("t", True, b"{}")
    assert [ear.shut for ear in ears] == [[TOO_MANY]] * 99
    assert other.shut == []


def test_a_row_that_was_replayed_is_not_sent_again() -> None:
    before, new = Ear(replayed=frozenset({"i"})), Ear()
    hub = hub_with(before, new)
    assert hub.send("t", True, b"", user=UserBroadcast("e", b'{"n": 1.50}', True, id="i")) == 1
    assert before.got == []
    assert new.got[0].endswith(
        b'"payload":{"type":"broadcast","event":"e","payload":{"n": 1.50},"meta":{"id":"i"}}}'
    )
