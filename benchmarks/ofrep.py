"""How long an OFREP evaluation takes at 1,000 requests/s, beside a bare route of aiohttp in the same process and run.

    ./dev run python benchmarks/ofrep.py

Requests are due by the clock, whatever became of those before, so one that waits counts with its wait. The two routes take turns,
and the client is a process of its own. Prints milliseconds, the processor time of the server for a request, which a busy machine
changes less, and their ratios to the bare route.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.flags import ATTRIBUTES, DOCUMENT, USER
from migctl.flags.assignment import Assignments, Switch
from migctl.flags.snapshot import Row, Snapshot
from migctl.server.routes.ofrep import ofrep_routes

PER_S = 1000
SECONDS = 3
ROUNDS = 3
ROUTES = {"ofrep": "/ofrep/v1/evaluate/flags/transport", "bare": "/bare"}
BODY = json.dumps({"context": {"targetingKey": USER, **ATTRIBUTES}}).encode()


async def serve() -> None:
    """Until it is killed; its port is printed."""
    held = Snapshot(target="t").with_row(Row(n=1, id="a", document=DOCUMENT))
    assignments = Assignments(Switch("transport", "realtime", "websocket"), held)

    async def bare(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    async def cpu(_: web.Request) -> web.Response:
        return web.Response(text=str(time.process_time()))

    app = web.Application()
    app.router.add_get("/cpu", cpu)
    app.router.add_routes([*ofrep_routes(lambda: assignments), web.post("/bare", bare)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def measured(session: aiohttp.ClientSession, url: str) -> list[float]:
    """Milliseconds of each request, from when it was due."""
    begins = time.perf_counter() + 0.05

    async def one(number: int) -> float:
        due = begins + number / PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        async with session.post(url, data=BODY) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
        return (time.perf_counter() - due) * 1000

    return list(await asyncio.gather(*[one(number) for number in range(PER_S * SECONDS)]))


async def cpu_s(session: aiohttp.ClientSession, root: str) -> float:
    async with session.get(f"{root}/cpu") as answer:
        return float(await answer.text())


async def main() -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        root = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        took: dict[str, list[float]] = {name: [] for name in ROUTES}
        used_s = dict.fromkeys(ROUTES, 0.0)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            for path in ROUTES.values():
                await measured(session, root + path)  # connections are open afterwards
            for _ in range(ROUNDS):
                for name, path in ROUTES.items():
                    before = await cpu_s(session, root)
                    took[name] += await measured(session, root + path)
                    used_s[name] += await cpu_s(session, root) - before
    finally:
        server.kill()
        await server.wait()
    of = {name: figures(took[name], used_s[name]) for name in ROUTES}
    for name, (p50, p99, cpu_us) in of.items():
        print(f"{name:6} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   processor {cpu_us:6.0f} us   at {PER_S}/s")
    p50, p99, cpu_us = (ours / bare for ours, bare in zip(of["ofrep"], of["bare"], strict=True))
    print(f"ratio  p50 {p50:8.2f}      p99 {p99:8.2f}      processor {cpu_us:6.2f}")


def figures(took: list[float], used_s: float) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, processor time of a request in microseconds."""
    ordered = sorted(took)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], used_s / len(ordered) * 1e6


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1:] == ["serve"] else main())
