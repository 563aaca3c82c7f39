"""Gauges: what this host says of itself, through psutil and /proc. Counters are since boot; keys carry their unit.

Reading is quick (well under a millisecond) for all but sessions, which are rare. What a machine does not have is left out of the
answer, not set to zero.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_MEMINFO = Path("/proc/meminfo")

# Of /proc/meminfo, what the page cache is made of.
_CACHE_KEYS = {
    "Cached": "cached_bytes",
    "Buffers": "buffers_bytes",
    "SReclaimable": "slab_reclaimable_bytes",
    "Shmem": "shared_bytes",
    "Dirty": "dirty_bytes",
    "Writeback": "writeback_bytes",
    "Active(file)": "active_file_bytes",
    "Inactive(file)": "inactive_file_bytes",
}

# A check warns beyond these; the measured value stands beside the verdict, so that a reader may judge otherwise.
MIN_FREE_PERCENT = 5.0
MAX_LOAD_PER_CPU = 2.0
MAX_APPEND_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Bound:
    """What was measured, and within what it is well; None bounds nothing."""

    value: float
    least: float | None = None
    most: float | None = None

    @property
    def ok(self) -> bool:
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )


def verdict(bounds: Mapping[str, Bound]) -> dict[str, Any]:
    """Whether each is well, and all are."""
    checks = {name: {"value": round(of.value, 3), "ok": of.ok} for name, of in bounds.items()}
    return {"ok": all(of.ok for of in bounds.values()), "checks": checks}


class Unmeasured(Exception):
    """This machine does not have what is to be measured."""


class Gauges:
    """append_ms: how long the journal took to acknowledge the last batch; the source sets it."""

    def __init__(self, folder: Path) -> None:
        self.host = platform.node() or "localhost"
        self.append_ms: float | None = None
        self._folder = folder
        self._cpus = psutil.cpu_count() or 1
        self._last_cpu = psutil.cpu_times()
        self._readers = {
            "cpu_metrics": self._cpu,
            "memory_metrics": self._memory,
            "cache_metrics": self._cache,
            "network_metrics": self._network,
            "disk_metrics": self._disk,
            "session_metrics": self._sessions,
            "health_check": self._health,
        }

    def read(self, event_type: str) -> dict[str, Any]:
        """Measure now. Raises Unmeasured, and OSError, where this machine can't say."""
        return self._readers[event_type]()

    def _cpu(self) -> dict[str, Any]:
        times, self._last_cpu, last = (now := psutil.cpu_times()), now, self._last_cpu
        stats = psutil.cpu_stats()
        spent = {name: getattr(times, name) - getattr(last, name) for name in times._fields}
        # guest is part of user already, and guest_nice of nice.
        whole = sum(value for name, value in spent.items() if not name.startswith("guest"))
        idle = spent["idle"] + spent.get("iowait", 0.0)
        return {
            "cpus": self._cpus,
            "busy_percent": round(100 * (1 - idle / whole), 2) if whole > 0 else None,
            **{f"{name}_s": getattr(times, name) for name in times._fields},
            "context_switches": stats.ctx_switches,
            "interrupts": stats.interrupts,
            "load_1m": os.getloadavg()[0],
        }

    def _memory(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        return {
            "total_bytes": memory.total,
            "available_bytes": memory.available,
            "used_bytes": memory.used,
            "free_bytes": memory.free,
            "used_percent": memory.percent,
        }

    def _cache(self) -> dict[str, Any]:
        if not sys.platform.startswith("linux"):
            memory = psutil.virtual_memory()
            known = {
                f"{name}_bytes": getattr(memory, name)
                for name in ("cached", "buffers")
                if hasattr(memory, name)
            }
            if not known:
                raise Unmeasured("this system does not say how large its page cache is")
            return known
        found: dict[str, Any] = {}
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name in _CACHE_KEYS:
                found[_CACHE_KEYS[name]] = int(value.split()[0]) * 1024
        return found

    def _network(self) -> dict[str, Any]:
        counters = psutil.net_io_counters()
        if counters is None:
            raise Unmeasured("this machine has no network interface")
        return {
            "sent_bytes": counters.bytes_sent,
            "received_bytes": counters.bytes_recv,
            "sent_packets": counters.packets_sent,
            "received_packets": counters.packets_recv,
            "errors": counters.errin + counters.errout,
            "dropped": counters.dropin + counters.dropout,
        }

    def _disk(self) -> dict[str, Any]:
        usage = psutil.disk_usage(str(self._place()))
        found: dict[str, Any] = {
            "total_bytes": usage.total,
            "free_bytes": usage.free,
            "used_percent": usage.percent,
        }
        counters = psutil.disk_io_counters()
        if counters is not None:  # a container may have none
            found |= {
                "reads": counters.read_count,
                "writes": counters.write_count,
                "read_bytes": counters.read_bytes,
                "written_bytes": counters.write_bytes,
            }
        return found

    def _sessions(self) -> dict[str, Any]:
        users = psutil.users()
        own = psutil.Process()
        return {
            "users": len({user.name for user in users}),
            "sessions": len(users),
            "processes": len(psutil.pids()),
            "own_threads": own.num_threads(),
            "own_resident_bytes": own.memory_info().rss,
        }

    def _health(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._place()))
        bounds = {
            "memory_available_percent": Bound(100 * memory.available / memory.total, least=MIN_FREE_PERCENT),
            "disk_free_percent": Bound(100 - disk.percent, least=MIN_FREE_PERCENT),
            "load_per_cpu": Bound(os.getloadavg()[0] / self._cpus, most=MAX_LOAD_PER_CPU),
        }
        if self.append_ms is not None:
            bounds["journal_append_ms"] = Bound(self.append_ms, most=MAX_APPEND_MS)
        return verdict(bounds)

    def _place(self) -> Path:
        return self._folder if self._folder.exists() else Path.cwd()
