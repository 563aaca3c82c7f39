"""The story of one event from a serve before a real table: each fate, and each moment between the two that it lies between."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from migctl.config import Target
from migctl.events.ids import canonical_id
from migctl.stack.standin_process import StandinProcess
from tests.kit.conditions import until
from tests.kit.serve_process import run, serving_process
from tests.kit.targets import environment_of


class Asking:
    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30.0, headers={"Connection": "close"})

    def post(self, *events: dict[str, Any], status: int = 201) -> Any:
        answer = self.http.post("/events", json=[{"event_type": "cpu", "data": {}, **one} for one in events])
        assert answer.status_code == status, answer.text
        return answer.json()

    def story(self, **query: str | int) -> Any:
        answer = self.http.get("/api/story", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def once(self, fate: str, **query: str | int) -> Any:
        """The story, once it has this fate."""
        return await until(lambda: found if (found := self.story(**query))["fate"] == fate else None)


def step(story: Any, part: str) -> Any:
    (found,) = [one for one in story["steps"] if one["part"] == part]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_an_event_that_went_all_its_way_has_every_moment_in_order(
    standin: Target, tmp_path: Path
) -> None:
    with serving_process(tmp_path, "--mode", "dual", more=environment_of(standin)) as serve:
        asking = Asking(serve.url)
        await until(
            lambda: asking.http.get("/api/status").json()["transports"]["realtime"]["state"] == "connected"
        )
        before = datetime.now(UTC)
        asking.post({"id": "order-7", "data": {"n": 1}})

        async def whole() -> bool:
            steps = (await asking.once("delivered", id="order-7"))["steps"]
            return {one["state"] for one in steps} == {"done"}

        await until(whole)
        found = await asking.once("delivered", id="order-7")
        after = datetime.now(UTC)
        assert (found["source_id"], found["id"]) == ("order-7", canonical_id("order-7")[0])
        assert (found["seq"], found["data"]) == (1, '{"n":1}')
        assert [one["part"] for one in found["steps"]] == [
            "producer",
            "journal",
            "websocket",
            "realtime",
            "table",
        ]
        assert {one["state"] for one in found["steps"]} == {"done"}
        for part in ("journal", "websocket", "realtime", "table"):
            assert before <= moment(step(found, part)["at"]) <= after, part
        assert step(found, "realtime")["reason"] == "broadcast as a hint"
        assert "none was attached" in step(found, "websocket")["reason"]
        assert "read back" in step(found, "table")["reason"]
        # By its position it is the same story.
        by_seq = asking.story(epoch=found["epoch"], seq=1)
        assert (by_seq["id"], by_seq["fate"]) == (found["id"], "delivered")
    # Another serve knows that it is there, and makes up no moment.
    with serving_process(tmp_path, "--mode", "dual", more=environment_of(standin)) as serve:
        again = Asking(serve.url).story(id="order-7")
        assert again["fate"] == "delivered"
        for part in ("websocket", "realtime"):
            assert (step(again, part)["state"], step(again, part)["at"]) == ("unknown", None)


async def test_a_tombstone_a_dead_letter_and_a_rejection_are_told_apart(
    standin: Target, migrated: str, tmp_path: Path
) -> None:
    with serving_process(tmp_path, "--mode", "dual", more=environment_of(standin)) as serve:
        asking = Asking(serve.url)
        asking.post({"id": "poison", "data": {"x": "\u0000"}}, {"id": "good"})
        found = await asking.once("dead letter", id="poison")
        assert "tombstone" in step(found, "table")["reason"]
        letter = step(found, "dead letter")
        assert letter["state"] == "failed" and "migctl deadletter list" in letter["reason"]
        assert (await asking.once("delivered", id="good"))["seq"] == 2

        asking.post({"id": "bent", "data": 7}, status=422)
        bent = asking.story(id="bent")
        assert bent["fate"] == "rejected" and bent["seq"] is None and bent["steps"][0]["at"] is not None
        asking.post({"id": "good", "data": {"other": 1}}, status=409)
        assert asking.story(id="good")["fate"] == "delivered"  # the one that was taken is

        assert asking.story(id="never")["fate"] == "unknown"
        assert asking.story(epoch=found["epoch"], seq=99)["fate"] == "unknown"

        # What was there and is not any more is said to be lost, never to be delivered.
        assert run(tmp_path, "ctl", "set", "relay.compare_every_s", "0").returncode == 0
        with psycopg.connect(migrated) as connection:
            connection.execute("delete from monitoring_events where seq = 2")
        assert asking.story(id="good")["fate"] == "lost"


async def test_one_that_waits_says_why_and_a_table_that_is_away_is_not_read_as_empty(
    process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    more = environment_of(target)
    with serving_process(tmp_path, "--mode", "dual", more=more) as serve:
        asking = Asking(serve.url)
        asking.post({"id": "first"})
        await asking.once("delivered", id="first")
        assert run(tmp_path, "ctl", "throttle", "nightly vacuum", more=more).returncode == 0
        asking.post({"id": "held"})
        held = asking.story(id="held")
        assert held["fate"] == "under way" and "nightly vacuum" in step(held, "table")["reason"]
        assert step(held, "table")["at"] is None
        process.stop()
        first = asking.story(id="first")
        assert first["fate"] == "delivered" and "can't be read back" in step(first, "table")["reason"]
        never = asking.story(id="never")
        assert never["fate"] == "unknown" and "can't be read" in never["reason"]
