"""Lines: who logs never waits and never fails; what is lost is counted and said."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from migctl.telemetry.lines import Lines, descriptor_writer

WITHIN_S = 10.0


class Stream:
    """Takes bytes as a descriptor does: while `open` is not set it takes none, and `error` is what it answers with."""

    def __init__(self, *, max_bytes: int = 1 << 20) -> None:
        self.taken = b""
        self.error: OSError | None = None
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self._max_bytes = max_bytes

    def write(self, data: bytes) -> int:
        self.asked.set()
        assert self.open.wait(WITHIN_S)
        if self.error is not None:
            raise self.error
        self.taken += data[: self._max_bytes]
        return min(len(data), self._max_bytes)


def lines_to(stream: Stream, *, max_waiting_bytes: int = 1 << 20) -> Lines:
    return Lines(stream.write, lambda count: f"{count} lost", max_waiting_bytes=max_waiting_bytes)


def test_lines_come_in_order_and_whole_though_the_stream_takes_a_few_bytes_at_a_time() -> None:
    stream = Stream(max_bytes=3)
    lines = lines_to(stream)
    for number in range(100):
        lines.put(f"line {number}")
    assert lines.flush(WITHIN_S)
    assert stream.taken.decode().splitlines() == [f"line {number}" for number in range(100)]
    assert lines.lost == 0


def test_while_nobody_reads_what_does_not_fit_is_counted_and_said_once_somebody_does() -> None:
    stream = Stream()
    stream.open.clear()
    lines = lines_to(stream, max_waiting_bytes=20)
    lines.put("first")
    assert stream.asked.wait(WITHIN_S)
    for _ in range(10):
        lines.put("second")  # two of seven bytes fit beside the six of the first
    assert (lines.lost, lines.flush(0.01)) == (8, False)
    stream.open.set()
    assert lines.flush(WITHIN_S)
    lines.put("third")
    assert lines.flush(WITHIN_S)
    assert sorted(stream.taken.decode().split("\n")) == sorted(
        ["first", "second", "second", "8 lost", "third", ""]
    )
    assert stream.taken.endswith(b"third\n")


def test_a_full_disk_costs_lines_and_the_count_is_said_once_there_is_room() -> None:
    stream = Stream()
    lines = lines_to(stream)
    stream.error = OSError(errno.ENOSPC, "no space")
    for number in range(5):
        lines.put(f"line {number}")
        assert lines.flush(WITHIN_S)
    assert lines.lost == 5
    stream.error = None
    for number in range(2):
        lines.put(f"later {number}")
        assert lines.flush(WITHIN_S)
    assert stream.taken == b"5 lost\nlater 0\nlater 1\n"


def test_a_line_that_was_written_in_part_is_lost_and_the_next_begins_on_a_line_of_its_own() -> None:
    taken = bytearray()
    room = [9]  # the disk is full after nine bytes

    def write(data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space")
        part = data[: room[0]]
        room[0] -= len(part)
        taken.extend(part)
        return len(part)

    lines = Lines(write, lambda count: f"{count} lost")
    lines.put("whole")
    assert lines.flush(WITHIN_S)
    lines.put("torn apart")
    assert lines.flush(WITHIN_S)
    assert (bytes(taken), lines.lost) == (b"whole\ntor", 1)
    room[0] = 100
    lines.put("next")
    assert lines.flush(WITHIN_S)
    assert bytes(taken) == b"whole\ntor\n1 lost\nnext\n"


def test_a_pipe_that_is_set_to_nonblocking_by_whoever_shares_it_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines = Lines(descriptor_writer(writing), str)
    text = "x" * 1000
    for _ in range(200):
        lines.put(text)
    with os.fdopen(reading, "rb") as pipe:
        assert [pipe.readline() for _ in range(200)] == [text.encode() + b"\n"] * 200
    assert lines.flush(WITHIN_S)
    os.close(writing)


def test_a_closed_pipe_is_no_error_of_who_logs() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lines = Lines(descriptor_writer(writing), str)
    lines.put("to nobody")
    assert lines.flush(WITHIN_S)
    assert lines.lost == 1
    os.close(writing)


def test_a_fork_goes_on_with_a_thread_of_its_own_and_repeats_nothing() -> None:
    reading, writing = os.pipe()
    lines = Lines(descriptor_writer(writing), str)
    lines.put("parent")
    assert lines.flush(WITHIN_S)
    child = os.fork()
    if child == 0:
        lines.put("child")
        os._exit(0 if lines.flush(WITHIN_S) else 1)
    assert os.waitpid(child, 0)[1] == 0
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "parent\nchild\n"


def test_a_finalizer_that_logs_while_a_line_is_queued_does_not_lock() -> None:
    stream = Stream()
    lines = lines_to(stream)

    class Text(str):
        """Logs while it is encoded, as a finalizer might."""

        inner: Callable[[], None] = staticmethod(lambda: lines.put("inner"))

        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            self.inner()
            return super().encode(encoding, errors)

    lines.put(Text("outer"))
    assert lines.flush(WITHIN_S)
    assert stream.taken == b"inner\nouter\n"
