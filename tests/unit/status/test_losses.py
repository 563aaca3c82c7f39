"""Half a last line is named at the end, and only there: until then it is waited for."""

from __future__ import annotations

from msgspec.structs import replace

from migctl.status import FileStatus
from migctl.status.losses import losses, rejects

DONE = FileStatus(
    source="a", state="finished", waiting_for=None, accepted=1, rejected=0, duplicates=0, without_time=0,
    ignored=0, rejected_file="r", resumable=True, resumed_from_bytes=0, offset_bytes=10, size_bytes=17, lines=1,
    unfinished_bytes=7,
)  # fmt: skip


def test_half_a_line_that_nobody_waits_for_is_a_loss_with_its_length() -> None:
    assert losses(DONE) == ["its last line has no end, and was not read: 7 bytes"]
    assert rejects(DONE)
    for fine in (replace(DONE, state="waiting"), replace(DONE, unfinished_bytes=0)):
        assert (losses(fine), rejects(fine)) == ([], False)
