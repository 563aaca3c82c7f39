"""docs/cutover.md: its commands run in the order of the page, and an old dashboard gets each event once from morning to evening."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.kit.conditions import until
from tests.kit.old_dashboard import Dashboard, dashboard
from tests.kit.old_service import OldService, old_service
from tests.kit.serve_process import ServeProcess, run, serving_process

PAGE = (Path(__file__).parents[2] / "docs" / "cutover.md").read_text()
(SETTINGS,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
STEPS = {
    title: [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}


class Day:
    def __init__(self, folder: Path, serve: ServeProcess, board: Dashboard) -> None:
        self.folder = folder
        self.serve = serve
        self.board = board
        self.count = 0

    async def commands(self, *lines: str) -> list[str]:
        """Each ends with the exit code that stands behind it, else with 0; what they print."""
        return [await asyncio.to_thread(self._run, line) for line in lines]

    def _run(self, line: str) -> str:
        program, *words = shlex.split(line, comments=True)
        code = re.search(r"# exit code (\d)", line)
        if program == "migctl":
            done = run(self.folder, *words, more={"MIGCTL_LISTEN": self.serve.url.removeprefix("http://")})
        else:
            words = [word.replace("http://127.0.0.1:8080", self.serve.url) for word in words]
            done = subprocess.run(
                [program, "--noproxy", "*", *words], capture_output=True, text=True, timeout=60, check=False
            )
        assert done.returncode == int(code[1] if code else 0), f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    async def broadcast(self, old: OldService) -> None:
        await old.publish(
            json.dumps({"type": "session_metrics", "data": {"n": self._next()}, "timestamp": 81.5})
        )

    async def publish(self) -> None:
        event = {"event_type": "session_metrics", "data": {"n": self._next()}}
        await self.commands(f"curl -sf http://127.0.0.1:8080/events -d {shlex.quote(json.dumps(event))}")

    async def all_came_once(self) -> None:
        await until(lambda: len(self.board.events) >= self.count)
        assert sorted(self.board.events) == list(range(self.count))

    async def is_answered(self) -> None:
        before = self.board.others.count("stats")
        await self.board.socket.send('{"command":"get_stats"}')
        await until(lambda: self.board.others.count("stats") == before + 1)

    async def is_away(self) -> None:
        """The old service was tried in vain."""

        async def tried() -> bool:
            async with httpx.AsyncClient(trust_env=False) as http:
                told = (await http.get(f"{self.serve.url}/api/status")).json()
            return told["transports"]["websocket"]["upstream"]["reason"] is not None

        await until(tried)

    def _next(self) -> int:
        self.count += 1
        return self.count - 1


@pytest.mark.slow
async def test_the_day_from_the_first_step_to_the_last_and_back(tmp_path: Path) -> None:
    assert [len(lines) for lines in STEPS.values()] == [2, 2, 3, 2, 1, 3]
    before, both, moved, alone, ended, back = STEPS.values()
    async with contextlib.AsyncExitStack() as first, contextlib.AsyncExitStack() as stack:
        old = await first.enter_async_context(old_service())
        port = int(old.url.split(":")[2].split("/")[0])
        assert "ws://127.0.0.1:9090/ws" in SETTINGS
        (tmp_path / "migctl.yaml").write_text(SETTINGS.replace("ws://127.0.0.1:9090/ws", old.url))
        serve = stack.enter_context(serving_process(tmp_path, "--mode", "websocket"))
        board = await stack.enter_async_context(dashboard(serve.ws_url))
        day = Day(tmp_path, serve, board)
        await until(lambda: len(old.clients) == 2 and board.others == ["initial_stats"])
        await day.broadcast(old)
        assert "fed: 1 by the old service; legacy.serve auto" in (await day.commands(*before))[-1]

        assert "fed: 1 by both; legacy.serve both" in (await day.commands(*both))[-1]
        await day.broadcast(old)

        told = json.loads((await day.commands(*moved))[-1])["transports"]["websocket"]["upstream"]
        assert told["fed_by"] == {"both": 1}
        for _ in range(3):
            await day.publish()
            await day.broadcast(old)
        await day.all_came_once()

        await day.commands(*alone)
        await day.publish()
        await day.broadcast(old)
        await day.is_answered()

        old.cut()
        await first.aclose()
        await day.publish()
        await day.is_away()
        (told,) = await day.commands(*ended)
        assert "away: its dashboards get the journal's events" in " ".join(told.split())
        await day.all_came_once()

        async with old_service(port) as again:
            await until(lambda: len(again.clients) == 2)
            await day.commands(back[0])
            await day.publish()
            await day.broadcast(again)
            await day.all_came_once()
            await day.commands(*back[1:])
            await day.broadcast(again)
            await day.is_answered()
            await day.all_came_once()
        assert board.code is None
