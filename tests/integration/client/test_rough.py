"""The client in Node, whatever its application does: nothing is lost, nothing is left behind, and no error is nobody's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from migctl.config import Target
from migctl.journal.sqlite import SqliteJournal
from tests.kit.deployed import deployed
from tests.kit.following import ENTRY
from tests.kit.meddling import Wrong, meddling
from tests.kit.node import JS, NODE
from tests.kit.served import serving

CLOSED = {"ours": True, "what": "the subscriber was closed before it was ready", "retry": True}


async def rough(url: str, name: str) -> Any:
    """What came of it; the process has ended by itself."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        JS / "rough.mjs",
        ENTRY,
        url,
        name,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, complaints = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise AssertionError(f"{name}: the process does not end") from None
    assert process.returncode == 0, complaints.decode()
    said = json.loads(out)
    assert said["unhandled"] == []
    return said["result"]


async def test_who_leaves_the_loop_or_closes_ends_the_process(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert await rough(served.url, "leaves") == [1, 2]
        assert await rough(served.url, "closes") == []
        assert await rough(served.url, "closes at once") == [CLOSED, CLOSED, []]


async def test_mistakes_of_what_is_called_are_told_and_end_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        found = await rough(served.url, "throws in what is called")
        assert found == {"seqs": [1, 2, 3], "reconnects": 0, "complained": True}


async def test_second_loop_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        first, second = await rough(served.url, "iterates twice")
        assert first == [1, 2, 3]
        assert (second["ours"], second["what"]) == (True, "this subscriber is iterated twice")


@pytest.mark.parametrize("storage", ["throws", "is switched off", "is full"])
async def test_storage_that_can_not_be_used_is_logged_once_and_ends_nothing(
    storage: str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served:
        found = await rough(served.url, f"has a storage that {storage}")
    assert (found["began"], found["seqs"]) == (0, [1, 2])
    assert found["logs"].count("the position can not be kept") == 1


async def test_what_others_wrote_into_the_storage_is_no_position(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        found = await rough(served.url, "has a storage that others wrote")
    assert found == [True] * 13


async def test_each_of_two_tabs_goes_on_where_it_was_and_a_new_one_at_the_furthest(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        found = await rough(served.url, "has two tabs")
    places = found["places"]
    assert (places["ahead"], places["fresh"]) == (10, 10)
    assert 0 < places["behind"] < 3
    assert found["first"] == {way: at + 1 for way, at in places.items()}


async def test_position_that_is_kept_never_leads_what_was_handed_out(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert await rough(served.url, "is left before it was read")


@pytest.mark.slow
async def test_tokens_that_the_application_does_not_give_leave_the_other_transport(
    target: Target, journal: SqliteJournal
) -> None:
    async with deployed(journal, target, assigned="realtime") as server:
        assert await rough(server.url, "gives no token") == [1, 1, 1, 1]


@pytest.mark.parametrize("status", [0, 1, 503])
async def test_nobody_who_answers_is_an_error_after_the_time_and_can_be_left_before(
    status: int, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served, meddling(served.url) as between:
        between.wrong["/"] = Wrong(status)
        ready, loop = await rough(between.url, "has nobody who answers")
        assert ready == loop
        assert (ready["ours"], ready["retry"]) == (True, True)
        assert await rough(between.url, "leaves who does not answer") == CLOSED
