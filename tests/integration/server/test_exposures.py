"""The exposure log of a real `serve`: who asks is in it once a day, also after kill -9, and a disk that refuses fails nobody."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from migctl.experiments import lines
from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, serving_process

FLAGS = """
flags:
  transport:
    state: ENABLED
    variants: {realtime: realtime, websocket: websocket}
    defaultVariant: websocket
    targeting: {if: [{in: [{var: targetingKey}, [ann]]}, websocket, {fractional: [[realtime, 25], [websocket, 75]]}]}
  menu:
    state: ENABLED
    variants: {"on": true, "off": false}
    defaultVariant: "off"
    targeting: {fractional: [["on", 50], ["off", 50]]}
"""
EXPERIMENTS = "experiments: {transport: {}, menu: {}}\n"
MODE = ("--mode", "websocket")


def ask(serve: ServeProcess, users: int) -> None:
    with httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http:
        for user in ["ann", *(f"user-{number}" for number in range(users))]:
            for _ in range(2):
                assert http.get("/api/transport", params={"user": user}).status_code == 200
            body = {"context": {"targetingKey": user}}
            assert http.post("/ofrep/v1/evaluate/flags", json=body).status_code == 200
            assert http.post("/ofrep/v1/evaluate/flags/menu", json=body).status_code == 200


def written(folder: Path) -> list[lines.Line]:
    where = folder / lines.FOLDER
    return [
        one for day in lines.days_of(where) for one in lines.read_lines(lines.day_file(where, day)) if one
    ]


def prepared(folder: Path) -> Path:
    (folder / "configs" / "flags").mkdir(parents=True)
    (folder / "configs" / "flags" / "transport.yaml").write_text(FLAGS)
    (folder / "configs" / "flags" / "experiments.yaml").write_text(EXPERIMENTS)
    return folder


async def test_who_asks_is_logged_once_also_across_a_kill(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "serve")
    with serving_process(folder, *MODE) as serve:
        ask(serve, 20)
        await until(lambda: len([one for one in written(folder) if one.flag == "menu"]) == 21)
        serve.send(signal.SIGKILL)
    (day,) = lines.days_of(folder / lines.FOLDER)
    with lines.day_file(folder / lines.FOLDER, day).open("ab") as file:
        file.write(b'{"at": "2026-')
    with serving_process(folder, *MODE) as serve:
        ask(serve, 30)
        serve.stop()
    found = written(folder)
    menu = [one for one in found if one.flag == "menu"]
    assert len(menu) == len({one.user for one in menu}) == 31
    assert {one.assigned for one in menu} == {"on", "off"}
    assert all(one.drawn and one.transport is None for one in menu)
    drawn = [one for one in found if one.flag == "transport" and one.drawn]
    assert {one.percent for one in drawn} == {25.0}
    assert {one.user for one in found if one.named} == {
        lines.hashed("ann", lines.secret_of(folder / lines.FOLDER))
    }


async def test_a_log_that_can_not_be_written_fails_no_request_and_is_in_the_status(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "serve")
    (folder / lines.FOLDER).write_text("somebody's file")
    with serving_process(folder, *MODE) as serve:
        ask(serve, 3)
        with httpx.Client(base_url=serve.url, trust_env=False, timeout=60) as http:
            said = http.get("/api/status").json()["exposures"]
        assert said["flags"] == ["menu", "transport"]
        assert said["unwritten"] > 0
        assert "exposures" in said["reason"]
        assert "exposures can't be written" in serve.stop()
