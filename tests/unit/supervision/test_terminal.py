"""A terminal that hangs up, and none at all."""

from __future__ import annotations

import os

from migctl.supervision.terminal import Terminal


def test_a_terminal_is_gone_once_its_other_end_is_closed() -> None:
    theirs, ours = os.openpty()
    terminal = Terminal([ours])
    assert not terminal.is_gone()
    os.close(theirs)
    assert terminal.is_gone()
    os.close(ours)


def test_who_never_had_one_has_lost_none() -> None:
    reading, writing = os.pipe()
    terminal = Terminal([reading, writing])
    os.close(writing)
    assert not terminal.is_gone()
    os.close(reading)
    assert not terminal.is_gone()
