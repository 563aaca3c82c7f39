"""An edit before it is written: what it raises, what it may end; and how the audit reads afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from migctl.config import Settings, Target
from migctl.errors import Usage
from migctl.flags import editing
from migctl.flags.assignment import Switch
from migctl.flags.authoring import Author, Basis, Proposal, in_words
from migctl.flags.changelog import entry_of
from migctl.flags.definitions import read
from migctl.flags.record import Audited, Record, Unshown, target_name
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.runtime.flagging import Shown, file_is_record
from tests.unit.flags.test_shares import document, shares

SWITCH = Switch("transport", "realtime", "websocket")
BRAKE = Brake(
    id="b1", flag="transport", max_percent=10, by="ada", at="2026-01-05T12:00:00Z", reason="it shakes"
)
ROW = Row(n=5, id="r5", document=document(shares(25)), by="ada", reason="go")
KNOWN = Snapshot(target="t", brakes={"b1": BRAKE}).with_row(ROW)
BASIS = Basis(5, KNOWN, read(ROW.document), (BRAKE,))


@pytest.fixture
async def author() -> AsyncIterator[Author]:
    """Of a record that nobody asks here."""
    record = Record(Target("http://127.0.0.1:1", service_role_key="key"), "public", "t")
    yield Author(record, SWITCH)
    await record.aclose()


async def test_a_raise_ends_the_brakes_that_were_shown_and_is_refused_where_one_was_not(
    author: Author,
) -> None:
    up = author.propose(BASIS, lambda of: editing.with_percent(of, SWITCH, "all", 50))
    assert up.raises
    assert author._lifts(BASIS, up, ["b1"]) == ("b1",)
    with pytest.raises(Unshown, match="all at most 10 %, by ada") as refused:
        author._lifts(BASIS, up, [])
    assert "--lift b1" in refused.value.do


async def test_who_gives_nobody_more_ends_nothing(author: Author) -> None:
    down = author.propose(BASIS, lambda of: editing.with_percent(of, SWITCH, "all", 5))
    assert (down.raises, author._lifts(BASIS, down, ["b1"])) == (False, ())


async def test_an_edit_that_can_not_be_used_is_refused_with_its_place(author: Author) -> None:
    with pytest.raises(Usage, match=r"flags\.nothing: there is no such flag"):
        author.propose(BASIS, lambda of: editing.with_state(of, "nothing", enabled=True))
    turned = read(document(targeting={"fractional": [["websocket", 75], ["realtime", 25]]}))
    with pytest.raises(Usage, match="would move users"):
        author.propose(BASIS, lambda of: editing.with_flags(of, turned))


async def test_a_change_of_another_flag_meanwhile_is_no_conflict_and_one_of_the_same_says_whose(
    author: Author,
) -> None:
    first = author.propose(BASIS, lambda of: editing.with_user(of, SWITCH, "bob", "websocket"))
    menu = read({"flags": {"menu": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}})
    other = Basis(6, KNOWN, editing.with_flags(BASIS.flag_set, menu), (BRAKE,))
    author._compare(first, other)
    row = Row(n=6, id="r6", document=document(shares(75)), by="eve", reason="more")
    same = Basis(6, KNOWN.with_row(row), read(row.document), (BRAKE,))
    with pytest.raises(Exception, match=r"transport was changed meanwhile by eve \(more\)"):
        author._compare(first, same)
    assert isinstance(first, Proposal)


def test_a_brake_in_words_has_all_that_one_looks_at() -> None:
    assert in_words(BRAKE) == "brake b1: all at most 10 %, by ada at 2026-01-05T12:00:00Z: it shakes"


def row(n: int, percent: float, **more: Any) -> dict[str, Any]:
    return {"n": n, "document": document(shares(percent)), "lifts": [], **more}


@pytest.mark.parametrize(
    ("action", "before", "after", "said"),
    [
        ("flags.up", {"n": None, "document": None}, row(1, 25), ("no flag", "25 %", 1)),
        ("flags.up", None, row(1, 25), ("no flag", "25 %", 1)),
        ("flags.up", row(1, 25), row(2, 50, lifts=["b1"]), ("25 %", "50 %", 2)),
        ("flags.edit", row(1, 25), row(2, 25), ("25 %", "25 %", 2)),
        (
            "flags.brake",
            row(1, 25),
            {"flag": "transport", "max_percent": 10, "split": "everything"},
            ("25 %", "everything at most 10 %", None),
        ),
        ("flags.edit", row(1, 25, document=7), row(2, 25), ("unreadable", "25 %", 2)),
        ("flags.edit", row(1, 25), {"x": 1}, ("25 %", "unreadable", None)),
    ],
)
def test_an_entry_of_the_audit_says_the_share_before_and_after(
    action: str, before: object, after: object, said: tuple[object, ...]
) -> None:
    parts = ("menu", "transport")
    audited = Audited("2026-01-05", action, None, "ada", "why", before, after, parts)
    entry = entry_of(audited, SWITCH)
    assert (entry.before, entry.after, entry.n) == said
    assert entry.parts == ["menu", "transport"]
    assert entry.action == action.removeprefix("flags.")


def test_what_is_shown_counts_brakes_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown("here", KNOWN.with_brake(Brake(id="b2", flag="transport", max_percent=0)), "record")
    assert [brake.id for brake in shown.brakes] == ["b2", "b1"]
    found = {shown.assignments().evaluate("transport", {"targetingKey": f"u{n}"}).variant for n in range(50)}
    assert found == {"websocket"}
    monkeypatch.setenv("MIGCTL_FLAG_TRANSPORT", "realtime")
    assert shown.assignments().evaluate("transport", {"targetingKey": "u"}).reason == "OVERRIDE"
    assert Shown("here", Snapshot(target="t"), "disk").flag_set.flags == {}


@pytest.mark.parametrize(
    ("mode", "url", "expected"),
    [("websocket", None, True), ("websocket", "https://p", False), ("dual", None, False)],
)
def test_a_file_is_the_record_only_in_mode_websocket_without_a_target(
    mode: str, url: str | None, expected: bool
) -> None:
    assert file_is_record(Settings(mode=mode, supabase={"url": url})) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "more", "name"),
    [
        ("https://abc.supabase.co", {}, "abc.supabase.co/public"),
        ("http://127.0.0.1:54321", {}, "local/public"),
        ("http://localhost:1", {"supabase": {"schema": "monitoring"}}, "local/monitoring"),
        ("https://abc.supabase.co", {"flags": {"target": "production"}}, "production"),
    ],
)
def test_a_target_has_one_name_whatever_the_way_to_it(url: str, more: dict[str, Any], name: str) -> None:
    assert target_name(Settings(**more), Target(url)) == name
