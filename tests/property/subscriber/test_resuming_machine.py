"""A stream that is alone gets all that the journal still has, and says what it has not, whatever the journal does meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from migctl.events import Position
from migctl.subscriber.gateway.frames import Hello
from migctl.subscriber.gateway.resuming import Begin, begin


class Stream(RuleBasedStateMachine):
    """A journal of epochs that is trimmed, begun anew or put back, and a stream that comes and goes."""

    begin: Callable[..., Begin] = staticmethod(begin)

    @initialize(wanted=st.sampled_from([None, Position("", 0), Position("a", 0), Position("a", 3)]))
    def start(self, wanted: Position | None) -> None:
        self.names = ["a"]
        self.head, self.tail = 0, 1
        self.wanted = wanted
        self.top: Position | None = None
        self.had: list[tuple[str, int]] = []  # released, or declared
        self.is_open = False

    @rule(count=st.integers(1, 9))
    def append(self, count: int) -> None:
        for _ in range(count):
            self.head += 1
            if self.is_open:
                self.release(self.head)

    @rule(count=st.integers(1, 9))
    def trim(self, count: int) -> None:
        self.tail = min(self.tail + count, self.head + 1)

    @precondition(lambda self: len(self.names) < 4)
    @rule()
    def new_epoch(self) -> None:
        self.names.append(chr(ord(self.names[-1]) + 1))
        self.head, self.tail, self.is_open = 0, 1, False

    @rule(count=st.integers(1, 5))
    def put_back(self, count: int) -> None:
        """Without a new epoch: what a journal must not do, and what a subscriber has to live with."""
        self.head = max(self.head - count, self.tail - 1)
        self.is_open = False

    @rule()
    def lose(self) -> None:
        self.is_open = False

    def hello(self, at: Position | None) -> Hello:
        """As the gateway answers."""
        epoch = self.names[-1]
        if at is None or not at.epoch:
            return Hello(2, epoch, self.head, self.tail, "fresh")
        if at.epoch != epoch:
            return Hello(2, epoch, self.head, self.tail, "unrecoverable", "epoch")
        if at.seq > self.head:
            return Hello(2, epoch, self.head, self.tail, "unrecoverable", "ahead")
        if at.seq < self.tail - 1:
            return Hello(2, epoch, self.head, self.tail, "unrecoverable", "trimmed")
        return Hello(2, epoch, self.head, self.tail, "recovered")

    @precondition(lambda self: not self.is_open)
    @rule()
    def connect(self) -> None:
        for _ in range(2):
            hello = self.hello(self.top or self.wanted)
            todo = self.begin(hello, top=self.top, wanted=self.wanted, alone=True)
            self.follow(todo, hello)
            if todo.keep:
                break
        else:
            raise AssertionError("two sockets in a row are not good")
        self.is_open = True
        if hello.resume == "recovered":
            assert self.top is not None
            for seq in range(self.top.seq + 1, self.head + 1):
                self.release(seq)
        assert self.top == Position(self.names[-1], self.head)

    @precondition(lambda self: not self.is_open)
    @rule()
    def connect_with_tables_beside_it(self) -> None:
        """It declares nothing: somebody else knows more. It begins where it is told, once."""
        hello = self.hello(self.top or self.wanted)
        todo = self.begin(hello, top=self.top, wanted=self.wanted, alone=False)
        assert (todo.lose_to, todo.go_to, todo.keep) == (None, None, True)
        assert (todo.start is None) == (self.top is not None)

    def follow(self, todo: Begin, hello: Hello) -> None:
        if todo.start is not None:
            assert self.top is None
            self.top = todo.start
            if self.wanted is not None and self.wanted.epoch:
                assert self.top == self.wanted
        if todo.lose_to is not None:
            assert self.top is not None
            assert self.top.epoch == hello.epoch
            for seq in range(self.top.seq + 1, todo.lose_to + 1):
                assert seq < self.tail, f"{seq} is in the journal, and was declared lost"
                self.had.append((hello.epoch, seq))
            self.top = Position(hello.epoch, todo.lose_to)
        if todo.go_to is not None:
            assert self.top is not None
            assert todo.reason in ("epoch", "ahead")
            if todo.reason == "epoch":
                assert todo.go_to.seq == self.tail - 1, "nothing that is there is passed over"
            self.top = todo.go_to

    def release(self, seq: int) -> None:
        epoch = self.names[-1]
        assert self.top == Position(epoch, seq - 1), f"{epoch}:{seq} came after {self.top}"
        self.had.append((epoch, seq))
        self.top = Position(epoch, seq)

    def teardown(self) -> None:
        if hasattr(self, "names") and not self.is_open:
            self.connect()


Stream.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestStream = Stream.TestCase
