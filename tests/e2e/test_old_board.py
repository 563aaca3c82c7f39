"""A dashboard of the old protocol in a browser, untouched: it notices neither the rollout nor an outage of Supabase."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from migctl.config import Target
from migctl.stack.launcher import any_free_port
from migctl.stack.standin_process import StandinProcess
from tests.kit.boards import OldBoard, allowing, handing_out, open_old_board
from tests.kit.browsing import chromium, until
from tests.kit.serve_process import ServeProcess, run, serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import last_stage

# Text that a codec in between would write in another way.
DATA = '{"n":%d,  "used":1.50, "big":12345678901234567890, "text":"\\u00e9"}'


class Stream:
    """Events to this serve, numbered, and the frames that an old page is to have of them."""

    def __init__(self) -> None:
        self.frames: list[str] = []

    async def post(self, serve: ServeProcess, count: int = 3) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(count):
                data = DATA % len(self.frames)
                event = f'{{"event_type":"cpu","timestamp":"2026-01-31T12:00:00.000000Z","data":{data}}}'
                headers = {"Content-Type": "application/json"}
                answer = await http.post(f"{serve.url}/events", content=event, headers=headers)
                assert answer.status_code == 201, answer.text
                self.frames.append(
                    f'{{"type":"cpu","data":{data},"timestamp":"2026-01-31T12:00:00.000000Z"}}'
                )

    async def shown(self, board: OldBoard) -> None:
        """The page has these frames, byte for byte, and nothing else."""

        async def all_there() -> bool:
            return await board.count() >= len(self.frames)

        await until(all_there, f"the old page has {len(self.frames)} frames")
        assert await board.frames() == self.frames


@pytest.mark.slow
async def test_an_old_page_gets_the_same_frames_in_every_stage_until_the_websocket_is_switched_off(
    process: StandinProcess, target: Target, tmp_path: Path
) -> None:
    folder, stream = tmp_path / "serve", Stream()
    (folder / "configs" / "stages").mkdir(parents=True)
    (folder / "configs" / "stages" / "2c-deprecate.yaml").write_text(last_stage())
    environ = environment_of(target)

    async def rollout(*words: str, code: int = 0) -> dict[str, object]:
        options = ("--yes", "--reason", "a test", "--output", "json")
        done = await asyncio.to_thread(run, folder, "rollout", *words, *options, more=environ)
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    async with handing_out() as origin, chromium() as browser:
        allowing(folder, origin)
        with serving_process(folder, "--mode", "dual", more=environ) as serve:
            board = await open_old_board(browser, origin, serve)
            await stream.post(serve)
            for percent in (25, 50, 75, 100):
                await rollout("set", str(percent))
                await stream.post(serve)
                await stream.shown(board)
            process.stop()
            await stream.post(serve)
            await stream.shown(board)
            process.begin()
            await asyncio.to_thread(process.wait_ready)
            assert (await rollout("complete", "--force", "--confirm", target.supabase_url, code=1))[
                "phase"
            ] == "draining"
            await stream.post(serve)
            await stream.shown(board)
            assert (await board.opened(), await board.closed()) == (1, [])
            assert (
                await rollout("complete", "--force", "--confirm", target.supabase_url, "--accept-lost", "1")
            )["phase"] == "completed"

            async def switched_off() -> bool:
                return 4412 in await board.closed()

            await until(switched_off, "the socket is closed as switched off")
            await stream.post(serve)
            assert await board.count() == len(stream.frames) - 3
            assert board.browsed.complaints != []  # the browser's own, of a socket that is refused


@pytest.mark.slow
async def test_an_old_page_comes_back_by_itself_after_a_deploy_and_asks_for_nothing(tmp_path: Path) -> None:
    folder, stream = tmp_path / "serve", Stream()
    words = ("--mode", "websocket", "--listen", f"127.0.0.1:{any_free_port()}")
    async with handing_out() as origin, chromium() as browser:
        allowing(folder, origin)
        with serving_process(folder, *words) as serve:
            board = await open_old_board(browser, origin, serve)
            await stream.post(serve)
            await stream.shown(board)
            serve.stop()
        with serving_process(folder, *words) as serve:

            async def back() -> bool:
                return await board.opened() == 2

            await until(back, "the old page is connected again")
            await stream.post(serve)
            await stream.shown(board)
