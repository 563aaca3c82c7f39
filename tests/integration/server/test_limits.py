"""What bounds a request, with a real journal and, for the token, a stand-in that asks PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx

from migctl.config import Target
from migctl.server import Assignment
from tests.kit.assigning import everybody
from tests.kit.serve_process import run, serving_process
from tests.kit.served import serving

GOOD = {"event_type": "x", "data": {}}


async def test_each_bound_is_413_names_the_item_and_stores_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        many = await served.http.post("/events", json=[GOOD] * 10_001)
        large = await served.http.post("/events", json=[GOOD, {**GOOD, "data": {"x": "y" * (1 << 20)}}])
        assert (many.status_code, large.status_code) == (413, 413)
        assert (large.json()["errors"][0]["index"], large.json()["errors"][0]["field"]) == (1, "data")
        assert served.journal.head == 0
        edge = await served.http.post("/events", json=[GOOD] * 10_000)
        assert edge.json()["accepted"] == 10_000


async def test_retry_with_its_key_is_a_duplicate_and_a_changed_body_a_conflict(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        keyed = {"Idempotency-Key": "batch 7"}
        first = await served.http.post("/events", json=[GOOD, GOOD], headers=keyed)
        again = await served.http.post("/events", json=[GOOD, GOOD], headers=keyed)
        longer = await served.http.post("/events", json=[GOOD, GOOD, GOOD], headers=keyed)
        changed = await served.http.post("/events", json=[{**GOOD, "data": {"n": 1}}, GOOD], headers=keyed)
        keyless = [await served.http.post("/events", json=GOOD) for _ in range(2)]
    assert (first.json()["accepted"], again.json()["accepted"], again.json()["duplicates"]) == (2, 0, 2)
    assert (longer.json()["accepted"], longer.json()["duplicates"]) == (1, 2)
    assert (changed.status_code, changed.json()["errors"][0]["code"]) == (409, "conflict")
    assert [answer.json()["accepted"] for answer in keyless] == [1, 1]  # without a key a retry doubles


def test_full_journal_is_503_with_a_time_and_status_says_so(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text("journal: {min_free_bytes: 1000000000000000}\n")
    with serving_process(tmp_path, "--mode", "websocket") as serve:
        answer = httpx.post(f"{serve.url}/events", json=GOOD)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1"), answer.text
        assert httpx.get(f"{serve.url}/readyz").status_code == 503
        assert b"\nmigctl_journal_full 1.0\n" in httpx.get(f"{serve.url}/metrics").content
        told = run(tmp_path, "status")
        assert told.returncode == 1
        assert "journal: takes no events" in told.stdout


async def test_minted_token_reads_the_table_and_writes_nothing(standin: Target) -> None:
    assignment = Assignment(assign=everybody("realtime"), target=standin, schema="public", epoch=lambda: "E")
    told = await assignment.document("u", datetime.now(UTC))
    headers = {"apikey": told["anon_key"], "Authorization": f"Bearer {told['access_token']}"}
    async with httpx.AsyncClient(base_url=f"{told['supabase_url']}/rest/v1", headers=headers) as rest:
        assert (await rest.get("/monitoring_events", params={"select": "id"})).json() == []
        row = {"id": "0190a000-0000-7000-8000-000000000001", "event_type": "x", "data": {}, "source": "s"}
        written = await rest.post("/monitoring_events", json={**row, "timestamp": "2026-01-31T12:00:00Z"})
        assert written.status_code in (401, 403), written.text
