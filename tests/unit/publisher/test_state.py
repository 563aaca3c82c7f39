"""A state lasts from its first reason to the next state, and who listens can break nothing."""

from __future__ import annotations

from migctl.publisher.state import PublisherState, Standing


def test_each_change_is_heard_once_and_another_reason_is_no_change() -> None:
    heard: list[PublisherState] = []
    standing = Standing(heard.append)
    for name, reason in (("open", None), ("away", "refused"), ("away", "draining"), ("open", None)):
        standing.become(name, reason)  # type: ignore[arg-type]
    assert [(state.name, state.reason) for state in heard] == [
        ("open", None),
        ("away", "refused"),
        ("open", None),
    ]


def test_the_reason_of_now_is_kept_with_the_first_moment() -> None:
    standing = Standing(None)
    standing.become("away", "refused")
    since = standing.now.since
    standing.become("away", "draining")
    assert (standing.now.reason, standing.now.since) == ("draining", since)


def test_what_has_stopped_stays_so_until_it_is_left() -> None:
    standing = Standing(None)
    for name in ("stopped", "away", "open"):
        standing.become(name)  # type: ignore[arg-type]
    assert standing.now.name == "stopped"
    standing.become("left")
    assert standing.now.name == "left"


def test_what_a_listener_raises_is_its_own() -> None:
    def broken(_: PublisherState) -> None:
        raise ValueError("of the service")

    standing = Standing(broken)
    standing.become("open")
    assert standing.now.name == "open"
