"""Which locks the files take on tables that are there."""

from __future__ import annotations

from migctl.schema.adoption.steps import Step
from migctl.schema.files import load
from migctl.schema.locking import locks, taken_by


def test_a_statement_locks_the_tables_that_it_names_and_no_others() -> None:
    assert taken_by("create policy p on x.events for select", ["events"]) == (
        "AccessExclusive",
        "create policy p on x.events for select",
    )
    assert taken_by("create policy p on x.others for select", ["events"]) is None
    assert taken_by("grant select on x.events to a", ["events"]) is None
    assert taken_by("do $$\n  alter publication p add table x.events", ["events"]) == (
        "ShareUpdateExclusive",
        "alter publication p add table x.events",
    )


def test_of_new_tables_none_is_told_and_of_an_adopted_one_its_steps() -> None:
    assert locks(load(), "public", [], None) == ()
    step = Step("fill", ("update x",), "RowExclusive", 4.0, "batches")
    found = locks(load(), "public", ["monitoring_events"], [step])
    assert (found[0].file, found[0].statement, found[0].about_s) == ("0001_events.up.sql", "fill", 4.0)
    assert {one.file for one in found} == {"0001_events.up.sql", "0004_access.up.sql", "0005_realtime.up.sql"}
    assert "readers" in found[1].holds_up
