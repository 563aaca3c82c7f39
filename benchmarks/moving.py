"""Users move from the WebSocket to Realtime and back under load: is anything lost or doubled, and how fast do they come?

    ./dev run python benchmarks/moving.py [--subscribers 150] [--official 50] [--rate 200] [--joins-per-s 50] [--output json]

150 migctl.Subscribers in three processes, each a user of its own, and 50 of the official client in a fourth, which knows no
assignment and stays on Realtime: they must not notice. `migctl rollout set 100`, until all have moved; `set 0`, until all are back.
What each was handed out is on disk, and is judged by `migctl validate report` against the journal, beside one that never moved.
Joins are those that subscribers saw succeed, in the busiest second. `realtime.joins_per_s` is half of what the smallest plan takes,
100 a second, so that a second which straddles two of the ramp's stays below it: `--joins-per-s` is the ramp, twice that the limit.
Exit 1 where anything was lost, doubled or out of order, joins reached the limit, or somebody did not move.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crowd import Move
from migctl.drills.evidence import heard_by, truth_of
from migctl.drills.judging import judge
from migctl.drills.world.deployment import Deployment, Subscriber, deployed
from migctl.errors import Usage
from migctl.validate import result

BENCHMARKS = Path(__file__).resolve().parent
PROCESSES = 3
MOVE_S = 90.0
CALM_S = 5.0


def start_crowd(on: Deployment, name: str, users: Sequence[str], *, official: bool = False) -> Path:
    """A process with these; the folder that it writes to."""
    out = on.folder / name
    words = [str(BENCHMARKS / "crowd.py"), "--url", on.url, "--out", str(out), "--users", *users]
    child = on.launch(name, [*words, *(["--official"] if official else [])])
    for user in users:
        on.subscribers[user] = Subscriber(user, "crowd", child, out / user / "dual.ndjson")
    return out / "moves.ndjson"


def moves_in(paths: Sequence[Path]) -> list[Move]:
    found = [
        msgspec.json.decode(line, type=Move)
        for path in paths
        if path.exists()
        for line in path.read_bytes().splitlines()
    ]
    return sorted(found, key=lambda move: move.at)


def where(paths: Sequence[Path]) -> dict[str, list[str]]:
    return {move.user: move.attached for move in moves_in(paths)}


def rollout(on: Deployment, percent: int) -> float:
    """When the command was begun: its own start-up counts. Raises where it was refused, or a process did not confirm."""
    at = time.time()
    words = [
        sys.executable,
        "-m",
        "migctl",
        "rollout",
        "set",
        str(percent),
        "--yes",
        "--reason",
        "benchmark",
        "--output",
        "json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, env=on.environ(), check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"rollout set {percent}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return at


def took(paths: Sequence[Path], since: float, to: str, users: int) -> dict[str, Any]:
    """Seconds until each user was attached to this transport alone."""
    came = {
        move.user: move.at - since for move in moves_in(paths) if move.at > since and move.attached == [to]
    }
    times = sorted(came.values())
    if not times:
        return {"moved": 0}
    return {
        "moved": len(times),
        "of": users,
        "p50_s": round(times[len(times) // 2], 2),
        "p99_s": round(times[int(0.99 * (len(times) - 1))], 2),
        "max_s": round(times[-1], 2),
    }


def most_joins(paths: Sequence[Path], since: float) -> int:
    """Most users that came to Realtime within one second."""
    before: dict[str, list[str]] = {}
    joins = []
    for move in moves_in(paths):
        if move.at > since and "realtime" in move.attached and "realtime" not in before.get(move.user, []):
            joins.append(move.at)
        before[move.user] = move.attached
    return max((sum(at <= each < at + 1 for each in joins) for at in joins), default=0)


def report_on_all(on: Deployment, users: Sequence[str]) -> dict[str, int]:
    """Verdicts of `migctl validate report`, counted: of each who moved, beside one of the official clients, which did not."""
    still = [each for name, each in on.subscribers.items() if name not in users]

    def report(number: int) -> str:
        mover, other = on.subscribers[users[number]], still[number % len(still)]
        out = mover.path.with_name("report.json")
        words = ["validate", "report", "--journal", str(on.journal), "--out", str(out)]
        words += ["--websocket", str(mover.path), "--realtime", str(other.path)]
        done = subprocess.run([sys.executable, "-m", "migctl", *words], capture_output=True, check=False)
        try:
            found = result.read(out)
        except Usage:
            return f"exit code {done.returncode}"
        of = found.discrepancies
        flawed = found.lost + sum(getattr(of, name) or 0 for name in of.__struct_fields__ if name != "late")
        return "flawed" if flawed else found.verdict

    with ThreadPoolExecutor(2) as pool:
        return dict(Counter(pool.map(report, range(len(users)))))


def until(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.time() + within_s
    while not condition():
        if time.time() > deadline:
            return False
        time.sleep(0.2)
    return True


def measure(on: Deployment, options: argparse.Namespace) -> dict[str, Any]:
    on.start_serve()
    users = [f"user-{number}" for number in range(options.subscribers)]
    paths = [start_crowd(on, f"crowd-{n}", users[n::PROCESSES]) for n in range(PROCESSES)]
    start_crowd(on, "official", [f"official-{n}" for n in range(options.official)], official=True)
    for name in {each.child: each for each in on.subscribers.values()}.values():
        on.wait(lambda name=name: "ready: all" in name.child.log_tail(lines=50), name.name, name.child)  # type: ignore[misc]
    on.produce(rate=options.rate, seconds=None, workers=2, batch=10)
    on.wait(on.acknowledged.exists, "the first event", on.producer)
    time.sleep(CALM_S)
    up = rollout(on, 100)
    all_up = until(lambda: all(where(paths).get(user) == ["realtime"] for user in users), MOVE_S)
    time.sleep(CALM_S)
    joins, times_up = most_joins(paths, up), took(paths, up, "realtime", len(users))
    down = rollout(on, 0)
    all_down = until(lambda: all(where(paths).get(user) == ["websocket"] for user in users), MOVE_S)
    times_down = took(paths, down, "websocket", len(users))
    time.sleep(CALM_S)
    assert on.producer is not None
    assert on.serve is not None
    on.producer.send(signal.SIGTERM)
    until(lambda: on.producer is not None and not on.producer.alive, 30)
    time.sleep(CALM_S)
    on.end_subscribers(60)
    on.serve.stop(signal.SIGTERM, 30)
    truth = truth_of(on)
    judged = judge(
        [heard_by(each) for each in on.subscribers.values()], truth, [], up, time.time()
    ).subscribers
    names = ("released", "lost", "duplicates", "out_of_order")
    total = {name: sum(getattr(each, name) for each in judged) for name in names}
    complete = sum(each.complete for each in judged)
    reports = report_on_all(on, users)
    limit = 2 * options.joins_per_s
    moved = times_up.get("moved") == times_down.get("moved") == len(users)
    sound = moved and all_up and all_down and complete == len(judged) and joins < limit
    sound = sound and not (total["lost"] + total["duplicates"] + total["out_of_order"])
    sound = sound and reports == {"pass": len(users)}
    return {
        "schema": "migctl.moving/1",
        "subscribers": len(users),
        "official": options.official,
        "events": len(truth.journal),
        "rate": options.rate,
        "up": times_up,
        "down": times_down,
        "most_joins_per_s": joins,
        "joins_limit_per_s": limit,
        "reports": reports,
        **total,
        "complete": complete,
        "verdict": "pass" if sound else "fail",
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=150)
    parser.add_argument("--official", type=int, default=50)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--joins-per-s", type=float, default=50.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    with running(options) as on:
        found = measure(on, options)
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:18} {value}")
    return 0 if found["verdict"] == "pass" else 1


@contextmanager
def running(options: argparse.Namespace) -> Iterator[Deployment]:
    with deployed(keep=options.keep) as on:
        on.flag = None
        on.settings = f"realtime: {{ joins_per_s: {options.joins_per_s:g} }}\n"
        yield on


if __name__ == "__main__":
    sys.exit(main())
