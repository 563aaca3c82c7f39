"""A process that is stopped goes on in any case."""

from __future__ import annotations

import signal

import pytest

from migctl.faults import kill, stopped


class Heard:
    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def send(self, sig: signal.Signals, /) -> None:
        self.signals.append(sig)


def test_a_process_goes_on_after_the_block_also_where_it_fails() -> None:
    process = Heard()
    with pytest.raises(ZeroDivisionError), stopped(process):
        raise ZeroDivisionError
    kill(process)
    assert process.signals == [signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL]
