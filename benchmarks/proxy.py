"""What the TCP proxy costs: throughput and round trip through it, over a direct connection in the same run.

    ./dev run python benchmarks/proxy.py [--mib 256] [--trips 3000] [--rounds 3] [--output json]

The server, `migctl drill proxy` and the client are a process each. Each round measures the direct connection, the proxy without
a toxic, and with each toxic that neither delays nor takes anything, set over the API both ways; a figure is the median of the
rounds. CPU is the proxy's own, per GiB and per round trip. A round trip is 100 bytes there and back over an open connection, one
after the other: through the proxy a process is woken up four times in place of two, so a ratio of 2 is the least there is, and on a
busy machine it is many times that. Aim without a toxic, on a quiet machine: 0.4 of the direct throughput and more.
"""

from __future__ import annotations

import argparse
import json
import socket
import socketserver
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil

MIB = 1 << 20
TRIP_BYTES = 100
DEADLINE_S = 120.0
MIN_THROUGHPUT_RATIO = 0.4
DIRECT, NONE = "direct", "no toxic"
# Nothing is delayed and nothing taken: what is left is what the toxic itself costs.
TOXICS: dict[str, dict[str, int]] = {
    "latency": {"latency": 0},
    "bandwidth": {"rate": 1 << 40},
    "slow_close": {"delay": 0},
    "slicer": {"average_size": 16 << 10, "size_variation": 1 << 10, "delay": 0},
    "limit_data": {"bytes": 1 << 60},
}


class Upstream(socketserver.BaseRequestHandler):
    """Answers what it gets, or, where the first line is a number, so many MiB."""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = self.request.recv(TRIP_BYTES)
        if first.endswith(b"\n"):
            block = b"x" * MIB
            for _ in range(int(first)):
                self.request.sendall(block)
            return
        while first:
            self.request.sendall(first)
            first = self.request.recv(TRIP_BYTES)


def serve() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upstream) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def process(*words: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A process, and the JSON that it begins with."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def seconds_for(port: int, mib: int) -> float:
    """Until so many MiB have come."""
    buffer = bytearray(MIB)
    with connect(port) as connection:
        began = time.perf_counter()
        connection.sendall(b"%d\n" % mib)
        left = mib * MIB
        while left:
            came = connection.recv_into(buffer)
            if not came:
                raise SystemExit(f"{left} bytes are missing")
            left -= came
        return time.perf_counter() - began


def trip_s(port: int, trips: int) -> float:
    """The median round trip."""
    taken, text = [], b"x" * TRIP_BYTES
    with connect(port) as connection:
        for _ in range(trips):
            began = time.perf_counter()
            connection.sendall(text)
            left = TRIP_BYTES
            while left:
                left -= len(connection.recv(left))
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def measure(mib: int, trips: int, rounds: int) -> dict[str, dict[str, float]]:
    """By what stands between, medians: mib_per_s, trip_us, cpu_s_per_gib, cpu_us_per_trip (the proxy's, so about 0 for direct)."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in (DIRECT, NONE, *TOXICS)}
    with (
        process(sys.executable, __file__, "--serve") as (_, upstream),
        process(
            *(sys.executable, "-m", "migctl", "drill", "proxy", "--listen", "127.0.0.1:0", "-o", "json"),
            *("--proxy", f"line=,127.0.0.1:{upstream}"),
        ) as (proxy, ready),
        httpx.Client(base_url=ready["api"], trust_env=False) as api,
    ):
        through = int(ready["proxies"][0]["listen"].rpartition(":")[2])
        for _ in range(rounds):
            for name, values in found.items():
                if name in TOXICS:
                    for stream in ("upstream", "downstream"):
                        toxic = {"type": name, "stream": stream, "attributes": TOXICS[name]}
                        api.post("/proxies/line/toxics", json=toxic).raise_for_status()
                port = upstream if name == DIRECT else through
                before = cpu_s(proxy.pid)
                took_s = seconds_for(port, mib)
                between = cpu_s(proxy.pid)
                trip_us = trip_s(port, trips) * 1e6
                used = (between - before) * 1024 / mib, (cpu_s(proxy.pid) - between) * 1e6 / trips
                values.append((mib / took_s, trip_us, *used))
                api.post("/reset").raise_for_status()
    keys = ("mib_per_s", "trip_us", "cpu_s_per_gib", "cpu_us_per_trip")
    return {
        name: dict(zip(keys, map(statistics.median, zip(*values, strict=True)), strict=True))
        for name, values in found.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--trips", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    measured = measure(options.mib, options.trips, options.rounds)
    direct = measured[DIRECT]
    for one in measured.values():
        one["throughput_ratio"] = one["mib_per_s"] / direct["mib_per_s"]
        one["trip_ratio"] = one["trip_us"] / direct["trip_us"]
    if options.output == "json":
        print(json.dumps(measured, indent=2))
    else:
        print(
            f"{'':12} {'MiB/s':>8} {'ratio':>6} {'CPU-s/GiB':>10} {'trip us':>8} {'ratio':>6} {'CPU us/trip':>12}"
        )
        for name, one in measured.items():
            print(
                f"{name:12} {one['mib_per_s']:8.0f} {one['throughput_ratio']:6.2f} {one['cpu_s_per_gib']:10.2f} "
                f"{one['trip_us']:8.0f} {one['trip_ratio']:6.2f} {one['cpu_us_per_trip']:12.0f}"
            )
    return 0 if measured[NONE]["throughput_ratio"] >= MIN_THROUGHPUT_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
