"""Choosing: which lives of the Hypothesis machines become vectors: those that notice mistakes, then what little else shows."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Hashable
from itertools import pairwise
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.kit.mutations import MUTATIONS
from tests.kit.node import JS, node
from tests.kit.recorded import Call, Life, RecordedAssigned, RecordedBegin, RecordedRepair
from tests.kit.replaying import replayed
from tests.kit.vectors import (
    FOLDER,
    NAMES,
    RecordedAttachment,
    RecordedLiveness,
    RecordedMerge,
    RecordedRound,
    lives,
)

CORES = ("/subscriber/core/", "/target/chain", "/gateway/resuming")
MOST_BYTES = 98_000
MOST_BYTES_SMALL = 24_000
# The beginning of a long life shows enough; what is only there for what nothing else shows is shorter.
MOST_CALLS, MOST_CALLS_MORE = 400, 40


def _steps(name: str, life: Life) -> set[Hashable]:
    """What it shows: each way from one instruction of a core to the next, so also what decided an `or`."""
    shown: set[Hashable] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not any(room in frame.f_code.co_filename for room in CORES):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        before = [0]

        def within(frame: FrameType, event: str, _: object) -> Any:
            shown.add((frame.f_code, before[0], frame.f_lasti))
            before[0] = frame.f_lasti
            return within

        return within

    sys.settrace(trace)
    try:
        for (method, words, *_), result, _state in replayed(name, life):
            shown.add((method, str(result)[:14] if method == "next" else "", len(words)))
    finally:
        sys.settrace(None)
    return shown


def _shortened(calls: list[Call]) -> list[Call]:
    """Without what only asks the same again."""
    repeats = [one == before for before, one in pairwise([None, *calls])]
    return [one for one, again in zip(calls, repeats, strict=True) if not again][:MOST_CALLS]


def _noticing(name: str, found: list[Life]) -> list[Life]:
    """The shortest beginnings of lives that notice each of the mutations that any of them notices."""
    chosen: list[Life] = []
    for mutation in (one for one in MUTATIONS if one.machine == name):
        with TemporaryDirectory() as folder:
            (Path(folder) / f"{name}.ndjson").write_text("".join(f"{_line(life)}\n" for life in found))
            done = node(JS / "replay.mjs", mutation.make(Path(folder)), folder, name, "each")
        noticed = [(found[life][0], found[life][1][: at + 1]) for life, at in json.loads(done.stdout)]
        if not noticed:
            sys.stderr.write(f"{name}: nothing notices: {mutation.what}\n")
        else:
            chosen.append(min(noticed, key=lambda life: len(_line(life))))
    return chosen


def _that_hold(name: str) -> list[Life]:
    """The lives that are written already and still are what the core does: what was noticed once is noticed on."""
    if not (FOLDER / f"{name}.ndjson").exists():
        return []
    return [
        life
        for life in lives(name)
        if all([result, state] == recorded[2:] for (*recorded,), result, state in replayed(name, life))
    ]


def _line(life: Life) -> str:
    return json.dumps(life, separators=(",", ":"))


def _chosen(name: str, found: list[Life], most_bytes: int) -> list[str]:
    """Lines within the bound: those that notice mutations, then each for what few of the ones before it show."""
    cut = [(made, _shortened(calls)) for made, calls in found]
    noticing = _noticing(name, cut)
    chosen = sorted({_line(life) for life in noticing})
    shown = Counter(step for life in noticing for step in _steps(name, life))
    more = [(made, calls[:MOST_CALLS_MORE]) for made, calls in cut if len(calls) > 5]
    steps = {_line(life): _steps(name, life) for life in more}
    room = most_bytes - sum(len(line) + 1 for line in chosen)
    while fitting := [line for line in steps if len(line) < room]:
        worth = {
            line: sum(0.3 ** shown[step] for step in steps[line]) / (len(line) + 500) for line in fitting
        }
        line = max(fitting, key=lambda line: (worth[line], line))
        shown.update(steps.pop(line))
        chosen.append(line)
        room -= len(line) + 1
    return chosen


def _write(
    name: str,
    machine: type[RuleBasedStateMachine],
    found: list[Life],
    examples: int,
    most_bytes: int,
) -> None:
    bound = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True, database=None
    )
    run_state_machine_as_test(machine, settings=bound)  # type: ignore[no-untyped-call]
    found = [*found, *_that_hold(name)]
    (FOLDER / f"{name}.ndjson").write_text("\n".join(_chosen(name, found, most_bytes)) + "\n")


def write(*names: str) -> None:
    """Anew; all of them, where none is named."""
    from tests.property.subscriber import (
        test_assigned_machine,
        test_attachment_machine,
        test_catchup_machine,
        test_liveness_machine,
        test_merge_machine,
        test_repair_machine,
        test_resuming_machine,
    )

    class Ticking:
        """Times that are short as text, and yet exact."""

        _now = 0.0

        @property
        def now(self) -> float:
            return self._now

        @now.setter
        def now(self, value: float) -> None:
            self._now = ceil(value * 64) / 64

    class Merging(Ticking, test_merge_machine.Reader):
        merge_class = RecordedMerge

    class Attaching(Ticking, test_attachment_machine.Sides):
        attachment_class = RecordedAttachment

    class CatchingUp(Ticking, test_catchup_machine.Reader):
        round_class = RecordedRound

    class Watching(Ticking, test_liveness_machine.Watched):
        liveness_class = RecordedLiveness

    class Repairing(Ticking, test_repair_machine.Reader):
        repair_class = RecordedRepair

    class Assigning(test_assigned_machine.Fleet):
        assigned_class = RecordedAssigned

    class Resuming(test_resuming_machine.Stream):
        @property
        def begin(self) -> RecordedBegin:  # type: ignore[override]
            return self._recorded

        def __init__(self) -> None:
            super().__init__()
            self._recorded = RecordedBegin()

    written: dict[str, tuple[type[RuleBasedStateMachine], list[Life], int, int]] = {
        "merge": (Merging, RecordedMerge.lives, 600, MOST_BYTES),
        "attachment": (Attaching, RecordedAttachment.lives, 1500, MOST_BYTES),
        "catchup": (CatchingUp, RecordedRound.lives, 1000, MOST_BYTES),
        "liveness": (Watching, RecordedLiveness.lives, 600, 60_000),
        "repair": (Repairing, RecordedRepair.lives, 600, MOST_BYTES_SMALL),
        "assigned": (Assigning, RecordedAssigned.lives, 600, MOST_BYTES_SMALL),
        "resuming": (Resuming, RecordedBegin.lives, 600, MOST_BYTES_SMALL),
    }
    for name in names or NAMES:
        _write(name, *written[name])
