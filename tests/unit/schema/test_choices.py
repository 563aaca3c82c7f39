"""Which files a way back or a repair takes, what an age is, and what an error of the server means."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from migctl.errors import MigctlError, Refused, Systemic, Transient, Usage
from migctl.schema import mending, taking_back
from migctl.schema.connection import translate
from migctl.schema.files import Migration
from migctl.schema.ledger import Row
from migctl.schema.planning import Step, compare
from migctl.schema.pruning import age_s
from tests.unit.schema.test_plan import row


def file(version: int, *, down: str | None = "select 2;", sha256: str = "aa") -> Migration:
    return Migration(version, f"m{version}", "select 1;", down, sha256)


def steps(files: Sequence[Migration], rows: Sequence[Row]) -> Sequence[Step]:
    return compare(list(files), {each.version: each for each in rows})


def versions(files: Sequence[Migration]) -> list[int]:
    return [each.version for each in files]


@pytest.mark.parametrize(("to", "taken"), [(None, [3]), (2, [3]), (1, [3, 2]), (0, [3, 2, 1]), (3, [])])
def test_way_back_takes_what_is_above_from_the_highest_on(to: int | None, taken: list[int]) -> None:
    found = steps([file(1), file(2), file(3)], [row(1), row(2), row(3)])
    assert versions(taking_back.choose(found, to)) == taken


def test_way_back_leaves_out_what_is_not_applied() -> None:
    found = steps([file(1), file(2), file(3)], [row(1)])
    assert versions(taking_back.choose(found, None)) == [1]
    assert versions(taking_back.choose(steps([file(1)], []), None)) == []


@pytest.mark.parametrize("to", [-1, 4])
def test_way_back_to_a_file_that_is_none_is_refused(to: int) -> None:
    with pytest.raises(Usage, match=f"--to {to}"):
        taking_back.choose(steps([file(1), file(2), file(3)], [row(1)]), to)


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ([file(1, down=None)], "has no way back"),
        ([file(1, sha256="bb")], "0001_m1"),
        ([], "0001_m1"),
    ],
)
def test_way_back_over_a_file_that_has_none_was_changed_or_is_gone_is_refused(
    files: list[Migration], what: str
) -> None:
    with pytest.raises(Refused, match=what):
        taking_back.choose(steps(files, [row(1)]), 0)


def test_repair_writes_only_what_is_not_so_already() -> None:
    found = steps([file(1), file(2)], [row(1)])
    assert versions(mending.choose(found, [1, 2], "applied")) == [2]
    assert versions(mending.choose(found, [1, 2], "reverted")) == [1]


def test_repair_of_a_file_that_is_gone_keeps_the_hash_of_what_was_applied() -> None:
    [found] = mending.choose(steps([], [row(1, "cc")]), [1], "reverted")
    assert found.sha256 == "cc"
    with pytest.raises(Usage, match="no file"):
        mending.choose(steps([], [row(1)]), [1], "applied")


def test_repair_of_an_unknown_number_is_refused() -> None:
    with pytest.raises(Usage, match="7"):
        mending.choose(steps([file(1)], []), [7], "applied")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 30 * 86400.0), ("12 h", 43200.0), (" 1.5m ", 90.0), ("2w", 1209600.0), ("1s", 1.0)],
)
def test_age_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert age_s(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "d", "1y", "9" * 20 + "w"])
def test_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Usage, match="--older-than"):
        age_s(text)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("42501", Systemic),
        ("42P01", Systemic),
        ("23505", Systemic),
        ("08006", Transient),
        ("53300", Transient),
        ("57P01", Transient),
    ],
)
def test_error_of_a_statement_says_whether_trying_again_helps(sqlstate: str, kind: type[MigctlError]) -> None:
    error = translate(psycopg.errors.lookup(sqlstate)("it went wrong"), "db:5432")
    assert type(error) is kind
    assert "db:5432" in error.what
    assert error.do


def test_connection_that_just_went_is_transient() -> None:
    assert type(translate(psycopg.OperationalError(""), "db:5432")) is Transient
