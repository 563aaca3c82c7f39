"""The steps that are left of an adoption, from what the table shows of those that are done."""

from __future__ import annotations

from typing import Any

from migctl.schema.adoption.estimates import in_place
from migctl.schema.adoption.shape import Column
from migctl.schema.adoption.steps import steps
from tests.kit.shapes import TIME, check, column, index, shape

POSITION = (
    column("epoch", "text", not_null=False),
    column("seq", "bigint", not_null=False),
    column("committed_at", TIME, not_null=False),
)
UNIQUE = index("monitoring_events_epoch_seq_key", "epoch", "seq", unique=True, constraint="u")


def left(*columns: Column, limit_s: float = 0, **more: Any) -> list[str]:
    found = shape(*columns, **more)
    return [one.what for one in steps(found, in_place(found, limit_s))]


def test_a_table_that_is_as_it_should_be_is_only_closed() -> None:
    assert left(*POSITION, indexes=(*shape().indexes, UNIQUE)) == ["who may read it"]


def test_added_columns_are_filled_and_proven_before_they_are_not_null() -> None:
    found = left(without=("created_at",))
    assert found == [
        "columns created_at, epoch, seq, committed_at",
        "fill created_at",
        "created_at: no new null",
        "prove migctl_created_at_not_null",
        "created_at not null",
        "index migctl_epoch_seq_key",
        "positions are unique",
        "who may read it",
    ]


def test_a_check_that_is_there_and_not_proven_is_filled_for_once_more() -> None:
    open_one = column("created_at", TIME, not_null=False, default="now()")
    proof = "migctl_created_at_not_null"
    some = left(open_one, *POSITION, checks=(check(proof, "created_at", valid=False),))
    assert some[:3] == ["fill created_at", f"prove {proof}", "created_at not null"]
    proven = left(open_one, *POSITION, checks=(check(proof, "created_at"),))
    assert proven[0] == "created_at not null"


def test_an_index_that_was_left_half_made_is_made_anew_and_a_whole_one_is_used() -> None:
    half = index("migctl_epoch_seq_key", "epoch", "seq", unique=True, valid=False)
    assert left(*POSITION, indexes=(*shape().indexes, half))[:2] == [
        "half-made index migctl_epoch_seq_key",
        "index migctl_epoch_seq_key",
    ]
    whole = index("migctl_epoch_seq_key", "epoch", "seq", unique=True)
    assert left(*POSITION, indexes=(*shape().indexes, whole))[0] == "positions are unique"


def test_a_type_is_changed_where_it_stands_or_by_another_column_as_its_size_allows() -> None:
    narrow = column("data", "json", default="'{}'::json")
    assert left(narrow, *POSITION, limit_s=60)[0] == "data: json becomes jsonb"
    beside = left(narrow, *POSITION)
    assert beside[:4] == [
        "column migctl_data, filled by writers",
        "fill migctl_data",
        "data: no new null",
        "prove migctl_data_not_null",
    ]
    assert "migctl_data becomes data" in beside


def test_what_was_begun_beside_is_ended_beside_however_small_the_table_is() -> None:
    begun = (column("data", "json"), column("migctl_data", "jsonb", not_null=False))
    assert left(*begun, *POSITION, limit_s=60)[0] == "fill migctl_data"


def test_a_key_is_made_before_rows_are_updated() -> None:
    found = left(without=("created_at",), indexes=())
    assert found.index("primary key") < found.index("fill created_at")


def test_checks_of_the_operators_are_proven_after_a_change_of_type_and_may_stay_as_they_are() -> None:
    narrow = shape(column("source", "character varying(9)"), *POSITION, checks=(check("short", "source"),))
    found = steps(narrow, in_place(narrow, 0))
    assert found[0].statements[0].endswith('add constraint "short" CHECK (true) not valid')
    [proof] = [one for one in found if one.what == "prove short"]
    assert proof.may_fail


def test_all_columns_are_filled_in_one_pass() -> None:
    found = left(column("id", "text"), column("data", "json"), without=("created_at",))
    assert [one for one in found if one.startswith("fill")] == ["fill migctl_id, migctl_data, created_at"]
