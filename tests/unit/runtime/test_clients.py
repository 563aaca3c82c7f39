"""What a process that does not answer counts for, and one that nobody could even name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from migctl.flags.disk import Process
from migctl.rollout.completing import Asked
from migctl.runtime.clients import Answered, Asking, ask_clients
from migctl.status.clients import ClientsStatus

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SAID = ClientsStatus(process="1", name="a:1", mode="websocket", at=NOW, remembers_from=NOW, clients=[])


def test_who_does_not_answer_and_who_is_not_listed_have_no_memory_that_one_could_go_by() -> None:
    found = Asking(
        "here", (Answered("1", "a:1", SAID), Answered("2", "b:2", None, "no answer")), "the record is away"
    )
    assert found.asked == (
        Asked(process="a:1", remembers_from=NOW, mode="websocket"),
        Asked(process="b:2", remembers_from=None),
        Asked(process="the record is away", remembers_from=None),
    )


async def test_where_nothing_was_ever_started_nobody_is_made_up_and_who_is_known_is_named(
    tmp_path: Path,
) -> None:
    assert await ask_clients(tmp_path, (), None, within_s=1.0) == ()
    known = Process("1", "a:1", None, "", ""), Process("2", "b:2", "http://127.0.0.1:9", "", "")
    first, second = await ask_clients(tmp_path, known, None, within_s=1.0)
    assert (first.name, first.status, first.why) == ("a:1", None, "it has no address")
    assert (second.name, second.status) == ("b:2", None)
