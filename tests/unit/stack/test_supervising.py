"""What the supervisor of a stack does after signals, and which parts that are down it says."""

from __future__ import annotations

from signal import SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest

from migctl.stack.supervisor import Action, decide, newly_down


@pytest.mark.parametrize(
    ("signals", "action"),
    [
        ({SIGTERM}, "leave"),
        ({SIGINT}, "leave"),
        ({SIGTERM, SIGHUP, SIGCHLD}, "leave"),
        ({SIGHUP}, "start"),
        ({SIGHUP, SIGCHLD}, "start"),
        ({SIGUSR1, SIGCHLD}, "change"),
        ({SIGUSR1, SIGHUP}, "start"),
        ({SIGUSR1, SIGTERM}, "leave"),
        ({SIGCHLD}, "look"),
    ],
)
def test_what_signals_that_came_together_mean(signals: set[int], action: Action) -> None:
    assert decide(signals) == action


def test_a_part_that_is_down_is_said_once_each_time_it_goes_down() -> None:
    assert newly_down({"valkey", "postgres"}, {"valkey"}) == ["postgres"]
    assert newly_down({"valkey"}, {"valkey"}) == []
    assert newly_down({"valkey"}, set()) == ["valkey"]
