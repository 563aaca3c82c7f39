"""What a page means for a subscriber that catches up, each line of the table of `catching_up`."""

from __future__ import annotations

import pytest

from migctl.transports.websocket.catching_up import step
from tests.kit.entries import EPOCH, entry

OTHER = "0190a000-0000-7000-8000-000000000002"


@pytest.mark.parametrize(
    ("seqs", "of", "live_epoch", "closed", "so"),
    [
        ([6, 7], EPOCH, EPOCH, False, "write"),
        ([6], EPOCH, EPOCH, False, "write"),
        ([], EPOCH, EPOCH, False, "overtaken"),
        ([7], EPOCH, EPOCH, False, "overtaken"),
        ([5], EPOCH, EPOCH, False, "overtaken"),
        ([6], OTHER, EPOCH, False, "rotated"),
        ([7], OTHER, EPOCH, False, "rotated"),
        ([6], EPOCH, OTHER, False, "rotated"),
        ([], EPOCH, OTHER, False, "rotated"),
        ([6], EPOCH, EPOCH, True, "end"),
        ([], EPOCH, OTHER, True, "end"),
    ],
)
def test_a_page_is_written_only_where_it_goes_on_without_a_hole_in_the_same_epoch(
    seqs: list[int], of: str, live_epoch: str, closed: bool, so: str
) -> None:
    page = [entry(seq, epoch=of) for seq in seqs]
    assert step(page, 5, EPOCH, live_epoch=live_epoch, closed=closed) == so
