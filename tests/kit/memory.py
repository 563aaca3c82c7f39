"""How much memory this process took for a while, at its peak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _kib(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@contextmanager
def at_most_mib(most: int) -> Iterator[None]:
    """The block takes no more than this above what was held before it; what was given back before its end counts too."""
    _REFERENCES.write_text("5")  # the peak is forgotten
    before = _kib("VmRSS")
    yield
    took = (_kib("VmHWM") - before) >> 10
    assert took <= most, f"{took} MiB"
