"""How much memory is left, by the limits that stand over a process; and which errors mean that there was none."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.server.access.memory import (
    COST,
    KEPT_BYTES,
    KEPT_FROM_LITTLE,
    LITTLE_BYTES,
    Memory,
    below_group,
    is_starved,
)

MIB = 1 << 20


def test_the_nearest_limit_decides_and_none_is_no_limit() -> None:
    assert Memory([lambda: None]).room() is None
    assert Memory([lambda: None]).has_for(1 << 40, 0)
    assert Memory([lambda: None, lambda: 3, lambda: 2]).room() == 2
    assert Memory().room() is not None  # the machine's own, at least


@pytest.mark.parametrize(
    ("left", "count", "held", "goes"),
    [
        (KEPT_BYTES + COST * MIB, MIB, 0, True),
        (KEPT_BYTES + COST * MIB - 1, MIB, 0, False),
        (KEPT_BYTES + COST * MIB, MIB // 2, MIB // 2, True),
        (KEPT_BYTES + COST * MIB, MIB // 2, MIB // 2 + 1, False),
        (KEPT_FROM_LITTLE + COST * LITTLE_BYTES, LITTLE_BYTES, 0, True),  # what is left to others is less of
        (KEPT_FROM_LITTLE + COST * LITTLE_BYTES - 1, LITTLE_BYTES, 0, False),
        (0, 1, 0, False), (-5, 1, 0, False),
    ],
)  # fmt: skip
def test_what_all_may_yet_take_has_to_fit(left: int, count: int, held: int, goes: bool) -> None:
    assert Memory([lambda: left]).has_for(count, held) is goes


@pytest.mark.parametrize(
    ("names", "stat"),
    [
        (("memory.max", "memory.current"), "anon 7\nfile 999\ninactive_file 20\nactive_file 10\n"),
        (("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file 20\ntotal_active_file 10\ninactive_file 1\n"),
    ],
    ids=["2", "1"],
)  # fmt: skip
def test_of_a_control_group_pages_of_files_are_not_counted(
    tmp_path: Path, names: tuple[str, str], stat: str
) -> None:
    most, used = (tmp_path / name for name in names)
    most.write_text("100\n")
    used.write_text("90\n")
    (tmp_path / "memory.stat").write_text(stat)
    assert below_group(tmp_path) == 40
    for none in ("max\n", str(1 << 62), "what\n"):
        most.write_text(none)
        assert below_group(tmp_path) is None
    most.unlink()
    assert below_group(tmp_path) is None


def test_for_lack_of_memory() -> None:
    assert is_starved(MemoryError())
    assert is_starved(RuntimeError("can't start new thread"))
    assert not is_starved(RuntimeError("no"))
