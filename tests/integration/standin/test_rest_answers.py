"""What a body may be, and what an answer says beside its rows: as PostgREST does, or refused."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.standin.conftest import Site

URL_ENCODED = "application/x-www-form-urlencoded"


async def test_lines_are_rows_of_text_and_null_is_a_word(service: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/csv", "Prefer": "return=representation"}
    body = 'id,name,price\r\n1,"a, ""quoted""\nname",0.10\r\n\r\n2,NULL,NULL\n'
    answer = await service.post("/plain", content=body, params={"select": "id,name,price"}, headers=headers)
    assert (answer.status_code, answer.json()) == (
        201,
        [{"id": 1, "name": 'a, "quoted"\nname', "price": 0.10}, {"id": 2, "name": None, "price": None}],
    )
    answer = await service.patch("/plain?id=eq.1", content="name\nx\n", headers=headers)
    assert answer.json()[0]["name"] == "x"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("id,name\n1\n", "All lines must have same number of fields"),
        ("", "parse error (not enough input)"),
        ('id,name\n1,"open', "parse error (unexpected end of data)"),
        ("id,nme\n1,x\n", "Could not find the 'nme' column of 'plain' in the schema cache"),
    ],
)
async def test_lines_that_are_no_rows_are_refused(
    service: httpx.AsyncClient, site: Site, body: str, message: str
) -> None:
    refused = await service.post("/plain", content=body, headers={"Content-Type": "text/csv"})
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert site.sql("select count(*) from plain") == [(0,)]


async def test_a_form_is_one_row_or_the_arguments_of_a_call(service: httpx.AsyncClient) -> None:
    headers = {"Content-Type": f"{URL_ENCODED}; charset=utf-8", "Prefer": "return=representation"}
    answer = await service.post("/plain", content="id=3&name=a+b%26c", headers=headers)
    assert [(row["id"], row["name"]) for row in answer.json()] == [(3, "a b&c")]
    assert (await service.post("/rpc/add_numbers", content="a=1&b=5", headers=headers)).json() == 6


@pytest.mark.parametrize("path", ["/plain", "/rpc/add_numbers"])
async def test_what_is_no_body_for_rows_is_refused_by_name(
    service: httpx.AsyncClient, site: Site, path: str
) -> None:
    for kind in ("application/octet-stream", "text/html; charset=utf-8", "application/geo+json"):
        refused = await service.post(path, content='{"id": 1}', headers={"Content-Type": kind})
        assert refused.status_code == 400, kind
        assert refused.json()["code"] == "PGRST102"
        assert refused.json()["message"] == f"Content-Type not acceptable: {kind.partition(';')[0]}"
    assert site.sql("select count(*) from plain") == [(0,)]


async def test_who_wants_headers_alone_is_told_where_the_one_row_is(service: httpx.AsyncClient) -> None:
    prefer = {"Prefer": "return=headers-only"}
    made = await service.post("/plain", json={"id": 5, "name": "x"}, headers=prefer)
    assert (made.status_code, made.content) == (201, b"")
    assert (made.headers["Location"], made.headers["Preference-Applied"]) == (
        "/plain?id=eq.5",
        "return=headers-only",
    )
    assert (await service.get(made.headers["Location"])).json()[0]["name"] == "x"
    two = await service.post("/plain", json=[{"id": 6}, {"id": 7}], headers=prefer)
    assert (two.status_code, "Location" in two.headers) == (201, False)
    keyless = await service.post("/keyless", json={"name": "x"}, headers=prefer)
    assert (keyless.status_code, "Location" in keyless.headers) == (201, False)
    refused = await service.post("/plain", json={"id": 5}, headers=prefer)
    assert (refused.status_code, refused.json()["code"]) == (409, "23505")


async def test_an_upsert_that_put_nothing_in_is_no_201(service: httpx.AsyncClient) -> None:
    prefer = {"Prefer": "resolution=merge-duplicates"}
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    answers = [
        await service.post("/plain", json=some, headers=prefer) for some in (rows[:1], rows, rows, rows)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200, 200]
    ignoring = await service.post("/plain", json=rows, headers={"Prefer": "resolution=ignore-duplicates"})
    assert ignoring.status_code == 201
    keyless = await service.post("/keyless", json={"name": "x"}, headers=prefer)
    assert (keyless.status_code, "Preference-Applied" in keyless.headers) == (201, False)


async def test_a_change_says_which_rows_and_how_many(service: httpx.AsyncClient) -> None:
    await service.post("/plain", json=[{"id": 1}, {"id": 2}])
    counted = {"Prefer": "count=exact"}
    changed = await service.patch("/plain?id=gt.0", json={"name": "x"}, headers=counted)
    assert (changed.status_code, changed.headers["Content-Range"]) == (204, "0-1/2")
    none = await service.patch("/plain?id=gt.9", json={"name": "x"}, headers=counted)
    assert none.headers["Content-Range"] == "*/0"
    gone = await service.delete("/plain?id=gt.0", headers=counted)
    assert gone.headers["Content-Range"] == "*/2"


async def test_a_function_says_what_the_answers_status_and_headers_are(
    service: httpx.AsyncClient, site: Site
) -> None:
    site.sql(
        "create or replace function public.answers(status text, headers text) returns text language sql as"
        " $$select set_config('response.status', status, true); select set_config('response.headers', headers, true);"
        " select 'body'$$"
    )
    try:
        good = {"status": "418", "headers": '[{"X-Kind": "tea"}, {"Content-Type": "text/plain"}]'}
        answer = await service.post("/rpc/answers", json=good)
        assert (answer.status_code, answer.json(), answer.headers["X-Kind"]) == (418, "body", "tea")
        assert answer.headers["Content-Type"] == "text/plain"
        for bad, code in (
            ({"status": "tea", "headers": ""}, "PGRST112"),
            ({"status": "", "headers": '{"a": 1}'}, "PGRST111"),
            ({"status": "", "headers": '[{"a": 1}]'}, "PGRST111"),
            ({"status": "", "headers": '[{"a": "x\\r\\ny"}]'}, "PGRST111"),
        ):
            refused = await service.post("/rpc/answers", json=bad)
            assert (refused.status_code, refused.json()["code"]) == (500, code), bad
    finally:
        site.sql("drop function public.answers")
