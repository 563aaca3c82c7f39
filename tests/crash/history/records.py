"""The history: a record a line, in the order in which this process met what they are about.

| `k` | what happened | fields |
|---|---|---|
| `run` | it began | `seed`, `minutes`; `keeps`: so many of the newest events the journal holds at least |
| `made` | a producer made a request | `p`, `b`; `events`: `m` marker, `d` digest, `s` source, `id`, `h` if a table holds it |
| `send` | the request, or some of its events, is about to leave | `p`, `b`; `of`: markers, null for all |
| `ack` | 201 | `p`, `b`; `at`: for each event sent `[m, epoch, seq, duplicate, id]` |
| `no` | another status | `p`, `b`, `status`, `body` |
| `lost` | no answer | `p`, `b`, `why` |
| `conflict` | an event with an id of before and another body was answered | `status` |
| `open` | a reader asks | `r`, `kind`; `after`: `[epoch, seq]` or null for from now on; `run`: whether what comes is one run |
| `hello` | and is answered | `r`, `epoch`, `head`, `tail`, `resume`, `reason` |
| `event` | it received one | `r`, `m`, `d`; `s`, `id`, `epoch`, `seq` where its protocol has them |
| `gone` | a reader's position is answered 410 | `r`, `epoch`, `tail` |
| `expired` | it received something on a token that had ended | `r`; `over_s`: so long ago |
| `stranger` | somebody came with a token that is revoked, or never was | `door`, `status` |
| `close` | it is no longer connected | `r`, `why` |
| `heads` | the table's row of an epoch | `epoch`, `tail`, `head`, `journal` |
| `fault` | the nemesis did something | `name`, and what |
| `tool` | a command of the product ended | `words`, `code`, `right`: the code that it must have |
| `ended` | `serve` ended | `how`: `kill`, `term`, `itself`; `code` |
| `log` | what `serve` has written of itself | `errors`: lines that should not be there |
| `row` | in the end: the table | `epoch`, `seq`, `id`, `m`, `d`, `s`; `tombstone`: its reason or null |
| `end` | all is quiet | `epoch`, `head` of the journal; `late`: who does not have it all; `problems` |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Record = dict[str, Any]


class History:
    """Written as it happens; a line is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self.counts: dict[str, int] = {}
        self.acknowledged = 0  # events

    def write(self, kind: str, /, **fields: Any) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._file.write(json.dumps({"k": kind, **fields}, separators=(",", ":")) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Record]:
    """Each record of a file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
