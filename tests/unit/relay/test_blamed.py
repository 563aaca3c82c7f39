"""When an event is blamed: alone, and only where the table can be read right after."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from migctl.delivery.blame import Blamed, write_or_blame
from migctl.errors import MigctlError, Poison, Systemic, Transient
from migctl.events import Entry
from migctl.target import Written
from migctl.target.errors import Rejected
from tests.kit.entries import entry

REFUSED = Rejected("a value is refused", do="mend it", code="22P05", reason="unsupported Unicode")
AWAY, DENIED = Transient("away", do="wait"), Systemic("no such table", do="apply")


class Asked:
    """A table that answers a write and a read with these errors, in this order; what it was asked."""

    def __init__(self, written: MigctlError | None, probed: MigctlError | None) -> None:
        self._written, self._probed = written, probed
        self.asked: list[str] = []

    async def write(self, entries: Sequence[Entry]) -> Written:
        self.asked.append("write")
        if self._written is not None:
            raise self._written
        return Written(inserted=len(entries), repeated=0)

    async def probe(self) -> None:
        self.asked.append("probe")
        if self._probed is not None:
            raise self._probed


@pytest.mark.parametrize(
    ("written", "count", "probed", "kind", "asked"),
    [
        (REFUSED, 1, None, Blamed, ["write", "probe"]),
        (REFUSED, 1, AWAY, Transient, ["write", "probe"]),
        (REFUSED, 1, DENIED, Systemic, ["write", "probe"]),
        (REFUSED, 2, None, Rejected, ["write"]),
        (AWAY, 1, None, Transient, ["write"]),
        (DENIED, 1, None, Systemic, ["write"]),
    ],
)
async def test_who_is_blamed(
    written: MigctlError, count: int, probed: MigctlError | None, kind: type[MigctlError], asked: list[str]
) -> None:
    table = Asked(written, probed)
    with pytest.raises(kind) as raised:
        await write_or_blame(table, [entry(seq) for seq in range(1, count + 1)])
    assert (type(raised.value), table.asked) == (kind, asked)


async def test_what_was_written_is_nobodys_fault() -> None:
    table = Asked(None, DENIED)
    assert (await write_or_blame(table, [entry(1)])).inserted == 1
    assert table.asked == ["write"]


def test_the_blamed_says_code_and_reason_as_the_database_did() -> None:
    said = Blamed(entry(7), REFUSED)
    assert (said.entry.seq, said.code, said.reason) == (7, "22P05", "unsupported Unicode")
    unknown = Blamed(entry(7), Poison("refused", do="mend it"))
    assert (unknown.code, unknown.reason) == ("", "refused")
