"""Events out of the ordinary: their size is exact, since what is asked is where the bound lies."""

from __future__ import annotations

import msgspec
import pytest

from migctl.drills.functions.odd import sized
from migctl.events.codec import MAX_DATA_BYTES


@pytest.mark.parametrize("size", [100, 300_000, MAX_DATA_BYTES, MAX_DATA_BYTES + 1])
def test_the_data_of_an_event_of_a_size_has_exactly_that_many_bytes(size: int) -> None:
    event = sized(size)
    assert len(msgspec.json.encode(event.data)) == size
    assert event.data["event"] == event.id
