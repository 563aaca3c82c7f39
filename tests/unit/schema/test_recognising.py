"""Which files made what is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from migctl.schema.files import load
from migctl.schema.recognising import made_by, whole

MADE = {
    1: {"a": "table"},
    2: {"b": "table", "f": "function"},
    3: {},
    4: {"g": "function"},
    5: {"f": "function"},
}
ALL = ("f", "g")


@pytest.mark.parametrize(
    ("differing", "functions", "kept"),
    [
        ([], ALL, (1, 2, 3, 4, 5)),
        ([], ("f",), (1, 2, 3)),
        ([], (), (1,)),
        (["public.a"], ALL, ()),
        (["public.b.column"], ALL, (1,)),
        (["public.f"], ALL, (1, 2, 3, 4)),
        (["policy p on public.b", "public.g"], ALL, (1,)),
        (["publication supabase_realtime"], ALL, ()),
        (["role anon"], ALL, ()),
    ],
    ids=["whole", "function", "functions", "first", "column", "function made anew", "policy", "publication", "role"],
)  # fmt: skip
def test_those_up_to_the_first_that_is_not_whole(
    differing: Sequence[str], functions: Collection[str], kept: tuple[int, ...]
) -> None:
    assert whole(MADE, differing, functions) == kept


def test_what_our_files_make_is_found_in_them() -> None:
    made = made_by(load())
    assert made[1] == {"monitoring_events": "table"}
    assert {"monitoring_tombstones", "monitoring_retry"} == made[2].keys()
    assert made[8] == {"monitoring_set_back": "function"}
    assert made[4] == made[5] == {}
