"""How soon after `kill -9` of its worker does `serve --supervised` take the next event, on the same socket?

    ./dev run python benchmarks/restart.py [--mode websocket|dual] [--kills 6] [--output json]

From the kill to the 201 of an event that is posted again and again. Beside it, in the same run, what starting a `serve` anew takes:
from the start of the process to its first 201. Exit 1 where the median of the kills is above 300 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AIM_MS = 300
EVENT = json.dumps({"event_type": "cpu", "data": {}})
# The next worker stands by, with everything imported.
STANDS_BY_S = 7.0
WITHIN_S = 60.0


def first_taken(folder: Path) -> None:
    """Return once an event was taken."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            where = json.loads((folder / "serve.json").read_text())["url"].removeprefix("http://")
            connection = http.client.HTTPConnection(where, timeout=10)
            connection.request("POST", "/events", EVENT, {"Content-Type": "application/json"})
            if connection.getresponse().status == 201:
                return
        except (OSError, http.client.HTTPException, ValueError):
            time.sleep(0.001)
    raise SystemExit(f"no event was taken within {WITHIN_S:g} s: see {folder / 'serve.log'}")


def measured(mode: str, kills: int) -> tuple[float, list[float]]:
    """Milliseconds: of a start, and of each kill."""
    with tempfile.TemporaryDirectory(prefix="migctl-restart-") as name:
        folder = Path(name)
        environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MIGCTL_", "SUPABASE_", "DATABASE_"))
        }
        environ |= {"MIGCTL_STATE_DIR": name, "MIGCTL_WITNESS": "off"}
        migctl = [sys.executable, "-m", "migctl"]
        if mode == "dual":
            subprocess.run(
                [*migctl, "schema", "apply"], env=environ, cwd=folder, check=True, capture_output=True
            )
        began = time.monotonic()
        with (folder / "serve.log").open("wb") as log:
            serve = subprocess.Popen(
                [*migctl, "serve", "--listen", "127.0.0.1:0", "--mode", mode, "--supervised"],
                env=environ, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            first_taken(folder)
            start_ms = 1000 * (time.monotonic() - began)
            found = []
            for _ in range(kills):
                time.sleep(STANDS_BY_S)
                worker = json.loads((folder / "serve.json").read_text())["pid"]
                killed = time.monotonic()
                os.kill(worker, signal.SIGKILL)
                first_taken(folder)
                found.append(1000 * (time.monotonic() - killed))
        finally:
            serve.terminate()
            serve.wait(WITHIN_S)
            subprocess.run(
                [*migctl, "stack", "down"], env=environ, cwd=folder, check=False, capture_output=True
            )
        return start_ms, found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mode", choices=("websocket", "dual"), default="dual")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    of = parser.parse_args()
    start_ms, kills = measured(of.mode, of.kills)
    median = statistics.median(kills)
    if of.output == "json":
        figures = {"start_ms": start_ms, "kills_ms": kills, "median_ms": median, "ratio": median / start_ms}
        print(json.dumps({"mode": of.mode, **figures}))
    else:
        print(f"mode {of.mode}: after kill -9 of the worker the next event is taken, median {median:.0f} ms")
        print(f"least and most of {len(kills)}: {min(kills):.0f} and {max(kills):.0f} ms")
        print(f"a start takes {start_ms:.0f} ms: {median / start_ms:.2f} of it; aim: {AIM_MS} ms")
    return int(median > AIM_MS)


if __name__ == "__main__":
    sys.exit(main())
