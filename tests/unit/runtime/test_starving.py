"""A reserve of address space: let go when there is little, held again when there is much."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from migctl.runtime.starving import AMPLE_BYTES, LEAST_BYTES, Starving, act
from migctl.server.access.memory import Memory, Reserve

SIZE = 1 << 20


@pytest.mark.parametrize(
    ("room", "is_held", "todo"),
    [
        (None, True, None),
        (None, False, None),
        (LEAST_BYTES, True, None),
        (LEAST_BYTES - 1, True, "let go"),
        (-1, True, "let go"),
        (0, False, None),
        (SIZE + AMPLE_BYTES - 1, False, None),
        (SIZE + AMPLE_BYTES, False, "hold"),
        (SIZE + AMPLE_BYTES, True, None),
    ],
)
def test_the_table(room: int | None, is_held: bool, todo: str | None) -> None:
    assert act(room, is_held=is_held, size_bytes=SIZE) == todo


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_a_reserve_is_address_space_and_no_memory() -> None:
    before, reserve = resident(), Reserve(256 << 20)
    reserve.hold()
    reserve.hold()
    assert reserve.is_held
    assert resident() - before < 10_000  # pages; all of it would be 65,536
    reserve.let_go()
    reserve.let_go()
    assert not reserve.is_held


def test_a_lack_of_memory_lets_it_go_and_other_failures_go_where_they_went() -> None:
    failures: list[dict[str, Any]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        before, reserve = sys.unraisablehook, Reserve(SIZE)
        with Starving(Memory([]), reserve).installed():
            loop.call_exception_handler({"message": "m", "exception": ValueError()})
            assert reserve.is_held
            loop.call_exception_handler({"message": "m", "exception": MemoryError()})
            assert not reserve.is_held
        assert sys.unraisablehook is before

    asyncio.run(work())
    assert [type(context["exception"]) for context in failures] == [ValueError]
