"""A brake by hand, over HTTP and the control socket: once confirmed it holds after kill -9, whatever stores are away or old."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Target
from migctl.flags.record import Record
from migctl.flags.redis_store import RedisStore
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Snapshot
from migctl.server.access.tokens import mint_token
from migctl.stack.standin_process import StandinProcess
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.flagging import write_share
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of

NAME = "local/public"
USERS = [f"user-{number}" for number in range(40)]
HANDED = {
    "target": NAME,
    "brakes": {"b1": {"id": "b1", "flag": "transport", "max_percent": 0, "split": EVERYTHING}},
}


class Asked:
    """A serve, asked over HTTP with a token of purpose admin and one of purpose subscribe."""

    def __init__(self) -> None:
        self._admin, admin = mint_token("admin", "ada")
        self._reader, reader = mint_token("subscribe", "dashboard")
        self.tokens = f"{admin.entry},{reader.entry}"

    def get(self, serve: ServeProcess, path: str) -> Any:
        return self._said(httpx.get(f"{serve.url}{path}", headers=self._as(self._admin), trust_env=False))

    def hear(self, serve: ServeProcess, body: object) -> Any:
        return self._said(
            httpx.post(
                f"{serve.url}/admin/flags/hear", json=body, headers=self._as(self._admin), trust_env=False
            )
        )

    def refused(self, serve: ServeProcess) -> int:
        """What somebody gets who may only subscribe."""
        headers = self._as(self._reader)
        return httpx.post(
            f"{serve.url}/admin/flags/hear", json=HANDED, headers=headers, trust_env=False
        ).status_code

    def of(self, serve: ServeProcess, user: str) -> Any:
        with httpx.Client(headers=self._as(self._reader), trust_env=False) as http:
            return self._said(http.get(f"{serve.url}/api/transport", params={"user": user}))

    def on_realtime(self, serve: ServeProcess) -> int:
        return sum(self.of(serve, user)["assigned"] == "realtime" for user in USERS)

    @staticmethod
    def _as(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    @staticmethod
    def _said(answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()


async def opened(target: Target, percent: float = 100) -> Snapshot:
    """The record with this share: what a Redis had that is put back later."""
    record = Record(target, "public", NAME)
    try:
        return Snapshot(target=NAME).with_row(await write_share(record, percent))
    finally:
        await record.aclose()


async def put_into(redis_url: str, snapshot: Snapshot) -> None:
    async def nobody(_: Snapshot) -> None: ...

    store = RedisStore(redis_url, NAME, nobody)
    await store.merge(snapshot)
    await store.aclose()


@pytest.mark.slow
async def test_nobody_is_above_a_confirmed_brake_after_a_kill_with_both_stores_away_and_then_an_old_redis(
    target: Target, process: StandinProcess, valkey: Valkey, tmp_path: Path
) -> None:
    old = await opened(target)
    asked = Asked()
    environ = {
        **environment_of(target),
        "REDIS_URL": valkey.url,
        "MIGCTL_TOKENS": asked.tokens,
        "MIGCTL_WITNESS": "off",
    }
    folder = tmp_path / "serve"
    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assert asked.on_realtime(serve) == len(USERS)
        process.stop()
        valkey.stop()
        assert asked.refused(serve) == 403
        said = asked.hear(serve, HANDED)
        assert (said["confirmed"], said["brakes"]) == (True, ["b1"])
        assert asked.on_realtime(serve) == 0
        assert asked.of(serve, "u")["reason"] == "BRAKED"
        serve.send(signal.SIGKILL)
    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        assert (asked.on_realtime(serve), asked.of(serve, "u")["reason"]) == (0, "STALE")
        valkey.begin()
        valkey.wait_ready()
        await put_into(valkey.url, old)  # it has the share, and never heard of the brake
        await until(lambda: asked.get(serve, "/admin/flags")["tiers"]["redis"]["state"] == "running")
        assert asked.on_realtime(serve) == 0
        process.start()
        await until(lambda: not asked.get(serve, "/admin/flags")["blind"])
        assert (asked.on_realtime(serve), asked.of(serve, "u")["reason"]) == (0, "BRAKED")
        record = Record(target, "public", NAME)
        await until(lambda: asked.get(serve, "/admin/flags")["tiers"]["record"]["state"] == "running")
        said = await record.read()
        while "b1" not in said.snapshot.brakes:
            said = await record.read()
        # What ends it is a raise that names it, and nothing else.
        await write_share(record, 100, lifts=["b1"])
        await record.aclose()
        await until(lambda: asked.on_realtime(serve) == len(USERS))


@pytest.mark.slow
async def test_the_control_socket_needs_no_token_and_status_shows_the_brake(
    target: Target, tmp_path: Path
) -> None:
    await opened(target, 50)
    environ = {**environment_of(target), "MIGCTL_WITNESS": "off"}
    folder = tmp_path / "serve"
    with serving_process(folder, "--mode", "dual", more=environ) as serve:
        forbidden = httpx.post(f"{serve.url}/admin/flags/hear", json=HANDED, trust_env=False)
        assert forbidden.status_code == 403
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(folder / "serve.sock")), base_url="http://localhost"
        ) as http:
            assert http.post("/admin/flags/hear", json={**HANDED, "target": "another"}).status_code == 409
            assert http.post("/admin/flags/hear", content=b"{}").status_code == 422
            assert http.post("/admin/flags/hear", json=HANDED).json()["confirmed"] is True
        shown = run(folder, "status", more=environ)
        assert "everything at most 0 %" in shown.stdout.replace("\n", " ")
        said = json.loads(run(folder, "status", "--output", "json", more=environ).stdout)["flags"]
        assert (said["written"]["percent"], said["effective"]["percent"]) == (50, 0)
        page = httpx.get(f"{serve.url}/metrics", trust_env=False).text
        assert 'migctl_flags_share_percent{share="effective",split="all"} 0' in page
        assert [one["name"] for one in said["processes"]] != []
        serve.send(signal.SIGTERM)
        assert serve.process.wait(60) == 0
    record = Record(target, "public", NAME)
    assert (await record.read()).processes == (), "a clean stop leaves nobody waiting for it"
    await record.aclose()


@pytest.mark.slow
async def test_a_kill_switch_confirms_nothing_and_says_so(target: Target, tmp_path: Path) -> None:
    await opened(target, 0)
    asked = Asked()
    more = {"MIGCTL_FLAG_TRANSPORT": "realtime", "MIGCTL_TOKENS": asked.tokens, "MIGCTL_WITNESS": "off"}
    with serving_process(
        tmp_path / "serve", "--mode", "dual", more={**environment_of(target), **more}
    ) as serve:
        assert asked.of(serve, "u")["reason"] == "OVERRIDE"
        said = asked.hear(serve, HANDED)
        assert (said["confirmed"], "MIGCTL_FLAG_TRANSPORT" in said["why"]) == (False, True)
        assert asked.on_realtime(serve) == len(USERS)
