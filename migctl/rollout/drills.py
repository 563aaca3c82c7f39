"""Drills: which of those that a stage asks for have a record of having passed. It is a file of the state folder, a line each.

| the newest line of a drill | it is missing |
|---|---|
| none | yes: absence is no success |
| of another configuration, or of one that is not known | yes: it says nothing of this one |
| not `pass` | yes |
| `pass`, older than the stage allows | yes |
| `pass` | no |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from migctl.config import lines
from migctl.config.files import read_own
from migctl.errors import Usage
from migctl.events.jsontext import read_as
from migctl.rollout.walk import Step

FILE = "drills.ndjson"


class Drilled(msgspec.Struct, frozen=True):
    """One drill that was run, as `drills.ndjson` has it. verdict: `pass` is the only good one. finished_at: RFC 3339.

    config: digest of the configuration that it was run with (`config.digest`); empty where that is not known.
    """

    drill: str
    verdict: str
    finished_at: datetime
    config: str = ""


def read(folder: Path) -> list[Drilled]:
    """In the order in which they were run; none where there is no file, or where a kill left half a line.

    Raises Usage with file and line.
    """
    path, found = folder / FILE, list[Drilled]()
    try:
        whole = lines.whole_lines(read_own(path))
    except FileNotFoundError:
        return found
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}", do="make it readable, or take it away") from None
    for number, line in enumerate(whole, 1):
        try:
            found.append(read_as(line, Drilled))
        except ValueError as error:
            raise Usage(f"{path}:{number}: this is no drill: {error}", do="take the line away") from None
    return found


def append(folder: Path, drilled: Drilled) -> None:
    """A line more, on disk when this returns. Raises OSError."""
    lines.append(folder / FILE, msgspec.json.encode(drilled))


def missing(step: Step, drilled: Sequence[Drilled], now: datetime, config: str) -> str | None:
    """Why the step's drills keep the next one from beginning, in words; None where they don't. config: of now."""
    newest = {one.drill: one for one in drilled}
    for name in step.drills:
        one = newest.get(name)
        if one is None:
            return f"drill {name} has no record of having passed"
        if one.config != config:
            was = (
                f"with another configuration ({one.config}, now {config})"
                if one.config
                else "with one that is not known"
            )
            return f"drill {name} was run {was}"
        if one.verdict != "pass":
            return f"drill {name} ended with {one.verdict}"
        if now - one.finished_at > timedelta(seconds=step.max_drill_age_s):
            return f"drill {name} passed more than {step.max_drill_age_s / 3600:g} h ago"
    return None
