"""The code of docs/subscriber.md runs as it stands, in a process of its own, against a real serve."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.kit.conditions import until
from tests.kit.serve_process import ServeProcess, serving_process

PAGE = (Path(__file__).parents[2] / "docs" / "subscriber.md").read_text()
FIVE_LINES, KEEPING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OURS = "http://127.0.0.1:8080"


class Program:
    """What it printed so far, by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())


@contextlib.asynccontextmanager
async def running(code: str, serve: ServeProcess, folder: Path) -> AsyncIterator[Program]:
    assert OURS in code
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", code.replace(OURS, serve.url)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    program = Program(process)
    reading = asyncio.create_task(program.read())
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def test_five_lines_print_what_comes(tmp_path: Path) -> None:
    with serving_process(tmp_path / "serve", "--mode", "websocket") as serve:
        async with running(FIVE_LINES, serve, tmp_path) as program:

            async def came() -> bool:
                await serve.post(1)  # it begins at the head, and does not say when
                return any("Release(" in line for line in program.lines)

            await until(came)
    assert not any("Traceback" in line for line in program.lines)


async def test_position_that_was_kept_goes_on_after_a_kill_without_a_hole(tmp_path: Path) -> None:
    place = tmp_path / "position.json"
    with serving_process(tmp_path / "serve", "--mode", "websocket") as serve:
        async with running(KEEPING, serve, tmp_path) as first:
            await until(place.exists)
            await serve.post(50)
            await until(lambda: len(first.lines) >= 10)
        await serve.post(5)
        async with running(KEEPING, serve, tmp_path) as second:
            await until(lambda: any(line.startswith("55 ") for line in second.lines))
    before, after = ([int(line.split()[0]) for line in one.lines] for one in (first, second))
    assert before == list(range(1, len(before) + 1))
    assert after == list(range(after[0], 56))
    # At most what was in its hands when it died comes again.
    assert len(before) <= after[0] <= len(before) + 1
