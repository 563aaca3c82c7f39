"""Files beside ledger rows: what is to be done, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

from migctl.errors import Refused, Systemic
from migctl.schema.files import Migration
from migctl.schema.ledger import Row, State
from migctl.schema.planning import Plan, compare
from migctl.schema.preflight import Findings, Lack

WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NOTHING = Findings((), ())


def file(version: int, sha256: str = "aa") -> Migration:
    return Migration(version, f"m{version}", "select 1;", None, sha256)


def row(version: int, sha256: str = "aa", state: State = "applied") -> Row:
    return Row(version, f"m{version}", sha256, state, WHEN, WHEN, "ann@host", None, "0.1.0", None, None)


def states(files: list[Migration], rows: list[Row]) -> list[str]:
    return [step.state for step in compare(files, {r.version: r for r in rows})]


def test_what_the_ledger_does_not_have_is_pending() -> None:
    assert states([file(1), file(2)], [row(1)]) == ["applied", "pending"]


def test_a_failed_and_a_reverted_file_are_to_be_applied_whatever_their_hash() -> None:
    rows = [row(1), row(2, "bb", "failed"), row(3, "cc", "reverted")]
    steps = compare([file(1), file(2), file(3)], {r.version: r for r in rows})
    assert [step.state for step in steps] == ["applied", "failed", "pending"]
    assert [m.version for m in Plan("public", steps, NOTHING).pending] == [2, 3]


def test_a_changed_file_is_refused_with_both_hashes_and_the_way_out() -> None:
    blocker = Plan("public", compare([file(1, "bb")], {1: row(1, "aa")}), NOTHING).blocker()
    assert isinstance(blocker, Refused)
    assert "0001_m1.up.sql" in blocker.what
    assert "aa" in blocker.what and "bb" in blocker.what
    assert "ann@host" in blocker.what
    assert "new file" in blocker.do


def test_an_applied_file_that_is_gone_is_refused() -> None:
    blocker = Plan("public", compare([file(1)], {1: row(1), 2: row(2)}), NOTHING).blocker()
    assert isinstance(blocker, Refused)
    assert "0002_m2.up.sql" in blocker.what
    assert "no such file" in blocker.what


def test_a_failed_row_without_a_file_is_no_history() -> None:
    assert states([file(1)], [row(1), row(2, state="failed")]) == ["applied"]


def test_a_file_below_an_applied_one_is_refused_not_slipped_in() -> None:
    steps = compare([file(1), file(2)], {2: row(2)})
    assert [step.state for step in steps] == ["late", "applied"]
    assert isinstance(Plan("public", steps, NOTHING).blocker(), Refused)


def test_every_lack_is_told_with_its_way_out() -> None:
    lacks = (Lack("no role anon", "create role anon;"), Lack("no publication", "create publication x;"))
    blocker = Plan("public", compare([file(1)], {}), Findings(lacks, ())).blocker()
    assert isinstance(blocker, Systemic)
    for lack in lacks:
        assert lack.what in blocker.what
        assert lack.do in blocker.do
