"""Threads: those that a `serve` works on, begun before there is work, as they can't be begun once there is no memory for one."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

BEGIN_WITHIN_S = 10.0


async def threads() -> None:
    """The loop's own executor from now on, with all its threads running."""
    loop = asyncio.get_running_loop()
    count = min(32, (os.cpu_count() or 1) + 4)
    executor = ThreadPoolExecutor(count, thread_name_prefix="work")
    all_there = Barrier(count)
    await asyncio.gather(
        *(loop.run_in_executor(executor, all_there.wait, BEGIN_WITHIN_S) for _ in range(count))
    )
    loop.set_default_executor(executor)
