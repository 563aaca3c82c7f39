"""Table writer: answers that a real server won't give on demand."""

from __future__ import annotations

import httpx
import pytest
import respx

from migctl.config import Target
from migctl.errors import Systemic, Transient
from migctl.target import TableWriter
from migctl.target.errors import Rejected
from migctl.target.rest import LARGE_BYTES
from migctl.target.table import encode_row
from tests.kit.entries import entry

TARGET = Target("http://127.0.0.1:9", service_role_key="key")


async def _write(*answers: httpx.Response | Exception) -> list[object]:
    """What one write after another comes to."""
    writer, results = TableWriter(TARGET, "public"), []
    with respx.mock() as mock:
        mock.post(url__startswith="http://127.0.0.1:9/rest/v1/monitoring_events").mock(
            side_effect=list(answers)
        )
        for _ in answers:
            try:
                results.append(await writer.write([entry(1), entry(2)]))
            except Exception as error:  # the test looks at its kind
                results.append(error)
    await writer.aclose()
    return results


async def test_first_401_is_retried_and_the_second_in_a_row_is_systemic() -> None:
    refused, fine = httpx.Response(401, text="{}"), httpx.Response(201, text='[{"seq":1},{"seq":2}]')
    results = await _write(refused, refused, fine, refused)
    assert isinstance(results[0], Transient)
    assert isinstance(results[1], Systemic)
    assert results[2].inserted == 2
    assert isinstance(results[3], Transient)


async def test_page_of_another_service_is_systemic_though_it_says_200() -> None:
    (result,) = await _write(httpx.Response(200, text="<html>Welcome to nginx</html>"))
    assert isinstance(result, Systemic)
    assert "Welcome to nginx" in result.what


async def test_too_large_a_request_is_poison_so_that_the_batch_is_halved() -> None:
    (result,) = await _write(httpx.Response(413, text="<html>413 Request Entity Too Large</html>"))
    assert isinstance(result, Rejected)
    assert result.code == "413"


async def test_timeout_is_transient_and_names_the_seqs() -> None:
    (result,) = await _write(httpx.ReadTimeout("late"))
    assert isinstance(result, Transient)
    assert "write seq 1 to 2 of" in result.what


async def test_request_asks_for_the_seqs_back_and_ignores_duplicates() -> None:
    writer = TableWriter(TARGET, "metrics")
    with respx.mock() as mock:
        route = mock.post(url__startswith="http://127.0.0.1:9/rest/v1/").respond(201, text='[{"seq":7}]')
        await writer.write([entry(7, b'{"a": 1.10}')])
    await writer.aclose()
    request = route.calls.last.request
    assert request.url.params["on_conflict"] == "id"
    assert request.url.params["select"] == "seq"
    assert request.headers["Content-Profile"] == "metrics"
    assert request.headers["Prefer"] == "return=representation,resolution=ignore-duplicates"
    assert b'"data":{"a": 1.10},' in request.content


@pytest.mark.parametrize("body", ["{}", '[{"id":1}]', "[1]", ""])
async def test_answer_without_seqs_moves_nothing(body: str) -> None:
    (result,) = await _write(httpx.Response(201, text=body))
    assert isinstance(result, Systemic)


async def test_what_is_read_back_comes_in_halves_where_it_is_too_much() -> None:
    ours = [entry(seq) for seq in range(1, 5)]

    def read_back(request: httpx.Request) -> httpx.Response:
        ids = request.url.params["id"]
        wanted = [each for each in ours if each.event.id in ids]
        if len(wanted) > 1:
            return httpx.Response(200, content=b" " * (LARGE_BYTES + 1))
        (row,) = wanted
        return httpx.Response(200, content=b"[%b]" % encode_row(row))

    writer = TableWriter(TARGET, "public")
    with respx.mock() as mock:
        mock.post().respond(201, text="[]")
        asked = mock.get().mock(side_effect=read_back)
        written = await writer.write(ours)
    await writer.aclose()
    assert (written.inserted, written.repeated, written.tombstones) == (0, 4, ())
    assert asked.call_count == 1 + 2 + 4


async def test_a_stranger_may_call_an_epoch_as_he_likes() -> None:
    writer = TableWriter(TARGET, "public")
    with respx.mock() as mock:
        route = mock.get().respond(200, text="[]")
        assert await writer.reach("a&seq=gt.0#é", 5) == 5
        assert route.calls.last.request.url.params["epoch"] == "eq.a&seq=gt.0#é"
    await writer.aclose()


async def test_a_table_that_goes_on_for_ever_with_what_was_there_is_not_followed() -> None:
    writer = TableWriter(TARGET, "public")
    with respx.mock() as mock:
        mock.get().respond(200, text='[{"seq":1},{"seq":2}]')
        with pytest.raises(Systemic, match="asked for 3 to"):
            await writer.reach("e", 0)
    await writer.aclose()
