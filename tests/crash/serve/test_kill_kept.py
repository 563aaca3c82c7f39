"""Sticky experiments of a real `serve`: what users got by a percentage they keep, over every way of asking and across kill -9."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx

from migctl.experiments import lines
from migctl.experiments.keeping import FILE
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, run, serving_process

FLAGS = """
flags:
  transport:
    state: ENABLED
    variants: {{realtime: realtime, websocket: websocket}}
    defaultVariant: websocket
    targeting: {{fractional: [[realtime, {share}], [websocket, {rest}]]}}
  menu:
    state: ENABLED
    variants: {{"on": true, "off": false}}
    defaultVariant: "off"
    targeting: {{fractional: [["on", {share}], ["off", {rest}]]}}
"""
EXPERIMENTS = "experiments: {transport: {sticky: true}, menu: {sticky: true}}\n"
MODE = ("--mode", "websocket")
USERS = [f"user-{number}" for number in range(60)]


def write_flags(folder: Path, share: int) -> None:
    path = folder / "configs" / "flags"
    path.mkdir(parents=True, exist_ok=True)
    (path / "transport.yaml").write_text(FLAGS.format(share=share, rest=100 - share))
    (path / "experiments.yaml").write_text(EXPERIMENTS)


def body(user: str) -> dict[str, Any]:
    return {"context": {"targetingKey": user}}


def menu(serve: ServeProcess, users: list[str] = USERS) -> dict[str, Any]:
    """What OFREP answers each, one flag by its key."""
    with httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http:
        return {user: http.post("/ofrep/v1/evaluate/flags/menu", json=body(user)).json() for user in users}


def kept(folder: Path, *, torn: bool = False) -> list[dict[str, Any]]:
    """torn: the last line may be half written."""
    path = folder / lines.FOLDER / FILE
    text = path.read_bytes() if path.exists() else b""
    whole = text[: text.rfind(b"\n") + 1] if torn else text
    return [json.loads(line) for line in whole.splitlines()]


async def test_who_got_a_variant_keeps_it_after_a_kill_though_the_share_changed(tmp_path: Path) -> None:
    write_flags(tmp_path, 50)
    with serving_process(tmp_path, *MODE) as serve:
        first = menu(serve)
        assert {one["variant"] for one in first.values()} == {"on", "off"}
        with httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http:
            bulk = http.post("/ofrep/v1/evaluate/flags", json=body(USERS[0]))
            again = http.post(
                "/ofrep/v1/evaluate/flags",
                json=body(USERS[0]),
                headers={"If-None-Match": bulk.headers["ETag"]},
            )
            assert again.status_code == 304
        await until(
            lambda: len({one["user"] for one in kept(tmp_path) if one["flag"] == "menu"}) == len(USERS)
        )
        serve.send(signal.SIGKILL)
    with (tmp_path / lines.FOLDER / FILE).open("ab") as file:
        file.write(b'{"flag":"me')
    write_flags(tmp_path, 90)
    with serving_process(tmp_path, *MODE) as serve:
        now = menu(serve)
        assert {user: one["variant"] for user, one in now.items()} == {
            user: one["variant"] for user, one in first.items()
        }
        reasons = {one["metadata"].get("migctl_reason", one["reason"]) for one in now.values()}
        assert reasons == {"KEPT", "TARGETING_MATCH"}
        held = next(user for user, one in now.items() if one["metadata"].get("migctl_reason") == "KEPT")
        with httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http:
            every = {
                one["key"]: one
                for one in http.post("/ofrep/v1/evaluate/flags", json=body(held)).json()["flags"]
            }
            assert every["menu"] == now[held]
            status = http.get("/api/status").json()["kept"]
        assert (status["flags"], status["unkept"], status["reason"]) == (["menu", "transport"], 0, None)
        assert status["kept"] >= len(USERS)
        new = menu(serve, [f"new-{number}" for number in range(60)])
        assert sum(one["variant"] == "on" for one in new.values()) > 40
        more = {
            "MIGCTL_FLAGS_FILE": str(tmp_path / "configs" / "flags" / "transport.yaml"),
            "MIGCTL_MODE": "websocket",
        }
        evaluated = json.loads(
            run(tmp_path, "flags", "eval", "menu", "--user", held, "-o", "json", more=more).stdout
        )
        assert (evaluated["variant"], evaluated["reason"]) == (now[held]["variant"], "KEPT")
    write_flags(tmp_path, 100)
    with serving_process(tmp_path, *MODE) as serve:
        assert {one["variant"] for one in menu(serve).values()} == {"on"}
    write_flags(tmp_path, 50)
    with serving_process(tmp_path, *MODE) as serve:
        assert {user: one["variant"] for user, one in menu(serve).items()} == {
            user: one["variant"] for user, one in first.items()
        }


async def test_a_kill_while_users_are_answered_loses_none_that_was_on_disk(tmp_path: Path) -> None:
    write_flags(tmp_path, 50)
    answered: dict[str, str] = {}
    with serving_process(tmp_path, *MODE) as serve, httpx.Client(trust_env=False, timeout=60) as http:

        def ask_until_it_is_dead() -> None:
            for number in range(100_000):
                try:
                    one = http.post(f"{serve.url}/ofrep/v1/evaluate/flags/menu", json=body(f"user-{number}"))
                except httpx.HTTPError:
                    return
                answered[f"user-{number}"] = one.json()["variant"]

        asking = asyncio.create_task(asyncio.to_thread(ask_until_it_is_dead))
        await until(lambda: len(kept(tmp_path, torn=True)) > 100)
        serve.send(signal.SIGKILL)
        await asking
    secret = lines.secret_of(tmp_path / lines.FOLDER)
    on_disk = {one["user"]: one["variant"] for one in kept(tmp_path, torn=True)}
    users = [user for user in answered if lines.hashed(user, secret) in on_disk]
    assert len(users) > 100
    assert {user: on_disk[lines.hashed(user, secret)] for user in users} == {
        user: answered[user] for user in users
    }
    write_flags(tmp_path, 95)
    with serving_process(tmp_path, *MODE) as serve:
        now = menu(serve, users)
        assert {user: one["variant"] for user, one in now.items()} == {user: answered[user] for user in users}
        assert any(one["metadata"].get("migctl_reason") == "KEPT" for one in now.values())


async def test_without_sticky_nothing_is_kept(tmp_path: Path) -> None:
    write_flags(tmp_path, 50)
    (tmp_path / "configs" / "flags" / "experiments.yaml").write_text("experiments: {menu: {}}\n")
    with serving_process(tmp_path, *MODE) as serve:
        menu(serve, USERS[:5])
        assert httpx.get(f"{serve.url}/api/status", trust_env=False).json()["kept"] is None
        serve.stop()
    assert kept(tmp_path) == []
