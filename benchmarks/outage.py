"""An outage of Supabase while events go on being published, and how long the table needs afterwards.

    ./dev run python benchmarks/outage.py [--rate 500] [--seconds 60] [--rtt-ms 20] [--how refuse|black-hole|lose-answers]

The proxy between `serve` and the stack takes the project away for --seconds, then brings it back; the producer never stops.
Printed: detection, from the return to the first successful table write (a breaker tries up to 10 s later); and the drain, from that
write until the table has all that the journal had one heads interval (0.1 s) before, so what is left is the live edge.
The raw limit, in the same run over the same proxy: bulk upserts of prebuilt bodies of 500 rows, as many rows, one after the other.
Aim: a minute at 500 events/s drains in under 3 s at 20 ms of round trip. Exit 1 where it does not, or rows are missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from migctl.clock import now
from migctl.drills.world.deployment import Deployment, deployed
from migctl.events import Entry, Event, parse_time
from migctl.events.ids import uuid7
from migctl.journal.sqlite import read_file
from migctl.target.table import encode_row

BEFORE_S = 3.0
CAUGHT_UP_S = 0.1
DRAINS_WITHIN_S = 120.0
RAW_ROWS = 500
WRITE = "monitoring_events?on_conflict=id&columns=id,event_type,timestamp,data,source,epoch,seq,committed_at&select=seq"


@dataclass(frozen=True)
class Write:
    """One batch of the log: seconds of the wall clock, and seqs."""

    began: float
    ended: float
    first: int
    last: int
    cut: str


def writes(log: Path) -> list[Write]:
    """Every batch that serve has written, by its log."""
    found = []
    for line in log.read_text().splitlines():
        if '"batch written"' in line:
            said = json.loads(line)
            ended = parse_time(said["timestamp"]).timestamp()
            found.append(
                Write(ended - said["ms"] / 1000, ended, said["first"], said["last"], said.get("cut", ""))
            )
    return found


def caught_up_at(batches: Sequence[Write], committed: Sequence[float]) -> float | None:
    """When the table first had all that had been committed CAUGHT_UP_S before. committed: times by seq, from 1."""
    for batch in batches:
        following = committed[batch.last] if batch.last < len(committed) else float("inf")
        if following > batch.ended - CAUGHT_UP_S:
            return batch.ended
    return None


def raw_limit(on: Deployment, rows: int) -> float:
    """Seconds for as many rows in prebuilt requests, one after the other, over the same proxy."""
    import httpx

    epoch, moment = f"raw-{uuid4()}", now()
    note = b'{"number":1,"worker":0,"value":0.125,"note":"%b"}' % (b"x" * 200)
    entries = [
        Entry(Event(uuid7(), "cpu", moment, "host-0", note), epoch, seq, moment) for seq in range(1, rows + 1)
    ]
    bodies = [
        b"[%b]" % b",".join(map(encode_row, entries[at : at + RAW_ROWS])) for at in range(0, rows, RAW_ROWS)
    ]
    key = on.target.need("service_role_key")
    headers = {
        "apikey": key,
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Prefer": "return=representation,resolution=ignore-duplicates",
    }
    with httpx.Client(timeout=30, trust_env=False, headers=headers) as http:
        http.get(f"{on.target.supabase_url}/rest/v1/monitoring_events?select=seq&limit=1").raise_for_status()
        began = time.perf_counter()
        for body in bodies:
            http.post(f"{on.target.supabase_url}/rest/v1/{WRITE}", content=body).raise_for_status()
        return time.perf_counter() - began


def behind(on: Deployment) -> bool:
    """Whether serve's table is not at its journal's head, or serve can't say."""
    status = on.status()
    relay = status.relay if status is not None else None
    return relay is None or relay.table_head < relay.journal_head


def run(on: Deployment, options: argparse.Namespace) -> dict[str, Any]:
    on.start_serve(log_level="debug")  # each batch is a line there
    producer = on.produce(rate=options.rate, seconds=None, workers=4, batch=options.batch)
    on.wait(lambda: len(writes(on.serve_log)) > 3, "the first writes", producer)
    time.sleep(BEFORE_S)
    if options.how == "lose-answers":
        on.proxy.do("reset")
        on.proxy.do("lose_answers", "POST /rest")
    else:
        on.proxy.do({"refuse": "refuse", "black-hole": "black_hole"}[options.how])
    time.sleep(options.seconds)
    healed = time.time()
    on.proxy.do("heal")
    bytes_before = on.proxy.do("count").bytes_up
    if options.profile:
        profile(on, options.profile)
    on.wait(
        lambda: any(batch.ended > healed for batch in writes(on.serve_log)),
        "a write after the return",
        on.serve,
        DRAINS_WITHIN_S,
    )

    def drained() -> bool:
        lasts = [batch for batch in writes(on.serve_log) if batch.ended > healed]
        status = on.status()
        return status is not None and lasts[-1].last >= status.journal.head - options.rate * 0.5

    on.wait(drained, "the drain", on.serve, DRAINS_WITHIN_S)
    time.sleep(1.0)  # on at the live edge
    sent = on.proxy.do("count").bytes_up - bytes_before
    producer.send(signal.SIGTERM)
    on.wait(lambda: not producer.alive, "the producer's end", within_s=20)
    on.wait(lambda: not behind(on), "the last rows", on.serve)
    assert on.serve is not None
    on.serve.stop(signal.SIGTERM, 20)
    found = judge(on, healed)
    took = raw_limit(on, max(found["rows"], RAW_ROWS))
    found |= {
        "schema": "migctl.outage/1",
        "how": options.how,
        "rtt_ms": options.rtt_ms,
        "rate_per_s": options.rate,
        "seconds": options.seconds,
        "bytes_sent": sent,
        "raw_s": round(took, 3),
        "ratio_over_raw": round(found["drain_s"] / took, 2) if found["drain_s"] is not None else None,
        "missing": missing(on),
    }
    return found


