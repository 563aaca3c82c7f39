"""Spill: what was put comes back whole, in its order, with all of one id together."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migctl.validate.spill import SETTLED, Partitions, Record

RECORDS = st.lists(
    st.tuples(
        st.text(max_size=3),
        st.builds(
            Record,
            side=st.sampled_from([0, 1, 2, SETTLED]),
            low=st.booleans(),
            number=st.integers(0, 2**64 - 1),
            text=st.binary(max_size=50),
        ),
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RECORDS, st.sampled_from([2, 8]), st.integers(0, 3))
def test_records_come_back_in_order_and_one_id_is_in_one_partition(
    tmp_path: Path, put: list[tuple[str, Record]], count: int, depth: int
) -> None:
    partitions = Partitions(tmp_path / "spill", count, depth)
    for event_id, record in put:
        partitions.put(event_id, record)
    found = [list(partition) for partition in partitions.drain()]
    assert sorted(record for each in found for record in each) == sorted(record for _, record in put)
    for event_id in {event_id for event_id, _ in put}:
        of_id = {record for each, record in put if each == event_id}
        assert any(of_id <= set(each) for each in found)
    assert list((tmp_path / "spill").iterdir()) == []


def test_ids_that_met_in_one_partition_part_at_the_next_depth(tmp_path: Path) -> None:
    ids = [f"{number}" for number in range(200)]

    def split(depth: int, names: list[str]) -> list[list[str]]:
        partitions = Partitions(tmp_path / str(depth), 4, depth)
        for name in names:
            partitions.put(name, Record(0, False, 0, name.encode()))
        return [[record.text.decode() for record in part] for part in partitions.drain()]

    first = split(0, ids)
    assert len(first) == 4
    assert len(split(1, first[0])) == 4, "they would agree on the same bits for ever"
