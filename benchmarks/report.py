"""`validate report` of N events a side, over merely parsing the files: time as a ratio, and the memory of all processes.

    python benchmarks/report.py [EVENTS] [--journal] [--shuffled] [--processes N] [--repeat N]

Parsing is what any tool must do at least: each line of the same files decoded in full by msgspec, one process, nothing kept. The
standard library's parser is printed beside it. Captures are of 500 bytes a line, one of them as jsonb gives documents back.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from migctl.events.ids import uuid7
from migctl.validate import report
from tests.kit.captures import EPOCH, START, jsonb_order, time_text

AIM_RATIO = 2.0
AIM_BYTES = 1 << 30
PLANTED = 13


def write(folder: Path, count: int, *, journal: bool, shuffled: bool) -> list[Path]:
    """Two captures, and the journal if wanted, with a few events missing on each side."""
    chance = random.Random(1)
    paths = [
        folder / f"{name}.ndjson" for name in ("websocket", "realtime", *(["journal"] if journal else []))
    ]
    files = [path.open("w", encoding="utf-8") for path in paths]
    order = list(range(1, count + 1))
    gone = [set(chance.sample(order, min(PLANTED, count // 2))) for _ in paths[:2]]
    late_lines: list[str] = []
    for seq in order:
        committed = START + timedelta(milliseconds=seq)
        data = {
            "host": f"web-{seq % 40}",
            "value": round(chance.random() * 100, 3),
            "usage": {"user": chance.random(), "system": 0.25, "idle": seq / 7},
            "bytes": seq * 4096,
            "healthy": seq % 5 != 0,
            "tags": ["eu", None, "prod"],
            "note": "x" * 60,
        }
        head = {
            "id": uuid7(),
            "epoch": EPOCH,
            "seq": seq,
            "event_type": ("cpu", "memory", "page_cache", "disk", "health")[seq % 5],
            "timestamp": time_text(committed),
            "source": f"host-{seq % 40}",
        }
        for side, file in enumerate(files):
            if side < 2 and seq in gone[side]:
                continue
            line = head | {
                "data": jsonb_order(data) if side == 1 else data,
                "committed_at": time_text(committed),
            }
            if side < 2:
                at = committed + timedelta(milliseconds=8 + 20 * side)
                line |= {
                    "transport": paths[side].stem,
                    "via": "live",
                    "received_at": time_text(at),
                    "received_mono_ns": 10**15 + seq * 10**6,
                }
            inner = json.dumps(line.pop("data"), separators=(", ", ": ") if side == 1 else (",", ":"))
            text = json.dumps(line, separators=(",", ":"))[:-1] + f',"data":{inner}}}'
            if shuffled and side == 1:
                late_lines.append(text)
            else:
                file.write(text + "\n")
    if shuffled:
        chance.shuffle(late_lines)
        files[1].write("\n".join(late_lines) + "\n")
    for file in files:
        file.close()
    return paths


def cpu() -> float:
    """CPU seconds of this process and of the children that have ended: what a machine that others use can't distort so much."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def parse(paths: list[Path], decode: Callable[[bytes], object]) -> float:
    """Seconds to decode every line."""
    began = time.perf_counter()
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                decode(line)
    return time.perf_counter() - began


class Peak(threading.Thread):
    """The most memory that this process's children and its own growth had together. Watches until stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._me = psutil.Process()
        self.bytes = 0

    def run(self) -> None:
        while not self._over.wait(0.25):
            total = self._me.memory_info().rss
            for child in self._me.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.bytes


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("events", nargs="?", type=int, default=1_000_000, help="events a side")
    options.add_argument("--journal", action="store_true", help="compare with a journal's export too")
    options.add_argument("--shuffled", action="store_true", help="one side in random order: the worst case")
    options.add_argument("--processes", type=int, default=None, help="default: by size and CPUs")
    options.add_argument("--repeat", type=int, default=2, help="runs, of which the best counts")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="migctl-bench-") as scratch:
        folder = Path(scratch)
        paths = write(folder, chosen.events, journal=chosen.journal, shuffled=chosen.shuffled)
        size = sum(path.stat().st_size for path in paths)
        print(f"{chosen.events:,} events a side, {len(paths)} files, {size / 1e6:,.0f} MB")
        slow = parse(paths, json.loads)
        quick, taken, worked = float("inf"), float("inf"), 0.0
        watch = Peak()
        watch.start()
        # The best of several in turn: what else the machine does falls on both.
        for _ in range(chosen.repeat):
            quick = min(quick, parse(paths, msgspec.json.Decoder().decode))
            began, before = time.perf_counter(), cpu()
            made = report(folder, processes=chosen.processes).to_json()
            if (seconds := time.perf_counter() - began) < taken:
                taken, worked = seconds, cpu() - before
        peak = watch.stop()
    missing = made["discrepancies"]["missing_websocket"], made["discrepancies"]["missing_realtime"]
    exact = made["expected"] - made["matched"] == sum(missing) and sum(missing) > 0
    print(f"parse, msgspec in full      {quick:6.2f} s")
    print(f"parse, json                 {slow:6.2f} s")
    print(f"validate report             {taken:6.2f} s   {made['expected'] / taken:,.0f} events/s")
    print(f"  CPU, all processes        {worked:6.2f} s")
    print(f"ratio over msgspec          {taken / quick:6.2f}     aim <= {AIM_RATIO}")
    print(f"ratio over json             {taken / slow:6.2f}")
    print(f"peak memory, all processes  {peak / 2**20:6.0f} MiB   aim < {AIM_BYTES / 2**20:.0f} MiB")
    print(
        f"planted discrepancies found {'all' if exact else 'NOT ALL'}: {missing[0]} and {missing[1]} missing"
    )
    return 0 if exact and taken / quick <= AIM_RATIO and peak < AIM_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
