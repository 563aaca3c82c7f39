"""The PostgREST subset against a real PostgreSQL: what comes back, who may, and how errors look."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.integration.standin.conftest import Site, Start

MANY_DIGITS = "1234567890123456789012345678901234567890.12345678901234567890"
UPSERT = "return=representation,resolution=ignore-duplicates"


def _rows(count: int, first: int = 1) -> list[dict[str, object]]:
    return [
        {"id": f"00000000-0000-0000-0000-{n:012d}", "seq": n, "kind": "even" if n % 2 == 0 else "odd"}
        for n in range(first, first + count)
    ]


async def test_upsert_that_ignores_duplicates_returns_only_new_rows(service: httpx.AsyncClient) -> None:
    first = await service.post("/notes", json=_rows(3), headers={"Prefer": "return=minimal"})
    assert first.status_code == 201
    assert first.content == b""
    params = {"on_conflict": "id", "columns": '"id","seq","kind"', "select": "seq"}
    again = await service.post("/notes", json=_rows(5), params=params, headers={"Prefer": UPSERT})
    assert again.status_code == 201
    assert again.json() == [{"seq": 4}, {"seq": 5}]


async def test_upsert_on_the_key_does_not_hide_another_unique_violation(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(1))
    row = {"id": "00000000-0000-0000-0000-0000000000ff", "seq": 1, "kind": "x"}
    answer = await service.post(
        "/notes", json=[row], params={"on_conflict": "id"}, headers={"Prefer": UPSERT}
    )
    assert answer.status_code == 409
    assert answer.json()["code"] == "23505"
    assert set(answer.json()) == {"code", "details", "hint", "message"}


async def test_merge_duplicates_changes_the_row(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(1))
    changed = {**_rows(1)[0], "kind": "changed"}
    prefer = {"Prefer": "resolution=merge-duplicates, return=representation"}
    answer = await service.post("/notes", json=changed, headers=prefer, params={"select": "seq,kind"})
    assert answer.json() == [{"seq": 1, "kind": "changed"}]


async def test_what_a_row_leaves_out_is_null_unless_defaults_are_preferred(
    service: httpx.AsyncClient,
) -> None:
    rows = [{"seq": 1, "kind": "x"}, {"seq": 2}]
    params = {"columns": "seq,kind", "select": "seq,kind"}
    refused = await service.post("/notes", json=rows, params=params)
    assert refused.json()["code"] == "23502"
    prefer = {"Prefer": "missing=default,return=representation"}
    answer = await service.post("/notes", json=rows, params=params, headers=prefer)
    assert answer.json() == [{"seq": 1, "kind": "x"}, {"seq": 2, "kind": "plain"}]


@pytest.mark.parametrize("number", [MANY_DIGITS, "1e400", "12345678901234567890123", "0.1"])
async def test_a_number_passes_through_jsonb_unharmed(
    service: httpx.AsyncClient, site: Site, number: str
) -> None:
    body = f'[{{"seq": 1, "data": {{"n": {number}, "n2": 1, "n2": {number}}}}}]'
    answer = await service.post("/notes", content=body, headers={"Prefer": "return=representation"})
    assert answer.status_code == 201
    assert site.sql("select data->>'n' = %s::numeric::text from notes", number) == [(True,)]
    read = json.loads((await service.get("/notes")).text, parse_float=str, parse_int=str)
    expected = site.sql("select %s::numeric::text", number)[0][0]
    assert read[0]["data"] == {"n": expected, "n2": expected}


async def test_what_jsonb_refuses_is_an_error_of_class_22(service: httpx.AsyncClient) -> None:
    for text in ('"\\u0000"', '"\\ud800"', "1e400000"):
        answer = await service.post(
            "/notes", content=f'[{{"seq": 1, "data": {{"x": {text}}}}}]', params={"columns": "seq,data"}
        )
        assert answer.status_code == 400
        assert answer.json()["code"].startswith("22")


async def test_a_bad_row_fails_its_whole_batch(service: httpx.AsyncClient) -> None:
    answer = await service.post("/notes", content='[{"seq": 1}, {"seq": "x"}]')
    assert (answer.status_code, answer.json()["code"]) == (400, "22P02")
    assert (await service.get("/notes")).json() == []


async def test_reads_end_at_the_row_cap_whatever_the_limit_says(start: Start) -> None:
    site = start("--max-rows", "10")
    async with site.rest(site.keys.service_role_key) as client:
        await client.post("/notes", json=_rows(25))
        for params in ({}, {"limit": "20"}):
            assert len((await client.get("/notes", params={"order": "seq", **params})).json()) == 10
        page = await client.get(
            "/notes", params={"order": "seq.desc", "limit": "20", "offset": "20", "select": "seq"}
        )
        assert [row["seq"] for row in page.json()] == [5, 4, 3, 2, 1]
        counted = await client.get("/notes", headers={"Prefer": "count=exact", "Range": "0-4"})
        assert counted.status_code == 206
        assert counted.headers["content-range"] == "0-4/25"
        assert len((await client.post("/rpc/some_notes", json={"n": 20})).json()) == 10


@pytest.mark.parametrize(
    ("params", "seqs"),
    [
        ([("seq", "eq.3")], [3]),
        ([("seq", "gt.2"), ("seq", "lte.4")], [3, 4]),
        ([("seq", "in.(1,5,9)")], [1, 5]),
        ([("kind", 'in.("odd","a,b")'), ("seq", "lt.4")], [1, 3]),
        ([("kind", "neq.odd")], [2, 4]),
        ([("seq", "not.in.(1,2,3)")], [4, 5]),
        ([("owner", "is.null"), ("seq", "gte.5")], [5]),
        ([("owner", "not.is.null")], []),
        ([("or", "(seq.eq.1,and(seq.gt.3,kind.eq.odd))")], [1, 5]),
        ([("not.or", "(seq.lt.3,seq.gt.4)")], [3, 4]),
        ([("kind", "like.e*")], [2, 4]),
        ([("data->>n", "eq.3")], [3]),
        ([("data->n", "gt.3")], [4, 5]),
        ([("seq", "eq(any).{1,2}")], [1, 2]),
        ([("id", "eq.00000000-0000-0000-0000-000000000002")], [2]),
    ],
)
async def test_filters_select_what_they_say(
    shared: Site, params: list[tuple[str, str]], seqs: list[int]
) -> None:
    async with shared.rest(shared.keys.service_role_key) as client:
        answer = await client.get("/notes", params=[*params, ("select", "seq"), ("order", "seq")])
    assert [row["seq"] for row in answer.json()] == seqs


async def test_select_renames_casts_and_takes_json_paths(service: httpx.AsyncClient) -> None:
    await service.post("/notes", content='{"seq": 1, "data": {"host": {"name": "db1"}}}')
    answer = await service.get(
        "/notes", params={"select": "no:seq,text:seq::text,data->host->>name,data->host"}
    )
    assert answer.json() == [{"no": 1, "text": "1", "name": "db1", "host": {"name": "db1"}}]


async def test_one_object_is_answered_when_asked_for(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(2))
    accept = {"Accept": "application/vnd.pgrst.object+json"}
    one = await service.get("/notes", params={"seq": "eq.1", "select": "seq"}, headers=accept)
    assert one.json() == {"seq": 1}
    two = await service.get("/notes", headers=accept)
    assert (two.status_code, two.json()["code"]) == (406, "PGRST116")


async def test_rows_come_as_lines_or_without_what_is_null_when_asked_for(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(2))
    params = {"select": "seq,kind,owner", "order": "seq"}
    lines = await service.get("/notes", params=params, headers={"Accept": "text/csv"})
    assert (lines.text, lines.headers["Content-Type"]) == (
        "seq,kind,owner\n1,odd,\n2,even,",
        "text/csv; charset=utf-8",
    )
    called = await service.post(
        "/rpc/some_notes", json={"n": 1}, params=params, headers={"Accept": "text/csv"}
    )
    assert called.text == "\n".join(["seq,kind,owner", "1,odd,"])
    stripped = {"Accept": "application/vnd.pgrst.array+json;nulls=stripped"}
    assert (await service.get("/notes", params=params, headers=stripped)).json()[0] == {
        "seq": 1,
        "kind": "odd",
    }
    plan = await service.get("/notes", headers={"Accept": "application/vnd.pgrst.plan+json"})
    assert (plan.status_code, plan.json()["code"]) == (406, "PGRST107")


async def test_rows_of_a_function_are_counted_when_asked_for(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(5))
    prefer = {"Prefer": "count=exact"}
    params = {"limit": "1", "select": "seq", "kind": "eq.odd"}
    part = await service.post("/rpc/some_notes", json={"n": 4}, params=params, headers=prefer)
    assert (part.status_code, part.headers["Content-Range"], part.json()) == (206, "0-0/2", [{"seq": 1}])
    beyond = await service.post("/rpc/some_notes", json={"n": 4}, params={"offset": "9"}, headers=prefer)
    assert (beyond.status_code, beyond.json()["code"]) == (416, "PGRST103")
    one = await service.post("/rpc/add_numbers", json={"a": 1}, headers=prefer)
    assert (one.status_code, one.headers["Content-Range"], one.text) == (200, "0-0/1", "11")


async def test_a_limit_of_rows_that_can_not_be_kept_is_refused_and_nothing_stays(
    service: httpx.AsyncClient,
) -> None:
    await service.post("/notes", json=_rows(3))
    prefer = {"Prefer": "handling=strict, max-affected=1"}
    refused = await service.delete("/notes", params={"seq": "gt.1"}, headers=prefer)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST124")
    single = {"Accept": "application/vnd.pgrst.object+json", "Prefer": "return=representation"}
    refused = await service.patch("/notes", params={"seq": "gt.1"}, json={"kind": "x"}, headers=single)
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST116")
    refused = await service.post("/rpc/add_numbers", json={"a": 1}, headers=prefer)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST128")
    refused = await service.get("/notes", headers={"Prefer": "handling=strict, mode=quick"})
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST122")
    kept = (await service.get("/notes", params={"select": "kind", "order": "seq"})).json()
    assert [row["kind"] for row in kept] == ["odd", "even", "odd"]


async def test_times_are_of_the_time_zone_that_is_preferred(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json={"seq": 1, "made": "2026-01-01T12:00:00Z"})
    params = {"select": "made"}
    there = await service.get("/notes", params=params, headers={"Prefer": "timezone=Asia/Tokyo"})
    assert there.json() == [{"made": "2026-01-01T21:00:00+09:00"}]
    assert there.headers["Preference-Applied"] == "timezone=Asia/Tokyo"
    nowhere = await service.get("/notes", params=params, headers={"Prefer": "timezone=Nowhere"})
    assert (nowhere.json(), "Preference-Applied" in nowhere.headers) == (
        [{"made": "2026-01-01T12:00:00+00:00"}],
        False,
    )
    strict = await service.get("/notes", headers={"Prefer": "timezone=Nowhere, handling=strict"})
    assert (strict.status_code, strict.json()["code"]) == (400, "PGRST122")


async def test_what_a_row_leaves_out_gets_the_default_of_its_identity_domain_or_column(alone: Site) -> None:
    alone.sql(
        "create domain word as text default 'w';"
        " create table made (id int generated by default as identity primary key, w word, n int default 7,"
        " twice int generated always as (n * 2) stored); grant all on made to service_role"
    )
    rows = [{"n": 1}, {"id": 9, "w": "x"}]
    params = {"columns": "id,w,n"}
    prefer = {"Prefer": "missing=default, return=representation"}
    async with alone.rest(alone.keys.service_role_key) as client:
        made = await client.post("/made", json=rows, params=params, headers=prefer)
        assert made.headers["Preference-Applied"] == "missing=default, return=representation"
        changed = await client.patch(
            "/made", json={"w": "y"}, params={"columns": "w,n", "n": "eq.1"}, headers=prefer
        )
    assert made.json() == [{"id": 1, "w": "w", "n": 1, "twice": 2}, {"id": 9, "w": "x", "n": 7, "twice": 14}]
    assert changed.json() == [{"id": 1, "w": "y", "n": 7, "twice": 14}]


async def test_update_and_delete_touch_only_what_is_filtered(service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=_rows(4))
    prefer = {"Prefer": "return=representation"}
    changed = await service.patch(
        "/notes", params={"seq": "gt.3", "select": "seq,kind"}, json={"kind": "new"}, headers=prefer
    )
    assert changed.json() == [{"seq": 4, "kind": "new"}]
    gone = await service.delete("/notes", params={"kind": "eq.odd"})
    assert gone.status_code == 204
    left = await service.get("/notes", params={"select": "seq", "order": "seq"})
    assert [row["seq"] for row in left.json()] == [2, 4]


async def test_functions_take_named_arguments(service: httpx.AsyncClient) -> None:
    assert (await service.post("/rpc/add_numbers", json={"a": 1, "b": 2})).text == "3"
    assert (await service.post("/rpc/add_numbers", json={"a": 1})).text == "11"
    assert (await service.get("/rpc/add_numbers", params={"a": "5"})).text == "15"
    await service.post("/notes", json=_rows(2))
    assert (await service.post("/rpc/one_note", json={"s": 2})).json()["seq"] == 2
    assert [row["seq"] for row in (await service.post("/rpc/some_notes", json={"n": 5})).json()] == [1, 2]
    assert (await service.post("/rpc/nothing")).status_code == 204


async def test_an_sqlstate_pt_is_the_status_it_names(service: httpx.AsyncClient) -> None:
    answer = await service.post("/rpc/conflict")
    assert answer.status_code == 409
    assert answer.json() == {
        "code": "PT409",
        "message": "held by another",
        "details": "writer b",
        "hint": "adopt it",
    }


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "PGRST205"),
        ("POST", "/rpc/nowhere", {"json": {"a": 1}}, 404, "PGRST202"),
        ("POST", "/rpc/add_numbers", {"json": {"z": 1}}, 404, "PGRST202"),
        ("POST", "/notes", {"json": {"nope": 1}}, 400, "PGRST204"),
        ("POST", "/notes", {"json": [{"seq": 1}], "params": {"columns": "nope"}}, 400, "PGRST204"),
        ("POST", "/notes", {"content": b"{"}, 400, "PGRST102"),
        ("POST", "/notes", {"content": b"[{]", "params": {"columns": "seq"}}, 400, "22P02"),
        ("POST", "/notes", {"content": b"\xff", "params": {"columns": "seq"}}, 400, "22021"),
        ("POST", "/notes", {"json": [{"seq": 1}, {"kind": "x"}]}, 400, "PGRST102"),
        ("GET", "/notes", {"params": {"nope": "eq.1"}}, 400, "42703"),
        ("GET", "/notes", {"params": {"seq": "1"}}, 400, "PGRST100"),
        ("GET", "/notes", {"params": {"seq": "eq.x"}}, 400, "22P02"),
        ("GET", "/notes", {"params": {"order": "seq.up"}}, 400, "PGRST100"),
        ("GET", "/notes", {"headers": {"Accept-Profile": "auth"}}, 406, "PGRST106"),
        ("PUT", "/notes", {"json": {}}, 405, "PGRST117"),
    ],
)
async def test_errors_are_shaped_as_postgrest_shapes_them(
    shared: Site, method: str, path: str, kwargs: dict[str, object], status: int, code: str
) -> None:
    async with shared.rest(shared.keys.service_role_key) as client:
        answer = await client.request(method, path, **kwargs)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "details", "hint", "message"}


async def test_row_level_security_and_grants_are_postgresqls(site: Site, service: httpx.AsyncClient) -> None:
    await service.post("/notes", json=[{"seq": 1, "owner": None}, {"seq": 2, "owner": "ann"}])
    async with (
        site.rest(site.token(sub="ann")) as ann,
        site.rest(site.token(sub="bob")) as bob,
        site.rest() as anon,
    ):
        assert len((await ann.get("/notes")).json()) == 2
        assert [row["seq"] for row in (await bob.get("/notes")).json()] == [1]
        for answer in (await anon.get("/notes"), await anon.post("/rpc/only_service")):
            assert (answer.status_code, answer.json()["code"]) == (401, "42501")
        denied = await ann.post("/notes", json={"seq": 3})
        assert (denied.status_code, denied.json()["code"]) == (403, "42501")
        assert (await ann.post("/rpc/only_service")).status_code == 403
    assert (await service.post("/rpc/only_service")).json() == "yes"


async def test_a_request_needs_a_known_key_and_a_good_token(site: Site) -> None:
    bare = httpx.AsyncClient(base_url=f"{site.url}/rest/v1")
    async with bare:
        assert (await bare.get("/notes")).status_code == 401
        assert (await bare.get("/notes", headers={"apikey": "nonsense"})).status_code == 401
        assert (await bare.get("/notes", headers={"apikey": site.token()})).status_code == 401
    for token, code in (
        (site.token(ttl=-60), "PGRST303"),
        ("a.b", "PGRST301"),
        (site.token() + "x", "PGRST301"),
    ):
        async with site.rest(token) as client:
            answer = await client.get("/notes")
            assert (answer.status_code, answer.json()["code"]) == (401, code)
    async with site.rest(site.token(ttl=-60)) as client:
        assert (await client.get("/notes")).json()["message"] == "JWT expired"
    async with site.rest(site.token("postgres")) as client:
        assert (await client.get("/notes")).status_code == 403
    async with site.rest(site.token("nobody")) as client:
        assert (await client.get("/notes")).status_code == 401


async def test_a_request_runs_as_its_token_says_with_the_settings_of_its_role(shared: Site) -> None:
    async with shared.rest(shared.token(sub="ann")) as ann, shared.rest() as anon:
        told = (await ann.post("/rpc/whoami")).json()
        assert (told["user"], told["claims"]["sub"], told["method"]) == ("authenticated", "ann", "POST")
        assert (await ann.post("/rpc/patience")).json() == "8s"
        assert (await anon.post("/rpc/patience")).json() == "3s"


async def test_a_column_that_was_just_added_can_be_written(service: httpx.AsyncClient, site: Site) -> None:
    assert (await service.post("/plain", json={"id": 1, "later": 1})).status_code == 400
    site.sql("alter table plain add column later int")
    assert (await service.post("/plain", json={"id": 1, "later": 1})).status_code == 201


async def test_many_requests_at_once_all_answer(service: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(service.post("/notes", json=_rows(1, n)) for n in range(1, 61)))
    assert {answer.status_code for answer in answers} == {201}
    assert len((await service.get("/notes")).json()) == 60


async def test_sigterm_ends_it_promptly(alone: Site) -> None:
    async with alone.rest(alone.token()) as client:
        await client.get("/notes")
        alone.process.terminate()
        assert await asyncio.to_thread(alone.process.wait, 3) == 0


async def test_a_write_that_is_not_of_one_row_where_one_was_asked_for_is_undone(
    site: Site, service: httpx.AsyncClient
) -> None:
    one = {"Accept": "application/vnd.pgrst.object+json", "Prefer": "return=representation"}
    refused = await service.post("/notes", json=[{"seq": 1}, {"seq": 2}], headers=one)
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST116")
    assert site.sql("select count(*) from notes") == [(0,)]
    assert (await service.post("/notes", json=[{"seq": 1}], headers=one)).json()["seq"] == 1
    refused = await service.patch("/notes?seq=eq.9", json={"kind": "x"}, headers=one)
    assert (refused.status_code, refused.json()["details"]) == (406, "The result contains 0 rows")


async def test_more_rows_than_strictly_may_be_affected_are_let_be(
    site: Site, service: httpx.AsyncClient
) -> None:
    await service.post("/notes", json=[{"seq": 1}, {"seq": 2}])
    strict = {"Prefer": "handling=strict, max-affected=1"}
    refused = await service.delete("/notes?seq=gt.0", headers=strict)
    assert (refused.status_code, refused.json()["code"]) == (400, "PGRST124")
    assert site.sql("select count(*) from notes") == [(2,)]
    assert (await service.delete("/notes?seq=eq.1", headers=strict)).status_code == 204
    refused = await service.delete("/notes?seq=eq.2", headers={"Prefer": "handling=strict, anything"})
    assert (refused.status_code, refused.json()["details"]) == (400, "Invalid preferences: anything")
    assert (await service.delete("/notes?seq=eq.2", headers={"Prefer": "max-affected=0"})).status_code == 204
