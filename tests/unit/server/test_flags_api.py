"""Writes over HTTP before they reach the record: how they are read, and what whoever writes has to have seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from migctl.config import Target
from migctl.errors import MigctlError, Systemic, Transient
from migctl.flags.definitions import read
from migctl.flags.documents import asking, flag_document, segment_document
from migctl.flags.holder import Holder
from migctl.flags.managing import (
    ANY,
    Absent,
    Managing,
    NoRecord,
    Order,
    OtherTarget,
    OtherVersion,
    tag_of,
)
from migctl.flags.record import Changed, Record, Unshown
from migctl.flags.registration import Registration
from migctl.flags.segments import with_segments
from migctl.flags.service import FlagService
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.flags.tiers import FileTier
from migctl.server.access.allowance import Allowances
from migctl.server.access.limits import limits
from migctl.server.routes.flags_api import BadRequest, PutFlag, decoded, refused, tags_in
from tests.unit.flags.test_shares import SWITCH, document, shares

FLAGS = with_segments(read(document(shares(10, segments={"staff": 100}))), {"eu": True})
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split="everything")
HELD = Snapshot(target="t", brakes={"b1": BRAKE}).with_row(Row(n=7, id="r7", document=FLAGS.document()))


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        ([], []),
        (['"a"'], ['"a"']),
        (['"a", "b"'], ['"a"', '"b"']),
        (['"a"', '"b"'], ['"a"', '"b"']),
        (["*"], [ANY]),
        (['W/"a"'], [""]),
        (["a"], []),
        ([""], []),
    ],
)
def test_entity_tags_are_read_and_weak_ones_match_nothing(given: list[str], tags: list[str]) -> None:
    assert tags_in(given) == tags


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json"),
        (b"{" * 101, 422, "depth"),
        (b"{}", 422, "shape"),
        (b"x" * (2 << 20), 413, "large"),
        (b'{"target":"t","reason":"r","flag":{},"force":true}', 422, "shape"),
    ],
)
def test_a_body_that_can_not_be_used_is_refused_with_a_code(body: bytes, status: int, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decoded(body, PutFlag)
    assert (refused.value.status, refused.value.code) == (status, code)


@pytest.mark.parametrize(
    ("error", "status"),
    [(Absent, 404), (OtherVersion, 412), (Changed, 412), (Unshown, 409), (OtherTarget, 409), (NoRecord, 409),
     (Transient, 503), (Systemic, 503)],
)  # fmt: skip
def test_each_refusal_has_its_status_and_its_way_out(error: type[MigctlError], status: int) -> None:
    answer = refused(error("so it is", do="do this"))
    assert (answer.status, "Retry-After" in answer.headers) == (status, status == 503)
    assert isinstance(answer.body, bytes)
    assert b"so it is; do this" in answer.body


def test_the_tag_of_a_flag_is_of_what_it_says_and_of_nothing_else() -> None:
    tag = tag_of(FLAGS, "flag", "transport")
    assert tag == tag_of(with_segments(FLAGS, {"other": False}), "flag", "transport")
    assert tag != tag_of(read(document(shares(11, segments={"staff": 100}))), "flag", "transport")
    assert tag_of(FLAGS, "flag", "nothing") is tag_of(FLAGS, "segment", "nothing") is None


def test_documents_say_the_share_and_who_asks_for_a_segment() -> None:
    assert flag_document(FLAGS, "transport").share.startswith("realtime 10 %, segment staff 100 %")
    assert segment_document(FLAGS, "staff").flags == ["transport"]
    assert asking(FLAGS, "eu") == []


def service(folder: Path, *, record: Record | None = None) -> FlagService:
    holder = Holder(SWITCH, "t", None)
    file = None if record is not None else FileTier(folder / "flags.yaml", holder)
    return FlagService(holder, Registration(None, "p", "p", None), record=record, file=file)


async def test_what_is_held_is_said_and_nothing_else_is_there(tmp_path: Path) -> None:
    of = service(tmp_path)
    await of.holder.hear(HELD)
    managing = Managing(of)
    assert (managing.flags().n, managing.flags().blind, len(managing.flags().brakes)) == (7, True, 1)
    assert managing.flag("transport").brakes == [BRAKE]
    assert [one.name for one in managing.segments().segments] == ["staff", "eu"]
    assert managing.tag("segment", "eu") is not None
    for look in (lambda: managing.flag("nothing"), lambda: managing.segment("nothing")):
        with pytest.raises(Absent, match="there is no"):
            look()


async def test_a_write_names_its_target_and_needs_a_record(tmp_path: Path) -> None:
    managing = Managing(service(tmp_path))
    with pytest.raises(OtherTarget, match="this writes to t, and you mean other"):
        await managing.put_flag("menu", {}, Order("other", "why", "ada", tags=[ANY]))
    with pytest.raises(NoRecord, match=r"flags\.yaml is the record"):
        await managing.put_flag("menu", {}, Order("t", "why", "ada", tags=[ANY]))
    with pytest.raises(NoRecord):
        await managing.history("flag", "menu", 5)


async def test_a_write_without_its_record_says_that_it_is_away(tmp_path: Path) -> None:
    record = Record(Target("http://127.0.0.1:1", service_role_key="key"), "public", "t")
    with pytest.raises(Transient):
        await Managing(service(tmp_path, record=record)).delete("flag", "menu", Order("t", "why", "ada"))
    await record.aclose()


def test_each_name_has_an_allowance_of_its_own_and_without_a_rate_nobody_waits() -> None:
    allowances = Allowances(1.0)
    assert [allowances.take(name, 1, 0.0) for name in ("ann", "bob", "ann")] == [0.0, 0.0, 1.0]
    assert Allowances(None).take("ann", 10**9, 0.0) == 0.0


async def test_who_needs_no_token_is_not_counted() -> None:
    from aiohttp.test_utils import make_mocked_request

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    check = limits(Allowances(0.001))
    for _ in range(3):
        request = make_mocked_request("GET", "/api/flags")
        assert (await check(request, handler)).status == 204