def judge(on: Deployment, healed: float) -> dict[str, Any]:
    """Figures of the drain, from serve's log and journal."""
    batches = writes(on.serve_log)
    committed = [entry.committed_at.timestamp() for entry in read_file(on.journal)]
    before = max((batch.last for batch in batches if batch.ended <= healed), default=0)
    after = [batch for batch in batches if batch.ended > healed]
    end = caught_up_at(after, committed)
    drain = [batch for batch in after if end is not None and batch.ended <= end]
    # The first one began before the return, and was tried until then.
    took = end - drain[0].ended if end is not None else None
    rows = drain[-1].last - drain[0].last if drain else 0
    pauses = [later.began - earlier.ended for earlier, later in pairwise(drain)]
    return {
        "backlog": sum(time <= healed for time in committed) - before,
        "detection_s": round(after[0].ended - healed, 3),
        "drain_s": round(took, 3) if took is not None else None,
        "rows": rows,
        "requests": len(drain) - 1,
        "rows_per_s": round(rows / took) if took else None,
        "request_ms": round(1000 * sum(each.ended - each.began for each in drain[1:]) / (len(drain) - 1), 1)
        if drain[1:]
        else None,
        "between_requests_ms": round(1000 * sum(pauses) / len(pauses), 1) if pauses else None,
    }


def missing(on: Deployment) -> int:
    """Acknowledged events that are no row of the table."""
    import psycopg

    with psycopg.connect(on.direct.need("database_url")) as connection:
        rows = {str(row[0]) for row in connection.execute("SELECT id FROM monitoring_events")}
    lines = on.acknowledged.read_text().splitlines()
    return sum(one not in rows for line in lines for one in json.loads(line)["ids"])


def profile(on: Deployment, path: Path) -> None:
    """Start py-spy on serve for ten seconds, where it is installed."""
    import shutil
    import subprocess

    if (program := shutil.which("py-spy")) and on.serve is not None:
        words = ["record", "-p", str(on.serve.pid), "-d", "10", "-r", "500", "-f", "raw", "-o", str(path)]
        subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=500.0, help="events/s")
    parser.add_argument("--batch", type=int, default=5, help="events a request of the producer")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long Supabase is away")
    parser.add_argument("--rtt-ms", type=float, default=20.0, help="round trip between us and the stack")
    parser.add_argument("--how", choices=("refuse", "black-hole", "lose-answers"), default="refuse")
    parser.add_argument("--aim-s", type=float, default=3.0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs and journal there")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="py-spy's record of serve's drain")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    with deployed(rtt_s=options.rtt_ms / 1000, keep=options.keep) as on:
        found = run(on, options)
    found["aim_s"] = options.aim_s
    found["passed"] = (
        found["drain_s"] is not None and found["drain_s"] < options.aim_s and not found["missing"]
    )
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        tell(found)
    return 0 if found["passed"] else 1


def tell(found: dict[str, Any]) -> None:
    print(
        f"Supabase away for {found['seconds']:g} s ({found['how']}) at {found['rate_per_s']:g} events/s, "
        f"{found['rtt_ms']:g} ms of round trip"
    )
    print(f"backlog at the return        {found['backlog']:>8,} events")
    print(f"detection: first write after {found['detection_s']:>8.2f} s")
    print(
        f"drain                        {found['drain_s'] or float('nan'):>8.2f} s   {found['rows']:,} rows in "
        f"{found['requests']} requests, {found['rows_per_s'] or 0:,} rows/s; {found['request_ms']} ms a request, "
        f"{found['between_requests_ms']} ms between"
    )
    print(f"raw limit                    {found['raw_s']:>8.2f} s   ratio {found['ratio_over_raw']}")
    print(
        f"missing {found['missing']}   aim < {found['aim_s']:g} s: {'met' if found['passed'] else 'MISSED'}"
    )


if __name__ == "__main__":
    sys.exit(main())
