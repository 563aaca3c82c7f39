"""A sticky experiment, over each way of asking: a `serve` of both transports on a real record, and a provider in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openfeature.evaluation_context import EvaluationContext

from migctl.config import Settings, Target
from migctl.flags.record import Record
from migctl.openfeature import MigctlProvider
from tests.kit.conditions import until
from tests.kit.flagging import write_share
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of

USERS = [f"user-{number}" for number in range(40)]
NEW = [f"new-{number}" for number in range(40)]
BULK = "/ofrep/v1/evaluate/flags"
EXPERIMENTS = "experiments: {transport: {sticky: true}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "configs" / "flags"
    path.mkdir(parents=True)
    (path / "experiments.yaml").write_text(EXPERIMENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def provider(folder: Path, target: Target) -> Iterator[MigctlProvider]:
    made = MigctlProvider(folder=folder / "app", settings=Settings(), target=target)
    made.initialize(EvaluationContext())
    yield made
    made.shutdown()


class Asking:
    """The ways of one serve, and those of the provider."""

    def __init__(self, serve: ServeProcess, provider: MigctlProvider, http: httpx.Client) -> None:
        self.serve, self._provider, self._http = serve, provider, http

    def bulk(self, user: str, tag: str | None = None) -> httpx.Response:
        headers = {"If-None-Match": tag} if tag is not None else {}
        return self._http.post(BULK, json={"context": {"targetingKey": user}}, headers=headers)

    def transport(self, user: str) -> tuple[str, str]:
        document = self._http.get("/api/transport", params={"user": user}).json()
        return document["assigned"], document["reason"]

    def all(self, user: str) -> set[tuple[str, str]]:
        """What each way answers, and why."""
        one = self._http.post(f"{BULK}/transport", json={"context": {"targetingKey": user}}).json()
        (every,) = (flag for flag in self.bulk(user).json()["flags"] if flag["key"] == "transport")
        here = self._provider.resolve_string_details("transport", "mine", EvaluationContext(user))
        return {
            self.transport(user),
            *((of["variant"], of["metadata"].get("migctl_reason", of["reason"])) for of in (one, every)),
            (str(here.variant), str(here.flag_metadata.get("migctl_reason", here.reason))),
        }


@pytest.mark.slow
async def test_every_way_of_asking_answers_what_is_kept_and_the_tag_changes_with_it(
    folder: Path, target: Target, record: Record, provider: MigctlProvider
) -> None:
    await write_share(record, 25)
    more = {**environment_of(target), "MIGCTL_WITNESS": "off"}
    with (
        serving_process(folder, "--mode", "dual", more=more) as serve,
        httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http,
    ):
        asking = Asking(serve, provider, http)
        await until(lambda: len({asking.transport(user)[0] for user in USERS}) == 2)
        await until(lambda: len(asking.all(USERS[0])) == 1)
        first = {user: asking.all(user) for user in USERS}
        assert {len(answers) for answers in first.values()} == {1}
        tags = {user: asking.bulk(user).headers["ETag"] for user in USERS}
        n = (await write_share(record, 75)).n

        def has_it() -> bool:
            held = provider._service
            return held is not None and held.assignments.snapshot.n == n

        await until(lambda: has_it() and asking.bulk(USERS[0]).json()["metadata"]["n"] == n)
        now = {user: asking.all(user) for user in USERS}
        assert {len(answers) for answers in now.values()} == {1}
        variants = {user: next(iter(of))[0] for user, of in first.items()}
        assert {user: next(iter(of))[0] for user, of in now.items()} == variants
        kept = [user for user, of in now.items() if next(iter(of)) == ("websocket", "KEPT")]
        assert kept
        assert sum(asking.transport(user)[0] == "realtime" for user in NEW) > len(NEW) / 2
        for user in kept:
            changed = asking.bulk(user, tags[user])
            assert changed.status_code == 200
            assert asking.bulk(user, changed.headers["ETag"]).status_code == 304
        answered = json.loads(
            run(folder, "flags", "eval", "transport", "--user", kept[0], "-o", "json", more=more).stdout
        )
        assert (answered["variant"], answered["reason"]) == ("websocket", "KEPT")
        shown = run(folder, "flags", "show", "transport", more=more)
        websocket = sum(variant == "websocket" for variant in variants.values())
        fresh = sum(asking.transport(user)[0] == "websocket" for user in NEW)
        assert f"sticky: {websocket + fresh} users keep websocket" in " ".join(shown.stderr.split())
        document = json.loads(run(folder, "flags", "show", "transport", "-o", "json", more=more).stdout)
        assert document["kept"] == {"websocket": websocket + fresh}
