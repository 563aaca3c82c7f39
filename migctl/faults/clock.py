"""The wall clock of one process steps: libfaketime reads the offset from a file, once a second."""

from __future__ import annotations

from pathlib import Path

from migctl.faults.lacking import Lacking

_PLACES = (Path("/usr/lib"), Path("/usr/local/lib"), Path("/opt/homebrew/lib"))
_NAMES = ("libfaketimeMT.so.1", "libfaketimeMT.1.dylib")


def library() -> Path | None:
    """Where libfaketime is; None where it is not installed."""
    found = (
        path
        for place in _PLACES
        for name in _NAMES
        for path in (*place.glob(f"faketime/{name}"), *place.glob(f"*/faketime/{name}"))
    )
    return next(found, None)


class SteppedClock:
    """What a process that is started with `environ` takes for the time. Monotonic time is left alone, as a step leaves it."""

    def __init__(self, folder: Path) -> None:
        """folder: where the file with the offset is kept. Raises Lacking where libfaketime is not installed."""
        found = library()
        if found is None:
            raise Lacking(
                "libfaketime is not installed: without it no process's clock can be stepped",
                do="apt-get install libfaketime",
            )
        self._file = folder / "clock"
        self.step(0)
        self.environ = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # the file is read once a second, and not at each question
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its mend for old C libraries makes each wait for a lock a busy one: serve does little else.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def step(self, seconds: float) -> None:
        """The clock is off by so many seconds from now on."""
        half = self._file.with_suffix(".new")
        half.write_text(f"{seconds:+g}")
        half.replace(self._file)
